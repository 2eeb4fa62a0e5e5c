"""Models, runners and progress, as the API shows them."""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType


class ConfigObject(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a model is; what is not known is left out."""

    format: str | UnsetType = UNSET
    quantization: str | UnsetType = UNSET
    parameters: str | UnsetType = UNSET
    architecture: str | UnsetType = UNSET
    size: str | UnsetType = UNSET
    context_size: int | UnsetType = UNSET


class ModelObject(msgspec.Struct, frozen=True):
    """One model, with all its names."""

    id: str
    tags: list[str]
    created: int
    config: ConfigObject


class RunnerObject(msgspec.Struct, frozen=True, kw_only=True):
    """One loaded model."""

    backend_name: str
    model_name: str
    mode: Literal["completion", "embedding", "reranking"]
    in_use: bool
    loading: bool


class DiskObject(msgspec.Struct, frozen=True):
    """What the models take on disk."""

    models_disk_usage: int


class UnloadAnswer(msgspec.Struct, frozen=True):
    """How many runners have ended."""

    unloaded_runners: int


class TagAnswer(msgspec.Struct, frozen=True):
    """What stands under a new name now."""

    message: str
    target: str


class UntaggedObject(msgspec.Struct, frozen=True, rename="pascal"):
    """A name that is gone."""

    untagged: str


class DeletedObject(msgspec.Struct, frozen=True, rename="pascal"):
    """A blob that is gone."""

    deleted: str


class VersionAnswer(msgspec.Struct, frozen=True):
    """The version of stoker."""

    version: str


class LayerObject(msgspec.Struct, frozen=True):
    """How far one layer is."""

    id: str
    size: int
    current: int


class ProgressLine(msgspec.Struct, frozen=True, kw_only=True):
    """A line of a transfer's progress."""

    type: Literal["progress", "success", "warning", "error"]
    message: str
    total: int
    layer: LayerObject | UnsetType = UNSET
    mode: Literal["pull", "push"]

"""Reading a model: from a bundle's files to mlx-lm's model."""

from __future__ import annotations

import contextlib
import re
import tempfile
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlx.core as mx
from mlx_lm.utils import _get_classes as mlx_lm_classes
from mlx_lm.utils import load_model

from stoker.errors import InvalidArtifactError, LoadError, OutOfMemoryError
from stoker.weights import read_safetensors_header
from stoker_mlx.model_files import ModelFiles
from stoker_mlx.number_types import numbers_of
from stoker_mlx.options import NumberType

_MODEL_TYPE = re.compile(r"[A-Za-z0-9_-]+")
_WORDS = 240
"""So much is told of what mlx-lm says."""
_BARE = ("embed_tokens.", "layers.", "norm.")
_READ_BESIDE = ("config.json", "generation_config.json", "hf_quant_config.json")
# What MLX says when an allocation fails: mlx/backend/{metal,cuda}/allocator.cpp, and C++ itself.
_SHORT = re.compile(
    r"attempting to allocate|malloc|unable to allocate|out of memory|bad_alloc", re.IGNORECASE
)


def read_model(files: ModelFiles, wanted: NumberType | None = None) -> Any:
    """Read the weights.

    mlx-lm finds files by their names in a folder. It gets a folder of links, in which there is
    nothing that the artifact does not call weights or config: no code, no pickles.

    Args:
        files: Of the model.
        wanted: What its floats shall be; None leaves that to the machine.

    Returns:
        mlx-lm's model.

    Raises:
        InvalidArtifactError: A file is not what it should be.
        LoadError: mlx-lm has no such architecture, or the weights do not fit it.
        OutOfMemoryError: Memory was short.
    """
    config = files.json("config.json")
    _check(config, files.name)
    headers = [read_safetensors_header(path) for path in files.weights]
    on_processor = mx.default_device().type == mx.DeviceType.cpu
    numbers = numbers_of(headers, wanted, on_processor=on_processor)
    with tempfile.TemporaryDirectory(prefix="stoker-mlx-") as name, _told_apart(files.name):
        folder = Path(name)
        for beside in _READ_BESIDE:
            if beside in files.paths:
                (folder / beside).symlink_to(files.paths[beside].absolute())
        for number, path in enumerate(files.weights):
            (folder / f"model-{number:05}.safetensors").symlink_to(path.absolute())
        model, _ = load_model(folder, lazy=True, strict=True, get_model_classes=_classes)
        if numbers.chosen is not None:
            model.set_dtype(getattr(mx, numbers.chosen))
        # The links are gone when this returns.
        mx.eval(model.parameters())
    return model


def _classes(config: dict[str, Any]) -> tuple[type[Any], type[Any]]:
    """mlx-lm's classes of an architecture, so that they take the weights of embedding models.

    Those are published without the head that makes logits, and then without the name of the part
    that they are.
    """
    base, arguments = mlx_lm_classes(config)

    class Model(base):  # type: ignore[misc,valid-type] # mlx_lm has no types
        def sanitize(self, weights: dict[str, Any]) -> dict[str, Any]:
            if weights and all(name.startswith(_BARE) for name in weights):
                weights = {f"model.{name}": value for name, value in weights.items()}
            has_rules = hasattr(base, "sanitize")
            return super().sanitize(weights) if has_rules else weights

    return Model, arguments


def _check(config: dict[str, Any], name: str) -> None:
    """Refuse what must not reach mlx-lm.

    Raises:
        InvalidArtifactError: The config names no architecture, or wants code of its own to run.
    """
    # It becomes a part of the name of a module that is imported.
    kind = config.get("model_type")
    if not isinstance(kind, str) or not _MODEL_TYPE.fullmatch(kind):
        raise InvalidArtifactError(f"config.json of {name} names no model_type.")
    if config.get("model_file") is not None:
        raise InvalidArtifactError(
            f"{name} comes with code of its own ({config['model_file']!r}), which stoker never"
            " runs: look for an edition that mlx-lm can run without."
        )


@contextlib.contextmanager
def _told_apart(name: str) -> Iterator[None]:
    """Turn mlx-lm's exceptions into ours.

    Raises:
        OutOfMemoryError: Memory was short.
        LoadError: It was something else.
    """
    try:
        yield
    except MemoryError as exc:
        raise OutOfMemoryError("Python has no memory left for the model.") from exc
    except Exception as exc:
        # Some messages list every tensor of a model, a line each.
        words = textwrap.shorten(str(exc) or type(exc).__name__, _WORDS, placeholder=" ...")
        words = words.rstrip(".")
        if isinstance(exc, RuntimeError) and _SHORT.search(words):
            raise OutOfMemoryError(f"{name} does not fit into memory: {words}.") from exc
        raise LoadError(f"mlx-lm cannot load {name}: {words}.") from exc

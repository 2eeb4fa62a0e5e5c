"""The settings of the core, as they stand in `stoker.toml`.

A plugin's own settings (`[backends.NAME]`, `[stores.NAME]`, `[transports.NAME]`) are raw tables
here: only the plugin's options type knows their fields.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

Seconds = Annotated[float, msgspec.Meta(ge=0)]


class PluginsConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[plugins]`: which plugins may load, by the names that `stoker plugins` shows."""

    allow: tuple[str, ...] | None = None
    """Only these; unset allows all."""
    block: tuple[str, ...] = ()


class DefaultsConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[defaults]`: what holds when nothing more specific is said."""

    store: str | None = None
    """The store for references without a scheme; unset takes the only one there is."""
    keep_alive_s: Seconds = 300.0
    """How long an idle model stays loaded; `inf` keeps it for ever, 0 not at all."""
    load_timeout_s: Seconds = 600.0
    """How long loading may take."""


class ServeConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[serve]`: what `stoker serve` starts."""

    transports: tuple[str, ...] | None = None
    """Only these; unset starts every installed one."""


class ModelConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[models."NAME"]`: settings of one model."""

    backend: str | None = None
    """Pins the backend."""
    keep_alive_s: Seconds | None = None
    options: dict[str, Any] = {}
    """Laid over the backend's own table for this model."""


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything."""

    plugins: PluginsConfig = PluginsConfig()
    defaults: DefaultsConfig = DefaultsConfig()
    serve: ServeConfig = ServeConfig()
    selection: dict[str, tuple[str, ...]] = {}
    """Backends by canonical media type, best first."""
    models: dict[str, ModelConfig] = {}
    backends: dict[str, dict[str, Any]] = {}
    stores: dict[str, dict[str, Any]] = {}
    transports: dict[str, dict[str, Any]] = {}

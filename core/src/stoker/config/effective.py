"""The effective value of every setting, and where it comes from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs
import msgspec

from stoker.config.schema import Config
from stoker.config.settings import OptionTable, Settings

DEFAULT = "default"
SECRET = frozenset({"hash"})
"""Not secret in truth, but nobody needs to see them in a report of a problem."""
PLUGIN_SECTIONS = ("backends", "stores", "transports", "listeners")


@attrs.frozen
class EffectiveSetting:
    """A setting as it is in force."""

    key: str
    value: Any
    """In the simple types of TOML; None where nothing is set."""
    origin: str
    """A file, a variable or a flag; `default` where nobody has said anything."""


def core_settings(settings: Settings) -> Iterator[EffectiveSetting]:
    """All settings of the core, in the order of the reference."""
    values = msgspec.to_builtins(settings.config)
    for field in msgspec.structs.fields(Config):
        if field.name not in PLUGIN_SECTIONS:
            yield from _flat(settings, (field.name,), values[field.name])


def _flat(settings: Settings, path: tuple[str, ...], value: Any) -> Iterator[EffectiveSetting]:
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from _flat(settings, (*path, key), inner)
        return
    source = settings.source_of(path)
    if isinstance(value, list | tuple) and any(isinstance(item, Mapping) for item in value):
        value = [{k: v for k, v in item.items() if k not in SECRET} for item in value]
    yield EffectiveSetting(dotted(path), value, source.name if source else DEFAULT)


def option_settings(
    options: msgspec.Struct, tables: Sequence[OptionTable], place: tuple[str, ...]
) -> Iterator[EffectiveSetting]:
    """The options of a plugin.

    Args:
        options: The effective ones.
        tables: Where they come from, the weakest first.
        place: The key of their table.
    """
    for key, value in msgspec.to_builtins(options).items():
        found = [item for item in tables if key in item.table]
        origin = DEFAULT
        if found:
            origin = found[-1].source.name
            if found[-1].place != place:
                origin += f": {'.'.join(found[-1].place)}.{key}"
        yield EffectiveSetting(dotted((*place, key)), value, origin)


def dotted(path: Sequence[str]) -> str:
    """A key as TOML writes it: what is no bare word stands in quotes."""
    return ".".join(
        part if part.replace("-", "_").isidentifier() or part.startswith('"') else f'"{part}"'
        for part in path
    )

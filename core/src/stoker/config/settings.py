"""Settings from all sources, merged, with the source of each kept for errors."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import attrs
import msgspec

from stoker.config.model_rules import rules_for
from stoker.config.schema import Config, ModelConfig
from stoker.digest import Digest
from stoker.errors import ConfigError
from stoker.reference import Reference

OptionsT = TypeVar("OptionsT", bound=msgspec.Struct)

# msgspec puts the place at the end of its message: "... - at `$.defaults.keep_alive_s`".
_PLACE = re.compile(r"^(?P<problem>.*?)(?: - at `(?:key in )?\$(?P<path>.*)`)?$", re.DOTALL)
_ENTRY = "[*]"
_UNKNOWN_FIELD = re.compile(r"Object contains unknown field `(?P<field>.*)`")


@attrs.frozen
class Source:
    """One place that settings come from."""

    name: str
    """For errors: the file's path, the variable, the flag."""
    table: Mapping[str, Any]


_ABSENT = object()


@attrs.frozen
class OptionTable:
    """A table of a plugin's options, and where it stands."""

    source: Source
    place: tuple[str, ...]
    table: Mapping[str, Any]


@attrs.frozen
class Settings:
    """The effective configuration.

    Attributes:
        home: Stoker's own folder.
        sources: Weakest first. Each is checked by itself, so that an error names its source.
    """

    home: Path
    sources: tuple[Source, ...] = ()
    config: Config = attrs.field(init=False)
    _merged: Mapping[str, Any] = attrs.field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        for source in self.sources:
            _convert(source.table, Config, source, ())
        merged: dict[str, Any] = {}
        for source in self.sources:
            merged = _overlay(merged, source.table)
        object.__setattr__(self, "_merged", merged)
        object.__setattr__(self, "config", msgspec.convert(merged, Config))

    def options(self, section: str, name: str, options_type: type[OptionsT]) -> OptionsT:
        """A plugin's own options.

        Args:
            section: `backends`, `stores`, `transports` or `listeners`.
            name: The record's name. A table under the name with every character that is no
                letter or digit replaced by `_` counts as well (variables cannot hold others).
            options_type: The record's options type.

        Raises:
            ConfigError: An option is unknown or has a wrong value; names its source.
        """
        return self._joined(self.option_tables(section, name), options_type, (section, name))

    def model_options(
        self, backend: str, options_type: type[OptionsT], rules: Sequence[str]
    ) -> OptionsT:
        """A backend's options for one model.

        Args:
            backend: The backend's name.
            options_type: Its options type.
            rules: The model's keys of `[models]`, from `model_rules`.

        Raises:
            ConfigError: As for `options`.
        """
        tables = self.model_option_tables(backend, rules)
        return self._joined(tables, options_type, ("backends", backend))

    def option_tables(self, section: str, name: str) -> list[OptionTable]:
        """All tables of a plugin's options, the weakest first."""
        return [
            OptionTable(source, (section, key), table)
            for source in self.sources
            for key, table in _tables(source, section, name)
        ]

    def model_option_tables(self, backend: str, rules: Sequence[str]) -> list[OptionTable]:
        """All tables of a backend's options for a model, the weakest first."""
        return [
            *self.option_tables("backends", backend),
            *(
                OptionTable(source, ("models", f'"{key}"', "options"), table)
                for key in rules
                for source in self.sources
                if (table := source.table.get("models", {}).get(key, {}).get("options"))
            ),
        ]

    def _joined(
        self, tables: Sequence[OptionTable], options_type: type[OptionsT], place: tuple[str, ...]
    ) -> OptionsT:
        merged: dict[str, Any] = {}
        for item in tables:
            # By itself, so that an error names where it stands.
            _convert(item.table, options_type, item.source, item.place)
            merged = _overlay(merged, item.table)
        return _convert(merged, options_type, Source("configuration", {}), place)

    def model_rules(
        self, reference: Reference, digest: Digest | None = None, *, schemes: Collection[str] = ()
    ) -> tuple[str, ...]:
        """The keys of `[models]` that are about a model, the least exact first.

        Raises:
            ConfigError: A key is neither a pattern nor a name nor a digest.
        """
        return rules_for(self.config.models, reference, digest, schemes=schemes)

    def model(self, rules: Sequence[str]) -> ModelConfig:
        """The settings of one model, key by key the most exact one's.

        Args:
            rules: From `model_rules`.
        """
        merged: dict[str, Any] = {}
        for key in rules:
            merged = _overlay(merged, self._merged["models"][key])
        return msgspec.convert(merged, ModelConfig)

    def source_of(self, path: Sequence[str]) -> Source | None:
        """The source with the last word on a key; None when it has its default."""
        for source in reversed(self.sources):
            table: Any = source.table
            for segment in path:
                table = table.get(segment, _ABSENT) if isinstance(table, Mapping) else _ABSENT
            if table is not _ABSENT:
                return source
        return None


def normalised(name: str) -> str:
    """A name as a variable can hold it."""
    return re.sub(r"[^a-z0-9]", "_", name.lower())


def _tables(source: Source, section: str, name: str) -> list[tuple[str, Mapping[str, Any]]]:
    tables: Mapping[str, Any] = source.table.get(section, {})
    return [(key, tables[key]) for key in tables if key in {name, normalised(name)}]


def _overlay(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        if isinstance(value, Mapping) and isinstance(merged.get(key), Mapping):
            merged[key] = _overlay(merged[key], value)
        else:
            merged[key] = value
    return merged


def _convert(
    table: Mapping[str, Any], kind: type[OptionsT], source: Source, prefix: tuple[str, ...]
) -> OptionsT:
    try:
        return msgspec.convert(table, kind)
    except msgspec.ValidationError as exc:
        key, problem = _place(str(exc), table, kind)
        raise ConfigError(
            source=source.name, key=".".join(filter(None, (*prefix, key))), problem=problem
        ) from exc


def _place(message: str, table: Mapping[str, Any], kind: type[msgspec.Struct]) -> tuple[str, str]:
    """Take msgspec's message apart into the dotted key and what was expected there."""
    match = _PLACE.match(message)
    path, problem = (match["path"] or "", match["problem"]) if match else ("", message)
    # msgspec writes `[...]` for an entry of a table with free names.
    segments = [segment for segment in path.replace("[...]", _ENTRY).split(".") if segment]
    unknown = _UNKNOWN_FIELD.match(problem)
    if unknown:
        owner = _struct_at(segments, kind)
        known = ", ".join(owner.__struct_fields__) or "no settings at all" if owner else ""
        problem = f"unknown setting; expected {known}" if known else "unknown setting"
        segments.append(unknown["field"])
    segments = _name_entries(segments, table)
    return ".".join(segments), problem[:1].lower() + problem[1:]


def _struct_at(segments: list[str], kind: type[msgspec.Struct]) -> type[msgspec.Struct] | None:
    """The Struct that a path leads to, through fields and tables with free names."""
    current: Any = kind
    for segment in segments:
        name = segment.removesuffix(_ENTRY)
        if not (isinstance(current, type) and issubclass(current, msgspec.Struct)):
            return None
        hints = {field.name: field.type for field in msgspec.structs.fields(current)}
        current = hints.get(name)
        if segment.endswith(_ENTRY):
            arguments = getattr(current, "__args__", ())
            current = arguments[-1] if arguments else None
    return current if isinstance(current, type) and issubclass(current, msgspec.Struct) else None


def _name_entries(segments: list[str], table: Mapping[str, Any]) -> list[str]:
    """Put the entry's name in when there is only one; else leave `[*]`."""
    named = []
    current: Any = table
    for segment in segments:
        name = segment.removesuffix(_ENTRY)
        current = current.get(name) if isinstance(current, Mapping) else None
        if segment.endswith(_ENTRY) and isinstance(current, Mapping) and len(current) == 1:
            ((entry, current),) = current.items()
            named += [name, f'"{entry}"']
        else:
            named.append(segment)
    return named

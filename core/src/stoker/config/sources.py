"""Where settings come from, and what each place is called in an error.

- the file: `--config`, else `STOKER_CONFIG`, else `stoker.toml` in stoker's home;
- the environment: `STOKER_` and the key's segments in upper case with two underscores between
  them (`STOKER_DEFAULTS__KEEP_ALIVE_S=60`);
- flags: `--set defaults.keep_alive_s=60`, and the shortcuts of single commands.

A value in a variable or a flag is read as a TOML value and, if it is none, taken as text.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from stoker.config.schema import Config
from stoker.config.settings import Settings, Source
from stoker.errors import ConfigError

CONFIG_FILE = "stoker.toml"
ENV_PREFIX = "STOKER_"
ENV_SEPARATOR = "__"

_SECTIONS = Config.__struct_fields__


@attrs.frozen
class Flag:
    """A setting from the command line."""

    name: str
    """As the user typed it: `--port`."""
    key: tuple[str, ...]
    value: Any


def home_directory(environ: Mapping[str, str] = os.environ) -> Path:
    """Stoker's own folder: `STOKER_HOME`, else `~/.stoker`. It may not exist yet."""
    text = environ.get("STOKER_HOME")
    return Path(text).expanduser().absolute() if text else Path.home() / ".stoker"


def load_settings(
    *,
    config_file: Path | None = None,
    flags: Sequence[Flag] = (),
    environ: Mapping[str, str] = os.environ,
) -> Settings:
    """Read all sources and check what the core knows of them.

    Args:
        config_file: The file that a flag names; it must exist then.
        flags: Settings from the command line, later ones winning.
        environ: The environment.

    Raises:
        ConfigError: A source cannot be read, or has an unknown key or a wrong value.
    """
    home = home_directory(environ)
    sources = []
    named = config_file or (Path(environ["STOKER_CONFIG"]) if "STOKER_CONFIG" in environ else None)
    path = named or home / CONFIG_FILE
    if named is not None or path.is_file():
        sources.append(_read_file(path))
    sources.extend(_environment(environ))
    sources.extend(Source(flag.name, nest(flag.key, flag.value)) for flag in flags)
    return Settings(home=home, sources=tuple(sources))


def _read_file(path: Path) -> Source:
    try:
        return Source(str(path), tomllib.loads(path.read_text("utf-8")))
    except OSError as exc:
        problem = f"cannot be read: {exc.strerror}"
        raise ConfigError(source=str(path), key="", problem=problem) from exc
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise ConfigError(source=str(path), key="", problem=f"is not TOML: {exc}") from exc


def _environment(environ: Mapping[str, str]) -> list[Source]:
    sources = []
    for name in sorted(environ):
        section, separator, rest = name.removeprefix(ENV_PREFIX).partition(ENV_SEPARATOR)
        if not name.startswith(ENV_PREFIX) or not separator:
            continue
        key = (section.lower(), *(part.lower() for part in rest.split(ENV_SEPARATOR)))
        if key[0] not in _SECTIONS or not all(key):
            expected = ", ".join(
                f"{ENV_PREFIX}{part.upper()}{ENV_SEPARATOR}..." for part in _SECTIONS
            )
            problem = f"is not a setting: expected one of {expected}"
            raise ConfigError(source=name, key="", problem=problem)
        sources.append(Source(name, nest(key, toml_value(environ[name]))))
    return sources


def parse_assignment(text: str) -> Flag:
    """Read `a.b.c=value`, as `--set` takes it. Segments with dots stand in double quotes.

    Raises:
        ConfigError: The text is no assignment.
    """
    key, equals, value = text.partition("=")
    if not equals:
        raise ConfigError(source="--set", key=text, problem="expected KEY=VALUE")
    try:
        table: Any = tomllib.loads(f"{key} = 0")
    except tomllib.TOMLDecodeError as exc:
        problem = 'expected a dotted key such as defaults.keep_alive_s or models."ai/x".backend'
        raise ConfigError(source="--set", key=key, problem=problem) from exc
    segments = []
    while isinstance(table, dict):
        ((segment, table),) = table.items()
        segments.append(segment)
    return Flag("--set", tuple(segments), toml_value(value))


def toml_value(text: str) -> Any:
    """The TOML value that a text spells, or the text itself."""
    try:
        table = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text
    return table["value"] if len(table) == 1 else text


def nest(key: Sequence[str], value: Any) -> dict[str, Any]:
    """`("a", "b"), 1` becomes `{"a": {"b": 1}}`."""
    for segment in reversed(key):
        value = {segment: value}
    return dict(value)

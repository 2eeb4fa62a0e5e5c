"""The reference pages that are written by hand name everything that exists."""

from __future__ import annotations

import re

import msgspec
import pytest

from stoker.backend import BackendSpec, NoOptions
from stoker.config import Config
from stoker.hookspecs import HOOK_RECORDS
from stoker.plugins import PluginManager
from stoker.store import StoreSpec
from stoker.transport import TransportSpec

from .conftest import ROOT


def page(name: str) -> str:
    """The text of a reference page."""
    return (ROOT / "docs" / "reference" / name).read_text(encoding="utf-8")


@pytest.mark.parametrize(("hook", "record"), HOOK_RECORDS.items())
def test_every_hook_is_described(hook: str, record: type) -> None:
    """The page on hooks names each hook with its arguments, none, and its record."""

    assert f"| `{hook}()` | `{record.__name__}` |" in page("hooks.md")


def setting_names(struct: type[msgspec.Struct]) -> set[str]:
    """The keys of a table and of the tables in it that the core knows."""
    names = set()
    for field in msgspec.structs.fields(struct):
        names.add(field.name)
        if isinstance(field.type, type) and issubclass(field.type, msgspec.Struct):
            names |= setting_names(field.type)
    return names


def test_every_setting_is_described() -> None:
    """The page on the configuration names each key of the core."""
    text = page("configuration.md")

    assert set() == {key for key in setting_names(Config) if not re.search(rf"\b{key}\b", text)}


def test_every_plugin_is_described() -> None:
    """The page on the configuration has a table of the settings of each shipped plugin."""
    plugins = PluginManager()
    specs: list[BackendSpec | StoreSpec | TransportSpec] = [
        *plugins.backends.values(),
        *plugins.stores.values(),
        *plugins.transports.values(),
    ]
    # The toys are described by their readme.
    shipped = [
        spec
        for spec in specs
        if not plugins.provider(spec).name.startswith("example-")
        and spec.options_type is not NoOptions
    ]
    text = page("configuration.md")

    for spec in shipped:
        kind = spec.options_type
        assert f"```{{settings}} {kind.__module__}:{kind.__name__}\n" in text

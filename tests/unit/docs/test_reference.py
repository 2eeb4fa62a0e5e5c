"""The reference pages that are written by hand name everything that exists."""

from __future__ import annotations

import importlib
import inspect
import re
import tomllib
from pathlib import Path
from xml.etree import ElementTree as ET

import msgspec
import pytest

from stoker import hookspecs
from stoker.backend import BackendSpec, NoOptions
from stoker.config import Config
from stoker.errors import ConfigError, LoadError, StokerError, anchor_of
from stoker.hookspecs import HOOK_RECORDS
from stoker.plugins import PluginManager
from stoker.store import StoreSpec
from stoker.transport import TransportSpec

from .conftest import ROOT


def page(name: str) -> str:
    """The text of a reference page."""
    return (ROOT / "docs" / "reference" / name).read_text(encoding="utf-8")


SPECS = {name: getattr(hookspecs, name) for name in HOOK_RECORDS}


def hook_rows() -> dict[str, tuple[str, str, str]]:
    """The rows of the page on hooks: the record, what it is for and the example, by signature."""
    rows = re.findall(
        r"^\| `(stoker_\w+\(.*?\))` \| `(\w+)` \| (.+?) \| (.+?) \|$",
        page("hooks.md"),
        re.MULTILINE,
    )
    return {signature: (record, purpose, example) for signature, record, purpose, example in rows}


def test_the_page_on_hooks_is_what_the_specs_say() -> None:
    """Each hook has a row with its exact arguments, its record and the first words of its spec."""
    specified = {
        name + str(inspect.signature(spec)).partition(" ->")[0]: (
            HOOK_RECORDS[name].__name__,
            (spec.__doc__ or "").partition("\n")[0].removesuffix("."),
        )
        for name, spec in SPECS.items()
    }

    assert specified == {
        signature: (record, purpose) for signature, (record, purpose, _) in hook_rows().items()
    }


def test_hook_specs_and_records_are_complete() -> None:
    """Every function that is marked as a spec has its record in the table, and no other one."""
    marked = {
        name
        for name in dir(hookspecs)
        if hasattr(getattr(hookspecs, name), f"{hookspecs.PROJECT_NAME}_spec")
    }

    assert set(HOOK_RECORDS) == marked
    for name, spec in SPECS.items():
        assert f"Iterable[{HOOK_RECORDS[name].__name__}]" == spec.__annotations__["return"]


@pytest.mark.parametrize("hook", HOOK_RECORDS)
def test_every_hook_has_an_example_and_a_test(hook: str) -> None:
    """A plugin here or a page implements it, the reference links that, and a test names it."""
    sources = [*ROOT.glob("*/src/**/*.py"), *ROOT.glob("*/*/src/**/*.py")]
    pages = [*ROOT.glob("docs/how-to/*.md")]
    implemented = [
        path
        for path in (*sources, *pages)
        if path.name != "hookspecs.py"
        and re.search(rf"def {hook}\(|by `{hook}`", path.read_text(encoding="utf-8"))
    ]
    tested = [
        path
        for path in (ROOT / "tests").rglob("*.py")
        if path != Path(__file__) and hook in path.read_text(encoding="utf-8")
    ]

    assert implemented
    assert tested
    assert hook_rows()[f"{hook}()"][2].strip()


def all_errors(root: type[StokerError] = StokerError) -> set[type[StokerError]]:
    """The errors of the core."""
    children = [child for child in root.__subclasses__() if child.__module__ == root.__module__]
    return {root}.union(*map(all_errors, children))


def test_every_error_has_a_page() -> None:
    """Each error has what to do about it, and an address that no other one has."""
    known = set(all_errors())
    anchors = {anchor_of(kind) for kind in known}

    assert {kind.__name__ for kind in known} == set(tomllib.loads(page("errors.toml")))
    assert len(known) == len(anchors)
    assert (
        "reference/errors.html#error-config-error"
        == ConfigError(source="x", key="y", problem="z").help_page
    )


def test_errors_of_plugins_have_the_page_of_what_they_are() -> None:
    """An error class of somebody else's leads to the nearest one of the core."""

    class OddLoadError(LoadError):
        """A plugin's own."""

    assert "error-load-error" == anchor_of(OddLoadError)


def test_the_type_map_names_what_exists() -> None:
    """Every dotted name on the page can be imported."""
    text = (ROOT / "docs" / "explanation" / "type-map.md").read_text(encoding="utf-8")
    names = re.findall(r"`(stoker\.[\w.]+)\.(\w+)`", text)

    assert len(names) > 20
    for module, name in names:
        if f"{module}.{name}" != "stoker.toml":
            assert hasattr(importlib.import_module(module), name), f"{module}.{name}"


def test_the_picture_names_what_exists() -> None:
    """The picture of a request's life is a whole SVG, and its modules can be imported."""
    path = ROOT / "docs" / "explanation" / "life-of-a-request.svg"
    picture = ET.fromstring(path.read_text(encoding="utf-8"))
    words = " ".join("".join(item.itertext()) for item in picture.iter())
    modules = set(re.findall(r"stoker\.\w+(?:\.\w+)?", words))

    assert {"stoker.engine", "stoker.transport", "stoker.telemetry"} <= modules
    for module in modules:
        importlib.import_module(module)


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
    # Examples are described by their readmes.
    examples = {"example-backend", "example-transport", "remote", "stdio", "recorder"}
    shipped = [
        spec
        for spec in specs
        if plugins.provider(spec).name not in examples and spec.options_type is not NoOptions
    ]
    text = page("configuration.md")

    for spec in shipped:
        kind = spec.options_type
        assert f"```{{settings}} {kind.__module__}:{kind.__name__}\n" in text

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import stoker
from stoker.backend import BackendSpec, always_available
from stoker.command import CommandSpec
from stoker.dialect import DialectSpec
from stoker.formats import FormatRule
from stoker.listener import ListenerSpec
from stoker.media_types import GGUF, MediaType, Role
from stoker.metrics import MetricSpec
from stoker.parser import ParserSpec
from stoker.plugins import Phase, Plugin, PluginManager, PluginStatus
from stoker.store import StoreSpec
from stoker.transport import TransportSpec


def _spec(name: str) -> BackendSpec:
    def load(bundle: Any, options: Any, progress: Any) -> Any:
        raise NotImplementedError

    return BackendSpec(name, (GGUF,), load, probe=always_available)


def _store(name: str, *schemes: str) -> StoreSpec:
    def factory(context: Any) -> Any:
        raise NotImplementedError

    return StoreSpec(name, factory, schemes=schemes)


class Installed:
    """Plugins that exist in memory only."""

    def __init__(self) -> None:
        self.entry_points: list[metadata.EntryPoint] = []
        self.modules: list[str] = []

    def add(self, name: str, /, **hooks: Any) -> None:
        """Install a plugin whose hooks return (or are) the given things."""
        module = ModuleType(f"plugin_{name}_{len(self.modules)}")
        for hook, result in hooks.items():
            function = result if callable(result) else lambda result=result: result
            setattr(module, hook, stoker.hookimpl(function))
        sys.modules[module.__name__] = module
        self.modules.append(module.__name__)
        self.entry_points.append(metadata.EntryPoint(name, module.__name__, "stoker.v1"))

    def add_module(self, name: str, module: str) -> None:
        """Install a plugin by the name of a module that may not even exist."""
        self.entry_points.append(metadata.EntryPoint(name, module, "stoker.v1"))

    def load(self, **options: Any) -> PluginManager:
        return PluginManager(entry_points=lambda: self.entry_points, **options)


@pytest.fixture
def installed() -> Iterator[Installed]:
    made = Installed()
    yield made
    for module in made.modules:
        del sys.modules[module]


def _by_name(manager: PluginManager) -> Mapping[str, Plugin]:
    return {plugin.name: plugin for plugin in manager.plugins}


def test_a_good_plugin_is_listed_with_what_it_provides(installed: Installed) -> None:
    """Records can be found by name, and the plugin by its record."""
    installed.add("good", stoker_register_backends=[_spec("engine")])

    manager = installed.load()

    (plugin,) = manager.plugins
    assert (PluginStatus.LOADED, ("backend engine",)) == (plugin.status, plugin.provides)
    assert plugin == manager.provider(manager.backends["engine"])


def test_a_plugin_that_raises_at_import_stops_nothing(
    installed: Installed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The broken one is listed with phase and traceback, the good one works."""
    (tmp_path / "broken_at_import.py").write_text("raise RuntimeError('no luck today')")
    monkeypatch.syspath_prepend(tmp_path)
    installed.add_module("broken", "broken_at_import")
    installed.add_module("leaving", "leaving_at_import")
    (tmp_path / "leaving_at_import.py").write_text("raise SystemExit(3)")
    installed.add("good", stoker_register_backends=[_spec("engine")])

    manager = installed.load()

    broken = _by_name(manager)["broken"]
    assert PluginStatus.FAILED == broken.status == _by_name(manager)["leaving"].status
    assert broken.problem is not None
    assert Phase.IMPORT == broken.problem.phase
    assert "no luck today" in broken.problem.summary
    assert "broken_at_import.py" in broken.problem.traceback
    assert ["engine"] == list(manager.backends)


def test_printing_at_import_does_not_reach_stdout(
    installed: Installed,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """A plugin that prints cannot spoil a command's output, nor can a library in C that it has."""
    (tmp_path / "printing_at_import.py").write_text(
        "import ctypes, os\n"
        "print('Python')\n"
        "os.write(1, b'the system\\n')\n"
        "ctypes.CDLL(None).printf(b'C\\n')\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    installed.add_module("printing", "printing_at_import")

    installed.load()
    print("ours")
    printed = capfd.readouterr()

    assert "ours\n" == printed.out
    assert {"Python", "the system", "C"} == set(printed.err.split("\n")) - {""}


def _wrong_signature(surprise: object) -> list[BackendSpec]:
    return []


def _raising() -> list[BackendSpec]:
    raise ValueError("not now")


@pytest.mark.parametrize(
    ("hooks", "phase", "words"),
    [
        ({"stoker_register_backends": _wrong_signature}, Phase.REGISTER, "surprise"),
        ({"stoker_register_bakends": [_spec("x")]}, Phase.REGISTER, "stoker_register_bakends"),
        ({"stoker_register_backends": _raising}, Phase.CALL, "not now"),
        ({"stoker_register_backends": ["engine"]}, Phase.CALL, "returned a str"),
        ({"stoker_register_backends": None}, Phase.CALL, "NoneType"),
        ({"stoker_register_backends": [_spec("x"), _spec("x")]}, Phase.CALL, "already"),
        ({"stoker_register_formats": [FormatRule(Role.DOC, media_type=GGUF)]}, Phase.CALL, "clash"),
    ],
)
def test_a_plugin_that_breaks_the_contract_fails_alone(
    installed: Installed, hooks: dict[str, Any], phase: Phase, words: str
) -> None:
    """Wrong signatures, unknown hooks, exceptions and wrong results are recorded."""
    installed.add("bad", **hooks)
    installed.add("good", stoker_register_backends=[_spec("engine")])

    manager = installed.load()

    bad = _by_name(manager)["bad"]
    assert PluginStatus.FAILED == bad.status
    assert bad.problem is not None
    assert phase == bad.problem.phase
    assert words in bad.problem.summary
    assert ["engine"] == list(manager.backends)


def test_a_name_belongs_to_the_first_plugin_by_name(installed: Installed) -> None:
    """Of two plugins with one backend name the later by name fails, and gives nothing else."""
    installed.add("b", stoker_register_backends=[_spec("engine"), _spec("other")])
    installed.add("a", stoker_register_backends=[_spec("engine")])

    manager = installed.load()

    failed = _by_name(manager)["b"]
    assert failed.problem is not None
    assert "plugin 'a'" in failed.problem.summary
    assert ["engine"] == list(manager.backends)


def test_a_scheme_belongs_to_one_store(installed: Installed) -> None:
    """Two stores cannot claim the same prefix."""
    installed.add("a", stoker_register_stores=[_store("one", "x")])
    installed.add("b", stoker_register_stores=[_store("two", "x")])

    manager = installed.load()

    assert ["one"] == list(manager.stores)
    assert PluginStatus.FAILED == _by_name(manager)["b"].status


def test_two_plugins_with_one_name_are_not_mixed_up(installed: Installed) -> None:
    """The second distribution with the same entry-point name is refused."""
    installed.add("same", stoker_register_backends=[_spec("one")])
    installed.add("same", stoker_register_backends=[_spec("two")])

    manager = installed.load()

    assert ["one"] == list(manager.backends)
    assert [PluginStatus.LOADED, PluginStatus.FAILED] == [
        plugin.status for plugin in manager.plugins
    ]


def test_blocked_plugins_are_listed_but_never_imported(installed: Installed) -> None:
    """Blocking, and not being on an allow-list, keep the module from being imported."""
    installed.add_module("blocked", "no_such_module_at_all")
    installed.add_module("not_allowed", "no_such_module_either")
    installed.add("good", stoker_register_backends=[_spec("engine")])

    manager = installed.load(allow={"good", "blocked"}, block={"blocked"})

    statuses = {name: plugin.status for name, plugin in _by_name(manager).items()}
    assert {
        "blocked": PluginStatus.BLOCKED,
        "not_allowed": PluginStatus.BLOCKED,
        "good": PluginStatus.LOADED,
    } == statuses


def _dialect() -> Any:
    raise NotImplementedError


@pytest.mark.parametrize(
    ("hook", "table", "record"),
    [
        ("stoker_register_backends", "backends", _spec("x")),
        ("stoker_register_stores", "stores", _store("x")),
        ("stoker_register_transports", "transports", TransportSpec("x", _dialect)),
        ("stoker_register_dialects", "dialects", DialectSpec("x", _dialect)),
        ("stoker_register_parsers", "parsers", ParserSpec("x", lambda _: False, _dialect)),
        ("stoker_register_listeners", "listeners", ListenerSpec("x", _dialect)),
        ("stoker_register_metrics", "metrics", MetricSpec("x", _dialect)),
        ("stoker_register_commands", "commands", CommandSpec("x", "Do.", _dialect)),
    ],
)
def test_every_hook_brings_its_records(
    installed: Installed, hook: str, table: str, record: Any
) -> None:
    """What a hook returns is found under its name, and the plugin says which hook it was."""
    installed.add("good", **{hook: [record]})

    manager = installed.load()

    assert {"x": record} == getattr(manager, table)
    assert (hook,) == manager.provider(record).hooks


def test_format_rules_are_in_the_table(installed: Installed) -> None:
    """Rules have no names; the table of formats knows them."""
    rule = FormatRule(Role.DOC, media_type=MediaType("application/vnd.example.x"))
    installed.add("good", stoker_register_formats=[rule])

    (plugin,) = installed.load().plugins

    assert (("stoker_register_formats",), ("1 format rule",)) == (plugin.hooks, plugin.provides)

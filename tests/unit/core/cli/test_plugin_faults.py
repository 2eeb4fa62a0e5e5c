"""Plugins that are broken in every way: each is shown, and the program works."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_distribution import fake_distribution

GOOD = """
import stoker
from stoker.backend import BackendSpec, always_available
from stoker.media_types import GGUF

@stoker.hookimpl
def stoker_register_backends():
    return [BackendSpec("engine", (GGUF,), lambda *_: None, probe=always_available)]
"""
HOOK = "import stoker\n@stoker.hookimpl\ndef {name}({arguments}):\n    {body}\n"


@pytest.fixture
def faulty_plugin(
    stoker: Any, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Any]:
    """Installs a plugin `bad` beside a good one, and shows what the program says of both."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delenv("STOKER_PLUGINS")
    fake_distribution(folder, "stoker-good", {"good": GOOD})

    def install(source: str, *options: str, first: str = "", **distribution: Any) -> Any:
        fake_distribution(folder, "stoker-bad", {"bad": source}, **distribution)
        only = ("--plugin", "bad", "--plugin", "good")
        if first:
            # Before `bad` by its name, and so the owner of what both register.
            fake_distribution(folder, f"stoker-{first}", {first: source})
            only = ("--plugin", "bad", "--plugin", first)
        shown = stoker(*only, *options, "plugins", "--json")
        assert 0 == shown.code, shown.err
        plugins = {plugin["name"]: plugin for plugin in shown.document["plugins"]}
        assert "loaded" == plugins[first or "good"]["status"]
        listed = stoker(*only, *options, "list")
        assert 0 == listed.code, listed.err
        return plugins["bad"]

    yield install
    for name in [
        name
        for name in sys.modules
        if name.startswith(("stoker_bad", "stoker_good", "stoker_another"))
    ]:
        del sys.modules[name]


@pytest.mark.parametrize(
    ("source", "phase", "words", "remedy"),
    [
        ("raise RuntimeError('out of luck')", "import", "RuntimeError: out of luck", "author"),
        ("raise SystemExit(3)", "import", "SystemExit", "author"),
        ("def broken(:", "import", "SyntaxError", "author"),
        ("import no_such_engine", "import", "No module named 'no_such_engine'", "--upgrade"),
        (
            HOOK.format(name="stoker_register_backends", arguments="surprise", body="return []"),
            "register",
            "surprise",
            "versions that fit",
        ),
        (
            HOOK.format(name="stoker_register_flavours", arguments="", body="return []"),
            "register",
            "unknown hook stoker_register_flavours",
            "versions that fit",
        ),
        (
            HOOK.format(name="stoker_register_backends", arguments="", body="return [1]"),
            "call",
            "returned a int, not BackendSpec",
            "author",
        ),
        (
            HOOK.format(name="stoker_register_backends", arguments="", body="raise KeyError('x')"),
            "call",
            "stoker_register_backends raised KeyError: 'x'",
            "author",
        ),
    ],
)
def test_a_fault_is_shown_with_its_reason(
    faulty_plugin: Any, source: str, phase: str, words: str, remedy: str
) -> None:
    """A plugin that breaks says where, why and what to do; the other one works."""
    bad = faulty_plugin(source)

    assert ("failed", phase) == (bad["status"], bad["problem"]["phase"])
    assert words in bad["problem"]["summary"]
    assert remedy in bad["problem"]["remedy"]
    raised = phase == "import" or "raised" in words or "surprise" in words
    assert raised == ("Traceback (most recent call last)" in bad["problem"]["traceback"])


@pytest.mark.parametrize(
    ("group", "words", "remedy"),
    [
        ("stoker.v0", "version 0 of the plugin API, this stoker has 1", "newer stoker-bad"),
        ("stoker.v2", "version 2 of the plugin API, this stoker has 1", "a newer stoker"),
    ],
)
def test_another_version_of_the_api(
    faulty_plugin: Any, group: str, words: str, remedy: str
) -> None:
    """A plugin for an older or newer API is never imported, and it is said which it is made for."""
    bad = faulty_plugin("raise SystemExit('imported')", group=group)

    assert "version" == bad["problem"]["phase"]
    assert words in bad["problem"]["summary"]
    assert remedy in bad["problem"]["remedy"]


def test_a_plugin_may_be_made_for_several_versions(faulty_plugin: Any, tmp_path: Path) -> None:
    """What registers for this API and for a newer one is loaded, and listed once."""
    path = tmp_path / "site" / "stoker_bad-1.0.dist-info" / "entry_points.txt"
    (tmp_path / "site" / "stoker_newer.py").write_text("raise SystemExit('imported')")
    source = HOOK.format(name="stoker_register_stores", arguments="", body="return []")

    bad = faulty_plugin(source, group="stoker.v2]\nbad = stoker_newer\n[stoker.v1")

    assert 2 == path.read_text().count("bad = ")
    assert "loaded" == bad["status"]


def test_a_duplicate_name_belongs_to_the_first(faulty_plugin: Any) -> None:
    """A backend name that is taken fails its plugin, and the remedy names both ways out."""
    bad = faulty_plugin(GOOD, first="another")

    assert ("failed", "call") == (bad["status"], bad["problem"]["phase"])
    assert (
        "backend 'engine' is registered by plugin 'another' (stoker-another) already"
        == bad["problem"]["summary"]
    )
    assert "`stoker plugins uninstall stoker-bad`" in bad["problem"]["remedy"]
    assert 'block = ["bad"]' in bad["problem"]["remedy"]


@pytest.mark.parametrize(
    ("source", "phase", "words"),
    [
        ("import time\ntime.sleep(10)", "import", "its import took longer than 0.3 s"),
        (
            "import time\n"
            + HOOK.format(
                name="stoker_register_stores", arguments="", body="time.sleep(10); return []"
            ),
            "call",
            "stoker_register_stores took longer than 0.3 s",
        ),
    ],
)
def test_what_takes_ten_seconds_is_left_behind(
    faulty_plugin: Any, source: str, phase: str, words: str
) -> None:
    """A slow import, or hook, is given up after the bound, and everybody else goes on."""
    started_s = time.monotonic()
    bad = faulty_plugin(source, "--set", "plugins.import_timeout_s=0.3")

    assert ("failed", phase) == (bad["status"], bad["problem"]["phase"])
    assert words == bad["problem"]["summary"]
    assert "import_timeout_s" in bad["problem"]["remedy"]
    assert bad["import_ms"] >= 300
    assert time.monotonic() - started_s < 9


def test_a_plugin_that_is_left_behind_says_nothing_more(
    faulty_plugin: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """Given up, it cannot print into the results of a later command, nor finish its import."""
    faulty_plugin(
        "import time\ntime.sleep(0.6)\nprint('late')\nimport sys\nsys.stoker_was_imported = True",
        "--set",
        "plugins.import_timeout_s=0.1",
    )
    time.sleep(0.8)

    assert "late" not in "".join(capsys.readouterr())
    assert not hasattr(sys, "stoker_was_imported")


def test_a_plugin_that_prints(faulty_plugin: Any, stoker: Any) -> None:
    """What a module prints goes to standard error: the JSON stays what it is."""
    source = "print('hello from the import')\n" + HOOK.format(
        name="stoker_register_stores", arguments="", body="print('hello from the hook'); return []"
    )

    assert "loaded" == faulty_plugin(source)["status"]
    for name in [name for name in sys.modules if name.startswith("stoker_bad")]:
        del sys.modules[name]
    shown = stoker("--plugin", "bad", "plugins", "--json")

    assert "hello" not in shown.out
    assert "hello from the import\nhello from the hook\n" == shown.err


def test_doctor_says_what_to_do(faulty_plugin: Any, stoker: Any) -> None:
    """Every finding has its remedy, and the exit code says that something does not work."""
    faulty_plugin("import no_such_engine", requires=("no-such-engine>=2", 'other; extra == "x"'))
    options = ("--plugin", "bad", "--plugin", "good", "--set", "plugins.block=['zzz']")

    done = stoker(*options, "plugins", "doctor")
    found = stoker(*options, "plugins", "doctor", "--json").document

    assert 1 == done.code
    assert "error: bad failed (import): ModuleNotFoundError" in done.out
    assert "error: bad stoker-bad needs no-such-engine>=2, which is not installed" in done.out
    assert "warning: plugins.block names 'zzz'" in done.out
    assert "-> `stoker plugins install --upgrade stoker-bad`" in done.out
    assert ["error", "error", "warning"] == [
        item["severity"] for item in found if item["severity"] != "note"
    ]


def test_doctor_is_content(stoker: Any, home: Path) -> None:
    """Without problems it says so, and tells of what is left out by choice."""
    done = stoker("--no-plugin", "faulty", "plugins", "doctor")

    assert 0 == done.code
    assert "note: faulty is left out: its name is blocked ([plugins] block, or" in done.out
    assert done.out.endswith("all well\n")


def test_a_plugin_can_be_allowed_by_flag(stoker: Any, home: Path) -> None:
    """`--plugin` loads what it names and nothing else; a name that there is not is an error."""
    plugins = stoker("--plugin", "shelf", "plugins", "--json").document["plugins"]
    status = {plugin["name"]: plugin["status"] for plugin in plugins}
    wrong = stoker("--plugin", "zzz", "list")

    assert ("blocked", "loaded") == (status["faulty"], status["shelf"])
    assert 2 == wrong.code
    assert "--plugin: no plugin 'zzz' is installed; there are:" in wrong.err


COMMAND = """
import stoker
from stoker.command import CommandSpec

def make():
    import click

    @click.command("greet")
    @click.argument("name")
    @click.pass_obj
    def greet(invocation, name):
        \"\"\"Greet somebody.\"\"\"
        click.echo(f"Hello {name}, {len(invocation.application().stores.list())} models")

    return greet

@stoker.hookimpl
def stoker_register_commands():
    return [CommandSpec(name, "Greet somebody.", make) for name in ("greet", "list")]
"""


def test_a_plugin_adds_a_command(faulty_plugin: Any, stoker: Any) -> None:
    """It is found by its name and gets the application; the core's commands stay what they are."""
    bad = faulty_plugin(COMMAND)
    options = ("--plugin", "bad", "--plugin", "shelf")

    assert ["command greet", "command list"] == bad["provides"]
    assert (0, "Hello Ann, 0 models\n") == (
        (done := stoker(*options, "greet", "Ann")).code,
        done.out,
    )
    assert "Greet somebody." in stoker(*options, "greet", "--help").out
    assert [] == stoker(*options, "list", "--json").document
    assert "No such command 'greet'" in stoker("--plugin", "shelf", "greet", "Ann").err


@pytest.mark.parametrize("body", ["raise ValueError('no')", "return 'a command'"])
def test_a_command_that_cannot_be_made(faulty_plugin: Any, stoker: Any, body: str) -> None:
    """The plugin is named in one sentence."""
    faulty_plugin(
        "from stoker.command import CommandSpec\n"
        f"def make():\n    {body}\n"
        + HOOK.format(
            name="stoker_register_commands",
            arguments="",
            body="return [CommandSpec('odd', 'Be odd.', make)]",
        )
    )

    done = stoker("--plugin", "bad", "odd")

    assert 1 == done.code
    assert "Plugin 'bad' (stoker-bad 1.0) cannot make its command 'odd'" in done.err

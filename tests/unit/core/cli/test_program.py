"""The command as a whole: its options, and how it ends."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from stoker.version import __version__


def test_help_lists_commands_and_exit_codes(stoker) -> None:
    """`--help` says what there is, and what the exit codes mean."""
    done = stoker("--help")

    assert 0 == done.code
    assert "  pull " in done.out
    assert "Exit codes: 0 it worked" in done.out
    assert "" == done.err


def test_no_arguments_are_a_question_for_help(stoker) -> None:
    """Without a command the help is shown, as an error of usage."""
    done = stoker()

    assert 2 == done.code
    assert "Commands:" in done.out + done.err


def test_version(stoker) -> None:
    """`--version` prints one line."""

    assert (0, f"stoker {__version__}\n", "") == _ended(stoker("--version"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["frobnicate"], "No such command 'frobnicate'"),
        (["--frobnicate"], "No such option"),
        (["list", "--frobnicate"], "No such option"),
        (["pull"], "Missing argument 'REF'"),
        (["pull", "a", "b"], "unexpected extra argument"),
        (["package", "ai/x", "--weights", "missing.gguf"], "'missing.gguf' does not exist"),
        (["package", "ai/x", "--format", "zip", "--weights", "/"], "is not one of"),
        (["package", "ai/x"], "Say what to package"),
        (["serve", "--port", "many"], "'many' is not a valid integer"),
        (["stop"], "Say which models, or --all"),
        (["stop", "--all", "ai/x"], "Say which models, or --all"),
        (["run", "ai/x", "--raw", "--system", "Be brief.", "Hi"], "--raw continues a text"),
        (["run", "ai/x", "--top-p", "x"], "'x' is not a valid float"),
        (["run", "ai/x"], "Missing a prompt"),
    ],
)
def test_wrong_usage_is_one_sentence(stoker, arguments: list[str], words: str) -> None:
    """What is wrong with a command line is said in one line, with where to read on."""
    done = stoker(*arguments)

    assert 2 == done.code
    assert "" == done.out
    assert 1 == done.err.count("\n")
    assert done.err.startswith("stoker: error: ")
    assert words in done.err
    assert "--help`)" in done.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--set", "defaults.keep_alive_z=1", "list"], "--set: defaults.keep_alive_z: unknown"),
        (["--set", "defaults.keep_alive_s=soon", "list"], "--set: defaults.keep_alive_s: expected"),
        (["--set", "nonsense", "list"], "--set: nonsense: expected KEY=VALUE"),
        (["--config", "missing.toml", "list"], "missing.toml: cannot be read"),
        (["--no-plugin", "zzz", "list"], "--no-plugin: no plugin 'zzz' is installed; there are:"),
        (["list", "--quiet", "--set", "a=1"], "No such option"),
        (["inspect", "UPPER CASE"], "is not a repository name"),
        (["serve", "--transport", "pigeon"], "No transport is installed"),
    ],
)
def test_wrong_settings_are_named(stoker, arguments: list[str], words: str) -> None:
    """An error of a setting names where it came from, its key and what was expected."""
    done = stoker(*arguments)

    assert done.code in {2, 6}
    assert done.err.startswith("stoker: error: ")
    assert words in done.err
    assert "Traceback" not in done.err


def test_settings_come_from_the_file_that_is_named(stoker, tmp_path: Path) -> None:
    """`--config` is read instead of the home's file, and errors name it."""
    path = tmp_path / "other.toml"
    path.write_text("[defaults]\nstore = 'attic'\n")

    done = stoker("--config", str(path), "inspect", "ai/x")

    assert 2 == done.code
    assert "no store 'attic' is installed" in done.err


def test_no_plugin_adds_to_the_blocked_ones(stoker, home: Path) -> None:
    """`--no-plugin` blocks a plugin besides those that the config blocks."""
    home.mkdir()
    (home / "stoker.toml").write_text("[plugins]\nblock = ['faulty']\n")

    plugins = stoker("--no-plugin", "shelf", "plugins", "--json").document["plugins"]

    status = {plugin["name"]: plugin["status"] for plugin in plugins}
    assert ("blocked", "blocked") == (status["faulty"], status["shelf"])


def test_no_plugins_at_all(stoker, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without plugins nothing is listed, and a name needs a store, which the error says."""
    monkeypatch.setenv("STOKER_PLUGINS", "")

    assert (0, []) == ((done := stoker("list", "--json")).code, done.document)
    done = stoker("pull", "ai/x")
    assert 6 == done.code
    assert "No store for plain model names is installed" in done.err
    assert 6 == stoker("serve").code


def test_a_bug_is_one_line(stoker, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unexpected exception is called a bug, with its traceback on request only."""
    monkeypatch.setattr("stoker.application.Application.create", _fail)

    quiet = stoker("list")
    assert 1 == quiet.code
    assert "a bug in stoker or in a plugin, please report it: ZeroDivisionError: oh" in quiet.err
    assert 1 == quiet.err.count("\n")
    assert "Traceback" in stoker("-v", "list").err
    monkeypatch.setenv("STOKER_DEBUG", "1")
    assert "Traceback" in stoker("list").err


def test_a_failed_plugin_is_mentioned_with_an_error(
    stoker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When something is missing and a plugin could not be loaded, the error says so."""
    _install_broken_plugin(tmp_path, monkeypatch)
    monkeypatch.setenv("STOKER_PLUGINS", "broken")

    done = stoker("pull", "ai/x")

    assert 6 == done.code
    assert "these plugins could not be loaded: broken; see `stoker plugins`" in done.err


def test_a_reader_that_leaves_is_no_error(stoker, home: Path) -> None:
    """`stoker list | head` ends quietly when the reader has seen enough."""
    with subprocess.Popen(
        [sys.executable, "-m", "stoker", "plugins", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        process.stdout.close()
        _, err = process.communicate(timeout=30)

    assert "" == err


def test_python_m_stoker_is_stoker(home: Path) -> None:
    """`python -m stoker` runs the command under its own name."""
    done = subprocess.run(
        [sys.executable, "-m", "stoker", "pull"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert 2 == done.returncode
    assert "(see `stoker pull --help`)" in done.stderr


def test_interrupted_work_ends_with_130(stoker, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C is no error and has nothing to say."""
    monkeypatch.setattr("stoker.application.Application.create", _interrupt)

    assert (130, "", "") == _ended(stoker("list"))


def test_shell_completion_knows_the_commands(home: Path) -> None:
    """Click's completion offers the names of commands."""
    done = subprocess.run(
        [Path(sys.executable).with_name("stoker")],
        env=os.environ
        | {"_STOKER_COMPLETE": "bash_complete", "COMP_WORDS": "stoker pu", "COMP_CWORD": "1"},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert ["plain,pull", "plain,push"] == done.stdout.split()


def _ended(done) -> tuple[int, str, str]:
    return (done.code, done.out, done.err)


def _fail(**_: object) -> None:
    raise ZeroDivisionError("oh")


def _interrupt(**_: object) -> None:
    raise KeyboardInterrupt


def _install_broken_plugin(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = folder / "stoker_broken-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: stoker-broken\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[stoker.v1]\nbroken = stoker_broken\n")
    (folder / "stoker_broken.py").write_text("raise RuntimeError('broken\\non purpose')\n")
    monkeypatch.syspath_prepend(folder)

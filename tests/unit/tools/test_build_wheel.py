"""Building a wheel once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest


def test_build_settings_part_the_wheels(
    load_tool: Callable[[str], ModuleType], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wheel that was built with other settings for the compiler is not taken."""
    tool = load_tool("build_wheel")
    for name in tool.BUILD_SETTINGS:
        monkeypatch.delenv(name, raising=False)
    plain = tool.wheel_folder(tmp_path)
    monkeypatch.setenv("CMAKE_ARGS", "-DGGML_CUDA=on")

    assert tool.wheel_folder(tmp_path) not in {plain, tmp_path}
    assert tmp_path == plain.parent


@pytest.mark.parametrize(
    ("requirement", "expected"),
    [("some-engine==1.2", True), ("some-engine==1.3", False), ("other-engine==1.2", False)],
)
def test_a_wheel_is_found_again(
    load_tool: Callable[[str], ModuleType], tmp_path: Path, requirement: str, expected: bool
) -> None:
    """What was built is recognised by name and version."""
    (tmp_path / "some_engine-1.2-py3-none-any.whl").touch()

    assert expected == load_tool("build_wheel").built(requirement, tmp_path)


def test_a_failed_build_says_why(
    load_tool: Callable[[str], ModuleType], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """When pip fails, the end of its log is shown and nothing counts as built."""
    folder = tmp_path / "wheels"

    with pytest.raises(SystemExit, match="could not be built"):
        load_tool("build_wheel").build("not a requirement", folder)

    assert "Invalid requirement" in capsys.readouterr().err
    assert [] == list(folder.glob("*.whl"))

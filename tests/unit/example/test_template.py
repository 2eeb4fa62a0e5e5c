"""The folder is a template: it can be copied, cut down and renamed."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TEMPLATE = Path(__file__).parents[3] / "plugins-example"
PLUGINS = {
    "parrot": ("example-backend", ["backend example.parrot", "2 format rules"]),
    "lines": ("example-transport", ["transport lines"]),
    "wheel": ("wheel", ["store wheel", "1 format rule"]),
}

LIST_PLUGINS = """
import json
from importlib import metadata
from stoker.plugins import PluginManager

mine = metadata.entry_points(group="stoker.v1").select(module="shout.plugin")
found = PluginManager(entry_points=lambda: mine).plugins
print(json.dumps([(plugin.status, plugin.provides, str(plugin.problem)) for plugin in found]))
"""


@pytest.mark.parametrize("kept", PLUGINS)
def test_a_copy_of_one_plugin_works_alone(tmp_path: Path, kept: str) -> None:
    """One folder, renamed as the README says and without the others, is a working plugin."""
    name, provides = PLUGINS[kept]
    shutil.copytree(TEMPLATE / "src/stoker_example" / kept, tmp_path / "shout")
    for path in (tmp_path / "shout").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace(f"stoker_example.{kept}", "shout"), encoding="utf-8")
        assert "stoker_example" not in path.read_text(encoding="utf-8")
    info = tmp_path / "shout-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: shout\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[stoker.v1]\n{name}-copy = shout.plugin\n")
    listed = subprocess.run(
        [sys.executable, "-c", LIST_PLUGINS],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    assert [["loaded", provides, "None"]] == json.loads(listed.stdout)


def test_the_entry_points_are_the_folders() -> None:
    """Every plugin has its line in pyproject.toml and its row in the README."""
    project = (TEMPLATE / "pyproject.toml").read_text(encoding="utf-8")
    readme = (TEMPLATE / "README.md").read_text(encoding="utf-8")
    entry_points = dict(
        re.findall(r'^([\w-]+) = "stoker_example\.(\w+)\.plugin"', project, re.MULTILINE)
    )

    assert {name: folder for folder, (name, _) in PLUGINS.items()} == entry_points
    for name, folder in entry_points.items():
        assert f"| `{name}` |" in readme
        assert f"`stoker_example/{folder}/`" in readme


def test_the_readme_shows_a_test_that_runs(tmp_path: Path) -> None:
    """The contract test in the README is complete: pytest takes it as it stands."""
    readme = (TEMPLATE / "README.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    (tmp_path / "test_parrot.py").write_text(block, encoding="utf-8")
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )

    assert 0 == run.returncode, run.stdout
    assert " passed" in run.stdout

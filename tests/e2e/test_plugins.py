"""Plugins as their users get them: installed in an environment of its own."""

from __future__ import annotations

import subprocess
import venv
from pathlib import Path

import msgspec
import pytest
from stoker_process import ROOT, MakeHome

PARROT = "application/vnd.stoker.example.parrot.v1"


def test_a_plugin_that_raises_at_import_is_listed_and_stops_nothing(
    make_home: MakeHome, tmp_path: Path
) -> None:
    """`stoker plugins` shows what is wrong with it; everything else works."""
    info = tmp_path / "broken-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[stoker.v1]\nbroken = broken_plugin\n")
    (tmp_path / "broken_plugin.py").write_text("raise RuntimeError('out of luck')\n")
    home = make_home(PYTHONPATH=str(tmp_path))

    plugins = {
        plugin["name"]: plugin
        for plugin in msgspec.json.decode(home.ok("plugins", "--json"))["plugins"]
    }

    assert "failed" == plugins["broken"]["status"]
    assert "out of luck" in str(plugins["broken"]["problem"])
    assert "loaded" == plugins["registry"]["status"]
    assert "out of luck" in home.ok("plugins")
    home.ok("list")


@pytest.mark.slow
def test_the_example_adds_its_backend_to_another_environment(
    make_home: MakeHome, tmp_path: Path
) -> None:
    """Installed beside the core alone, its backend bids, and `stoker why` shows it."""
    folder = tmp_path / "env"
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    members = [str(ROOT / member) for member in ("core", "registry", "plugins-example")]
    subprocess.run(
        [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *members],
        check=True,
        capture_output=True,
        timeout=300,
    )
    home = make_home(python=str(python))
    phrases = tmp_path / "phrases.txt"
    phrases.write_text("*: Polly wants a cracker\n")

    home.ok("package", "test/polly", "--weights", str(phrases), "--media-type", PARROT)

    why = msgspec.json.decode(home.ok("why", "test/polly", "--json"))
    assert "example.parrot" == why["backend"]
    assert ["example.parrot"] == [bid["backend"] for bid in why["bids"]]
    assert "cracker" in home.ok("run", "test/polly", "Hello")
    listed = {p["name"] for p in msgspec.json.decode(home.ok("plugins", "--json"))["plugins"]}
    assert {"example-backend", "example-transport", "registry", "wheel"} == listed

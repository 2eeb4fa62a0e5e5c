"""Installing and removing plugins: real pip, in an environment of its own, without a network."""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import msgspec
import pytest

from stoker import plugin_installer
from stoker.errors import UnavailableError
from stoker.plugin_installer import PackageSources, PluginInstaller

HELLO = """
import stoker
from stoker.command import CommandSpec

@stoker.hookimpl
def stoker_register_commands():
    return [CommandSpec("hello", "Say hello.", lambda: None)]
"""


def make_wheel(folder: Path, name: str, files: dict[str, str], *metadata: str) -> Path:
    """A wheel with a RECORD, as pip wants it."""
    stem = f"{name.replace('-', '_')}-1.0"
    info = f"{stem}.dist-info"
    lines = ["Metadata-Version: 2.1", f"Name: {name}", "Version: 1.0", *metadata]
    files = files | {
        f"{info}/METADATA": "\n".join(lines) + "\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = ""
    path = folder / f"{stem}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        for file, text in files.items():
            wheel.writestr(file, text)
            digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest())
            record += f"{file},sha256={digest.decode().rstrip('=')},{len(text)}\n"
        wheel.writestr(f"{info}/RECORD", f"{record}{info}/RECORD,,\n")
    return path


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment that sees everything of this one, and installs for itself.

    Not `system_site_packages`: this interpreter may itself be in an environment.
    """
    folder = tmp_path_factory.mktemp("environment") / "env"
    venv.create(folder, with_pip=False, symlinks=True)
    (site,) = (folder / "lib").glob("python*/site-packages")
    seen = [path for path in sys.path if path.endswith(("site-packages", "src"))]
    lines = "".join(f"import site; site.addsitedir({path!r})\n" for path in seen)
    (site / "stoker_tests.pth").write_text(lines, encoding="utf-8")
    return folder / "bin" / "python"


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a plugin, what it needs, and something for a later stoker."""
    folder = tmp_path_factory.mktemp("wheels")
    info = "stoker_hello-1.0.dist-info/entry_points.txt"
    files = {"stoker_hello.py": HELLO, info: "[stoker.v1]\nhello = stoker_hello\n"}
    make_wheel(folder, "stoker-hello", files, "Requires-Dist: stoker", "Requires-Dist: hello-parts")
    make_wheel(folder, "hello-parts", {"hello_parts.py": ""})
    make_wheel(folder, "from-tomorrow", {"from_tomorrow.py": ""}, "Requires-Dist: stoker>=99")
    return folder


def stoker(python: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command in the environment, away from every index."""
    environ = {name: text for name, text in os.environ.items() if not name.startswith("PIP_")}
    return subprocess.run(
        [python, "-m", "stoker", *arguments],
        env=environ | {"PIP_CONFIG_FILE": os.devnull},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def plugins_of(python: Path) -> set[str]:
    """The names of the environment's plugins."""
    shown = stoker(python, "plugins", "--json")
    assert 0 == shown.returncode, shown.stderr
    return {plugin["name"] for plugin in msgspec.json.decode(shown.stdout)["plugins"]}


def test_a_plugin_comes_and_goes(environment: Path, wheels: Path) -> None:
    """It is installed with what it needs, listed, and removed by its own name."""
    sources = ("--no-index", "--find-links", str(wheels))
    installed = stoker(environment, "plugins", "install", *sources, "stoker-hello")
    again = stoker(environment, "plugins", "install", *sources, "stoker-hello")
    found = plugins_of(environment)
    removed = stoker(environment, "plugins", "uninstall", "hello")

    assert (0, "hello  stoker-hello 1.0  loaded\n") == (installed.returncode, installed.stdout)
    assert "hello-parts" in installed.stderr
    assert (0, "") == (again.returncode, again.stdout)
    assert "no plugin is new" in again.stderr
    assert "hello" in found
    assert (0, "stoker-hello\n") == (removed.returncode, removed.stdout)
    assert "hello" not in plugins_of(environment)


def test_what_cannot_be_installed(environment: Path, wheels: Path) -> None:
    """A plugin for another stoker, and one that is nowhere, are refused and change nothing."""
    sources = ("--no-index", "--find-links", str(wheels))

    for name in ("from-tomorrow", "no-such-plugin"):
        done = stoker(environment, "plugins", "install", *sources, name)
        assert 6 == done.returncode, done.stderr
        assert "pip could not install this; what it said above tells why." in done.stderr


def test_only_plugins_are_removed(environment: Path) -> None:
    """The command removes no distribution that is not a plugin's."""
    for name in ("stoker", "msgspec", "no-such-plugin"):
        done = stoker(environment, "plugins", "uninstall", name)
        assert 3 == done.returncode, done.stderr
        assert f"{name!r} is neither a plugin nor a distribution of plugins" in done.stderr


def test_uv_does_it_where_there_is_no_pip(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Environments of uv have no pip: uv is told which environment is meant."""
    monkeypatch.setattr(plugin_installer.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(shutil, "which", lambda name: str(tmp_path / "uv"))
    said = tmp_path / "said"
    (tmp_path / "uv").write_text(f'#!/bin/sh\necho "$@" >> {said}\n')
    (tmp_path / "uv").chmod(0o755)

    installer = PluginInstaller.here()
    installer.install(["stoker"], PackageSources(("wheels",), index=False), upgrade=True)
    installer.uninstall(["stoker-hello"])

    target = f"--python {sys.executable}"
    assert [
        f"pip install {target} --find-links wheels --no-index --upgrade -- stoker",
        f"pip uninstall {target} -- stoker-hello",
    ] == said.read_text().splitlines()


def test_neither_is_an_error_with_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without pip and uv it is said how to get one."""
    monkeypatch.setattr(plugin_installer.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(shutil, "which", lambda name: None)

    with pytest.raises(UnavailableError, match="python -m ensurepip"):
        PluginInstaller.here()

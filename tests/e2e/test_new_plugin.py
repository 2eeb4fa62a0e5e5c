"""`stoker plugins new`: the project installs, passes its contract tests and works at once."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from stoker_process import Home, MakeHome


@pytest.fixture
def python(tmp_path: Path) -> Path:
    """An environment that sees everything of this one, and installs for itself."""
    folder = tmp_path / "env"
    venv.create(folder, with_pip=False, symlinks=True)
    (site,) = (folder / "lib").glob("python*/site-packages")
    seen = [path for path in sys.path if path.endswith(("site-packages", "src"))]
    lines = "".join(f"import site; site.addsitedir({path!r})\n" for path in seen)
    (site / "stoker_tests.pth").write_text(lines, encoding="utf-8")
    return folder / "bin" / "python"


@pytest.fixture
def home(python: Path, make_home: MakeHome) -> Home:
    """An empty home of that environment."""
    return make_home(python=str(python))


def new_plugin(home: Home, kind: str, folder: Path) -> Path:
    """Write a project, install it as its readme says, and run its tests."""
    home.ok("plugins", "new", "shout", "--kind", kind, "--directory", str(folder))
    project = folder / "stoker-shout"
    install = ["install", "--quiet", "--no-index", "--no-deps", "--no-build-isolation"]
    home.python_ok("-m", "pip", *install, "--editable", str(project))
    tests = home.python_ok("-m", "pytest", "-q", "-p", "no:cacheprovider", str(project))
    assert " passed" in tests.stdout
    assert "failed" not in tests.stdout
    listed = msgspec.json.decode(home.ok("plugins", "--json"))["plugins"]
    assert ["loaded"] == [item["status"] for item in listed if item["name"] == "shout"]
    return project


@pytest.mark.slow
def test_a_new_backend_answers(home: Home, tmp_path: Path) -> None:
    """Its sample becomes a model, and is asked."""
    project = new_plugin(home, "backend", tmp_path)
    media_type = "application/vnd.stoker.shout.v1"
    sample = str(project / "sample.shout")
    home.ok("package", "test/shout", "--weights", sample, "--media-type", media_type)

    assert "You said: Good day\n" == home.ok("run", "test/shout", "Good day")
    assert "shout" == msgspec.json.decode(home.ok("why", "test/shout", "--json"))["backend"]


@pytest.mark.slow
def test_a_new_transport_serves(home: Home, tmp_path: Path) -> None:
    """It listens as soon as it is installed."""
    new_plugin(home, "transport", tmp_path)

    with started(home, "serve", "--transport", "shout") as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("listening on tcp://127.0.0.1:")


@pytest.mark.slow
def test_a_new_store_pulls(home: Home, tmp_path: Path) -> None:
    """It fetches a model by a name with its own scheme."""
    new_plugin(home, "store", tmp_path)
    with zipfile.ZipFile(tmp_path / "tiny_model-1.0-py3-none-any.whl", "w") as wheel:
        info = "tiny_model-1.0.dist-info"
        wheel.writestr("tiny_model/tiny.gguf", b"GGUF" + os.urandom(1000))
        wheel.writestr(f"{info}/METADATA", "Name: tiny-model\nVersion: 1.0\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
    home.environ.update(PIP_CONFIG_FILE=os.devnull, PIP_NO_INDEX="1", PIP_FIND_LINKS=str(tmp_path))
    home.ok("pull", "shout:tiny-model==1.0")

    (model,) = msgspec.json.decode(home.ok("list", "--json"))
    assert "shout" == model["store"]


@contextlib.contextmanager
def started(home: Home, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A command in a process of its own, ended by SIGTERM."""
    with subprocess.Popen(
        [home.python, "-m", "stoker", *arguments],
        env=home.full_environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=30)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["Bad Name", "--kind", "backend"], "is no name of a plugin"),
        (
            ["shout", "--kind", "teapot"],
            "No template for 'teapot' is installed; there are: backend",
        ),
    ],
)
def test_what_cannot_be_written(make_home: MakeHome, arguments: list[str], words: str) -> None:
    """A name that is none, and a kind that there is not, are refused with what there is."""

    assert words in make_home().refused("plugins", "new", *arguments)


def test_nothing_is_overwritten(make_home: MakeHome, tmp_path: Path) -> None:
    """A folder that exists is left alone."""
    home = make_home()
    (tmp_path / "stoker-shout").mkdir()

    refusal = home.refused(
        "plugins", "new", "shout", "--kind", "store", "--directory", str(tmp_path)
    )

    assert "exists already" in refusal
    assert [] == list((tmp_path / "stoker-shout").iterdir())

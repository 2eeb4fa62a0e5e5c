"""Real parts: the `stoker` command as users start it, the real model, real registries."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import tiny_mlx
from bert import write_tiny
from debian_registry import debian_registry
from programs import need
from stoker_process import (
    ACTING_MODEL,
    ACTOR,
    MODEL,
    Home,
    MakeHome,
    Registry,
    Server,
    acting_home,
)


@pytest.fixture
def make_home(tmp_path: Path) -> MakeHome:
    """Makes empty homes."""

    def make(name: str = "home", *, python: str = sys.executable, **environ: str) -> Home:
        path = tmp_path / name
        path.mkdir()
        return Home(path, environ, python)

    return make


@pytest.fixture(scope="session")
def model_home(tmp_path_factory: pytest.TempPathFactory, model_file: Path) -> Home:
    """A home that holds the real model as an artifact."""
    home = Home(tmp_path_factory.mktemp("model-home"))
    home.ok("package", MODEL, "--weights", str(model_file))
    return home


@pytest.fixture
def own_home(make_home: MakeHome, model_file: Path) -> Home:
    """A home with the real model that no other test's server runs for."""
    home = make_home("own-home")
    home.ok("package", MODEL, "--weights", str(model_file))
    return home


@pytest.fixture
def own_mlx_home(make_home: MakeHome, tmp_path: Path) -> Home:
    """The same with a tiny model for MLX, which has the name of the real one."""
    home = make_home("own-mlx-home")
    home.ok("package", MODEL, "--directory", str(tiny_mlx.knowing(tmp_path / "knowing")))
    return home


@pytest.fixture(scope="session")
def server(model_home: Home) -> Iterator[Server]:
    """A server with the real model, shared by all tests that leave it as it is."""
    with model_home.serve() as running:
        yield running


@pytest.fixture(scope="session")
def mlx_home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home that holds a tiny model for MLX, under the name of the real one."""
    home = Home(tmp_path_factory.mktemp("mlx-home"))
    folder = tiny_mlx.knowing(tmp_path_factory.mktemp("models") / "knowing")
    home.ok("package", MODEL, "--directory", str(folder))
    return home


@pytest.fixture(scope="session")
def mlx_server(mlx_home: Home) -> Iterator[Server]:
    """A server with that model."""
    with mlx_home.serve() as running:
        yield running


@pytest.fixture(
    scope="session", params=[pytest.param("server", marks=pytest.mark.model), "mlx_server"]
)
def served(request: pytest.FixtureRequest) -> Server:
    """A server with a model that knows the capital of France, on each engine in turn."""
    running: Server = request.getfixturevalue(request.param)
    return running


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with a scripted model that calls tools, sees images and thinks."""
    home = Home(tmp_path_factory.mktemp("stage"), {"PYTHONPATH": str(ACTOR)})
    with acting_home(home, tmp_path_factory.mktemp("actor")).serve() as running:
        yield running


@pytest.fixture(scope="session")
def client_models(tmp_path_factory: pytest.TempPathFactory, model_file: Path) -> Iterator[Server]:
    """A server with a model of each kind: `test/player` is scripted, `ai/tiny` embeds."""
    folder = tmp_path_factory.mktemp("client-models")
    home = Home(tmp_path_factory.mktemp("client-home"), {"PYTHONPATH": str(ACTOR)})
    # The scripted model's own name has words by which clients know models of other makers.
    acting_home(home, folder).ok("tag", ACTING_MODEL, "test/player")
    home.ok("package", MODEL, "--weights", str(model_file))
    write_tiny(folder / "tiny.gguf")
    home.ok("package", "ai/tiny", "--weights", str(folder / "tiny.gguf"))
    with home.serve() as running:
        yield running


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """Debian's `docker-registry` on a free port."""
    for program in ("docker-registry", "skopeo"):
        need(program)
    with debian_registry(tmp_path_factory.mktemp("registry")) as host:
        yield Registry(host)

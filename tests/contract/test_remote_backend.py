"""The remote backend keeps the contracts of text engines and of backends."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from openai_server import OpenAiServer, openai_server

from stoker.artifact import BundleFile, ModelBundle
from stoker.backend import BackendSpec
from stoker.digest import Digest
from stoker.engine import TextEngine
from stoker.media_types import Role
from stoker.reference import Reference
from stoker.testing import BackendContract, TextEngineContract
from stoker_remote.engine import open_engine
from stoker_remote.plugin import REMOTE, RemoteOptions, stoker_register_backends


@pytest.fixture
def server() -> Iterator[OpenAiServer]:
    """A server that repeats what it is told."""
    with openai_server() as running:
        yield running


@pytest.fixture
def weights(server: OpenAiServer, tmp_path: Path) -> Path:
    """The file that says where it is."""
    path = tmp_path / "echo.remote.json"
    path.write_text(json.dumps({"url": server.url, "model": "echo"}))
    return path


class TestRemoteEngine(TextEngineContract):
    @pytest.fixture
    def load(self, weights: Path) -> Callable[[], TextEngine]:
        """An engine that asks the server."""
        return lambda: open_engine([weights], RemoteOptions(timeout_s=10))


class TestRemoteBackend(BackendContract):
    @pytest.fixture
    def spec(self) -> BackendSpec:
        """The record."""
        (spec,) = stoker_register_backends()
        return spec

    @pytest.fixture
    def bundle(self, weights: Path) -> ModelBundle:
        """The model on the server."""
        files = (BundleFile(weights, Role.WEIGHTS, REMOTE),)
        return ModelBundle(Reference.parse("test/echo"), Digest.of(b"echo"), files)

"""What the distribution registers."""

from __future__ import annotations

import subprocess
import sys

import msgspec
import pytest

from stoker.backend import NoOptions
from stoker.dialect import AnswerRoute
from stoker.errors import ConfigError
from stoker.plugins import PluginManager
from stoker.transport import TransportContext
from stoker_litestar.options import HttpOptions
from stoker_litestar.server import HttpTransport


@pytest.fixture(scope="module")
def plugins() -> PluginManager:
    """The plugin alone, found by its entry point."""
    return PluginManager(allow=["litestar"])


def test_the_plugin_is_found(plugins: PluginManager) -> None:
    """The entry point loads and offers one transport and the dialects."""
    (plugin,) = [plugin for plugin in plugins.plugins if plugin.name == "litestar"]

    assert None is plugin.problem
    dialects = (
        "anthropic",
        "openai",
        "rerank",
        "responses",
        "ollama",
        "docker",
        "docker-anthropic",
        "docker-openai",
        "docker-rerank",
        "docker-responses",
    )
    assert ("transport http", *(f"dialect {name}" for name in dialects)) == plugin.provides


def test_the_transport_is_made_with_its_options(plugins: PluginManager) -> None:
    """The factory makes the transport, and refuses settings that make no sense."""
    factory = plugins.transports["http"].factory

    assert isinstance(factory(TransportContext(HttpOptions(), ())), HttpTransport)
    with pytest.raises(ConfigError):
        factory(TransportContext(HttpOptions(host="0.0.0.0"), ()))
    with pytest.raises(TypeError):
        factory(TransportContext(NoOptions(), ()))


@pytest.mark.parametrize(
    "table", [{"port": -1}, {"port": 65536}, {"max_body_bytes": 0}, {"prot": 1}]
)
def test_options_are_checked(table: dict[str, int]) -> None:
    """Wrong values and unknown names are refused."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(table, HttpOptions)


@pytest.mark.parametrize(
    ("name", "paths"),
    [
        (
            "openai",
            [
                "/v1/chat/completions",
                "/v1/completions",
                "/v1/embeddings",
                "/v1/chat/completions/input_tokens",
                "/tokenize",
                "/detokenize",
                "/apply-template",
            ],
        ),
        ("rerank", ["/v1/rerank", "/v2/rerank", "/rerank", "/v1/score", "/score"]),
    ],
)
def test_the_dialects_have_the_routes(plugins: PluginManager, name: str, paths: list[str]) -> None:
    """The dialects answer at the paths that clients expect."""
    dialect = plugins.dialects[name].factory()

    assert paths == [route.path for route in dialect.routes if isinstance(route, AnswerRoute)]


@pytest.mark.parametrize(
    "imports",
    [
        "stoker_litestar.plugin",
        "stoker_litestar.dialects.openai.dialect",
        "stoker_litestar.dialects.rerank.dialect",
    ],
)
def test_plugin_and_dialects_import_no_web_framework(imports: str) -> None:
    """Registration is light, and dialects are pure."""
    code = f"import sys, {imports}; print({{'litestar', 'uvicorn'}} & set(sys.modules))"

    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)

    assert "set()" == done.stdout.strip()

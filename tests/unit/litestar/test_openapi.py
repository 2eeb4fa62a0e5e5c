"""The server's own description of its routes is true: schemathesis holds it against the answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs
import httpx
import pytest
import schemathesis
from helpful import HelpfulEngine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from obliging import TEMPLATE, ObligingHost
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from wishful import WishfulEngine

from stoker.dialect import AnswerRoute
from stoker.plugins import PluginManager
from stoker_litestar.app import build_app
from stoker_litestar.dialects.openai.chat_fields import CHAT_FIELDS
from stoker_litestar.dialects.openai.dialect import openai_dialect
from stoker_litestar.openapi import document
from stoker_litestar.options import HttpOptions

CHECKS = (
    not_a_server_error,
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)


# The others are these below other paths.
SHIPPED = ("anthropic", "openai", "rerank", "responses", "ollama", "docker")
TOKENS = ("anthropic", "openai", "responses", "ollama")


def _app(load: Any, names: Sequence[str] = SHIPPED) -> Any:
    specs = PluginManager(allow={"litestar"}).dialects
    dialects = [attrs.evolve(specs[name].factory(), name=name) for name in names]
    options = HttpOptions(allowed_hosts=("testserver",))
    return build_app(ObligingHost(load).host, dialects, options)


GENERATING = (
    "/v1/messages",
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/responses",
    "/api/chat",
    "/api/generate",
)


def _engine() -> WishfulEngine:
    return WishfulEngine(lambda _: "Yes.", chat_template=TEMPLATE, context_length=200)


def _cases(load: Any, names: Sequence[str] = SHIPPED, paths: Sequence[str] = ()) -> list[Any]:
    """Operations with right requests, and those that have a body with wrong ones."""
    schema = schemathesis.openapi.from_asgi("/openapi.json", _app(load, names))
    operations = [found.ok() for found in schema.get_all_operations()]
    return [
        pytest.param(operation, mode, id=f"{operation.label} {mode.value}")
        for operation in operations
        if not paths or operation.path in paths
        for mode in GenerationMode
        if operation.body or mode is GenerationMode.POSITIVE
    ]


@pytest.mark.slow
@pytest.mark.parametrize(("operation", "mode"), _cases(HelpfulEngine))
@settings(max_examples=15, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_answers_are_as_described(
    operation: Any, mode: GenerationMode, data: st.DataObject
) -> None:
    """Whatever is sent, no answer is a server's error, and each has the form that it should."""
    case = data.draw(operation.as_strategy(generation_mode=mode))
    case.call_and_validate(checks=CHECKS)


@pytest.mark.slow
@pytest.mark.parametrize(("operation", "mode"), _cases(_engine, TOKENS, GENERATING))
@settings(max_examples=10, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_answers_of_an_engine_of_tokens_are_as_described(
    operation: Any, mode: GenerationMode, data: st.DataObject
) -> None:
    """The same with the whole text pipeline behind it."""
    case = data.draw(operation.as_strategy(generation_mode=mode))
    case.call_and_validate(checks=CHECKS)


def test_every_route_of_every_dialect_is_described() -> None:
    """None of the shipped dialects is left out."""
    dialects = [spec.factory() for spec in PluginManager(allow={"litestar"}).dialects.values()]
    paths = document(dialects, "1")["paths"]

    for dialect in dialects:
        for route in dialect.routes:
            if isinstance(route, AnswerRoute):
                assert "post" in paths[route.path]


def test_refused_fields_are_not_described() -> None:
    """The others are, with what there is to know of them."""
    described = document([openai_dialect()], "1")["components"]["schemas"]["ChatRequest"]
    refused = {name for name, rule in CHAT_FIELDS.items() if name in CHAT_FIELDS.refused}

    assert {"audio", "functions"} <= refused
    assert set(CHAT_FIELDS) - refused == set(described["properties"])
    words = described["properties"]["top_k"]["description"]
    assert "An extension: 0 keeps all." == words


async def test_the_document_is_served() -> None:
    """At the path that tools look at."""
    transport = httpx.ASGITransport(app=_app(HelpfulEngine))
    async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as http:
        response = await http.get("/openapi.json")

    assert ("3.1.0", "application/json") == (
        response.json()["openapi"],
        response.headers["content-type"],
    )

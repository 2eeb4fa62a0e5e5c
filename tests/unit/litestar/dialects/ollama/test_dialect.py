"""The routes, and what is said of them."""

from __future__ import annotations

from stoker.dialect import AnswerRoute, CommandRoute
from stoker_litestar.dialects.ollama.dialect import ollama_dialect
from stoker_litestar.openapi import document


def test_every_route_is_described() -> None:
    """All but the sign of life say what they take and give."""
    routes = [
        route for route in ollama_dialect().routes if isinstance(route, AnswerRoute | CommandRoute)
    ]

    assert ["/"] == [route.path for route in routes if route.description is None]


def test_streams_are_lines() -> None:
    """The document says so beside what comes whole."""
    found = document([ollama_dialect()], "0")

    content = found["paths"]["/api/chat"]["post"]["responses"]["2XX"]["content"]
    assert {"application/json", "application/x-ndjson"} == set(content)
    assert {"application/json"} == set(
        found["paths"]["/api/tags"]["get"]["responses"]["2XX"]["content"]
    )
    assert "shift" in found["components"]["schemas"]["ChatBody"]["properties"]
    assert "mirostat" in found["components"]["schemas"]["Options"]["properties"]

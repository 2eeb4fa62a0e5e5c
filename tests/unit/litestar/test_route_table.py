"""What dialects may not share."""

from __future__ import annotations

import pytest

from stoker.dialect import (
    AnswerRoute,
    BlobRoute,
    CommandCall,
    CommandQuery,
    CommandRoute,
    Dialect,
    ModelRoute,
    ModelsRoute,
    Route,
)
from stoker.errors import ConflictError
from stoker.testing import ScriptedHost
from stoker_litestar.app import build_app
from stoker_litestar.dialects.openai.error import encode_error
from stoker_litestar.options import HttpOptions
from stoker_litestar.plugin import stoker_register_dialects
from stoker_litestar.route_table import refuse_clashes


def _never(_query: CommandQuery) -> CommandCall:
    raise NotImplementedError


def _answer(path: str) -> AnswerRoute:
    return AnswerRoute(path, lambda _: NotImplemented)


def _models(path: str, header: str | None = None) -> ModelsRoute:
    return ModelsRoute(path, lambda _: b"", header=header)


def _dialects(first: Route, second: Route) -> list[Dialect]:
    return [
        Dialect((first,), encode_error, name="one"),
        Dialect((second,), encode_error, name="two"),
    ]


@pytest.mark.parametrize(
    ("first", "second", "what"),
    [
        (_answer("/x"), _answer("/x"), "POST /x"),
        (_answer("/x"), CommandRoute("POST", "/x", _never), "POST /x"),
        (_answer("/a/{backend}/x"), _answer("/a/{other}/x"), "POST /a/{other}/x"),
        (_models("/x"), CommandRoute("GET", "/x", _never), "GET /x"),
        (_models("/x", "h"), _models("/x", "h"), "GET with h /x"),
        (
            ModelRoute("/x", lambda _: b""),
            CommandRoute("GET", "/x/{name}", _never),
            "GET /x/{name}",
        ),
        (BlobRoute("/x"), CommandRoute("POST", "/x/{name}", _never), "POST /x/{name}"),
    ],
)
def test_two_dialects_cannot_have_one_route(first: Route, second: Route, what: str) -> None:
    """The error names both, the route, and the setting that settles it."""
    with pytest.raises(ConflictError) as caught:
        refuse_clashes(_dialects(first, second), ())

    assert (
        f"dialect 'one' and dialect 'two' both answer {what}: block the plugin of one of them"
        " (plugins.block)." == caught.value.message
    )


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (_answer("/x"), CommandRoute("GET", "/x", _never)),
        (_models("/x"), _models("/x", "h")),
        (_answer("/x"), _answer("/x/y")),
        (CommandRoute("POST", "/x/{name}/a", _never), CommandRoute("POST", "/x/{name}/b", _never)),
    ],
)
def test_other_routes_stand_side_by_side(first: Route, second: Route) -> None:
    """Another method, another header and another path are others."""
    refuse_clashes(_dialects(first, second), ())


def test_the_transport_has_routes_of_its_own() -> None:
    """A dialect that wants one of them is refused before anything is served."""
    dialects = _dialects(CommandRoute("GET", "/health", _never), _answer("/x"))

    with pytest.raises(ConflictError, match="the HTTP transport itself and dialect 'one'"):
        build_app(ScriptedHost().host, dialects, HttpOptions())


def test_the_shipped_dialects_do_not_clash() -> None:
    """All of them are mounted together."""
    dialects = [spec.factory() for spec in stoker_register_dialects()]

    app = build_app(ScriptedHost().host, dialects, HttpOptions())

    paths = {route.path for route in app.routes}
    assert {"/api/chat", "/v1/chat/completions", "/engines/v1/chat/completions"} <= paths

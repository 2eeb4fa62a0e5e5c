"""Errors as HTTP."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from stoker import errors
from stoker.errors import StokerError
from stoker_litestar import distribution_error
from stoker_litestar.dialects.openai import error as openai_error
from stoker_litestar.error_response import STATUSES


def subclasses(cls: type[StokerError]) -> Iterator[type[StokerError]]:
    for child in cls.__subclasses__():
        if child.__module__.startswith(("stoker.", "stoker_litestar.")):
            yield child
            yield from subclasses(child)


ALL = sorted(set(subclasses(StokerError)), key=lambda cls: cls.__name__)


@pytest.mark.parametrize("cls", ALL)
@pytest.mark.parametrize(
    "table", [STATUSES, openai_error._KINDS, distribution_error._CODES], ids=["status", "a", "b"]
)
def test_every_error_has_an_entry(table: dict[type, object], cls: type[StokerError]) -> None:
    """Every branch of the tree has an entry that is nearer than the root's.

    The distribution API names few codes; it says UNKNOWN for the rest.
    """
    if table is distribution_error._CODES:
        assert any(base in table for base in cls.__mro__)
    else:
        assert StokerError is not next(base for base in cls.__mro__ if base in table)


@pytest.mark.parametrize(
    ("cls", "status"),
    [
        (errors.InvalidRequestError, 400),
        (errors.ContextLengthExceededError, 400),
        (errors.InvalidReferenceError, 400),
        (errors.ModelNotFoundError, 404),
        (errors.AccessDeniedError, 403),
        (errors.InUseError, 409),
        (errors.OverloadedError, 503),
        (errors.LoadError, 503),
        (errors.PluginError, 500),
        (errors.ConfigError, 500),
    ],
)
def test_statuses_say_who_must_act(cls: type[StokerError], status: int) -> None:
    """The client's mistakes are 4xx, the server's trouble is 5xx."""
    assert status == next(STATUSES[base] for base in cls.__mro__ if base in STATUSES)


async def test_an_unknown_path_is_not_found(http: httpx.AsyncClient) -> None:
    """A path of no route answers in OpenAI's form."""
    response = await http.get("/v1/nothing")

    assert 404 == response.status_code
    assert {
        "error": {
            "message": "There is nothing at /v1/nothing.",
            "type": "invalid_request_error",
            "param": None,
            "code": "not_found",
        }
    } == response.json()


async def test_a_wrong_method_is_not_allowed(http: httpx.AsyncClient) -> None:
    """A route that exists says which methods it takes."""
    response = await http.get("/v1/chat/completions")

    assert 405 == response.status_code
    assert "POST" in response.headers["allow"]
    assert "invalid_request_error" == response.json()["error"]["type"]


async def test_a_wrong_method_has_the_form_of_its_api(http: httpx.AsyncClient) -> None:
    """Clients of one API read no other's errors."""
    response = await http.get("/v1/messages")

    assert 405 == response.status_code
    assert "POST" in response.headers["allow"]
    assert ("error", "invalid_request_error") == (
        response.json()["type"],
        response.json()["error"]["type"],
    )


async def test_health(http: httpx.AsyncClient) -> None:
    """The server says that it answers, and which version it is."""
    response = await http.get("/health")

    assert (200, {"status": "ok", "version": "0.1.0"}) == (response.status_code, response.json())

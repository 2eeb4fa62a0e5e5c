"""Records: responses as they are kept, and what their routes tell of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

import msgspec

from stoker.archive import Record
from stoker.dialect import RecordQuery
from stoker.errors import InvalidRequestError, NotFoundError
from stoker_litestar.dialects.json_body import field_error
from stoker_litestar.dialects.media import refused_part
from stoker_litestar.dialects.openai.wire.encoder import encode
from stoker_litestar.dialects.responses.wire.items import Item
from stoker_litestar.dialects.responses.wire.response import ResponseObject

_DEFAULT_LIMIT = 20
_MAX_LIMIT = 100
_FALSE = ("false", "False", "0")


class StoredResponse(msgspec.Struct, frozen=True):
    """What is kept of a response."""

    response: msgspec.Raw
    """As the client got it."""
    items: list[Item]
    """The conversation that the model read, without the instructions."""


class _Output(msgspec.Struct, frozen=True):
    """Of a kept response only its output."""

    output: list[Item]


class Deleted(msgspec.Struct, frozen=True):
    """What a client hears of a response that is gone."""

    id: str
    object: Literal["response"] = "response"
    deleted: Literal[True] = True


class ItemPage(msgspec.Struct, frozen=True, kw_only=True):
    """Some of the items."""

    object: Literal["list"] = "list"
    data: list[Item]
    first_id: str | None
    last_id: str | None
    has_more: bool


_DECODER = msgspec.json.Decoder(StoredResponse)


def _stored(record: Record) -> StoredResponse:
    """What a record holds.

    Raises:
        NotFoundError: It is another dialect's.
    """
    try:
        return _DECODER.decode(record.data)
    except msgspec.DecodeError as exc:
        raise NotFoundError(f"{record.id!r} is no response.") from exc


def record_of(response: ResponseObject, items: Iterable[Item]) -> Record:
    """Make the record of a response.

    Args:
        response: The response, at its end.
        items: The conversation that the model read.
    """
    kept = [_complete(item, f"{response.id}_{i}") for i, item in enumerate(items)]
    stored = StoredResponse(msgspec.Raw(encode(response)), kept)
    return Record(response.id, response.created_at, encode(stored))


def conversation_in(record: Record) -> list[Item]:
    """The conversation of a record, with the response at its end."""
    stored = _stored(record)
    output = msgspec.json.decode(stored.response, type=_Output).output
    return [*stored.items, *output]


def encode_stored(asked: RecordQuery) -> bytes:
    """The body of `GET /v1/responses/ID`.

    Raises:
        InvalidRequestError: The query has something unknown.
        UnsupportedFeatureError: It asks for a stream.
    """
    _check(asked.query, ("include", "include_obfuscation", "starting_after", "stream"))
    for name in ("stream", "include_obfuscation"):
        if asked.query.get(name, "false") not in _FALSE:
            raise refused_part(name, "a response that is complete comes whole")
    if "starting_after" in asked.query:
        raise refused_part("starting_after", "a response that is complete comes whole")
    return bytes(_stored(asked.record).response)


def encode_deleted(asked: RecordQuery) -> bytes:
    """The body of `DELETE /v1/responses/ID`."""
    _check(asked.query, ())
    return encode(Deleted(asked.record.id))


def refuse_cancel(asked: RecordQuery) -> bytes:
    """Answer `POST /v1/responses/ID/cancel`.

    Raises:
        InvalidRequestError: Always: what is kept is complete.
    """
    raise InvalidRequestError(
        f"{asked.record.id} is complete: only responses that are made in the background can be"
        " cancelled. Leave a stream to cancel what is being made.",
        param="response_id",
    )


def encode_items(asked: RecordQuery) -> bytes:
    """The body of `GET /v1/responses/ID/input_items`: the newest item first, unless asked else.

    Raises:
        InvalidRequestError: The query has something unknown or wrong.
    """
    query = asked.query
    _check(query, ("after", "include", "limit", "order"))
    items = _stored(asked.record).items
    order = query.get("order", "desc")
    if order not in ("asc", "desc"):
        raise field_error("order", "expected asc or desc")
    if order == "desc":
        items = items[::-1]
    if "after" in query:
        ids = [item["id"] for item in items]
        if query["after"] not in ids:
            raise field_error("after", f"there is no item {query['after']!r}")
        items = items[ids.index(query["after"]) + 1 :]
    limit = _limit(query)
    page = items[:limit]
    return encode(
        ItemPage(
            data=page,
            first_id=page[0]["id"] if page else None,
            last_id=page[-1]["id"] if page else None,
            has_more=len(items) > limit,
        )
    )


def _limit(query: Mapping[str, str]) -> int:
    text = query.get("limit", str(_DEFAULT_LIMIT))
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= _MAX_LIMIT):
        raise field_error("limit", f"expected a number between 1 and {_MAX_LIMIT}")
    return int(text)


def _check(query: Mapping[str, str], known: tuple[str, ...]) -> None:
    for name in query:
        # Lists come as `include[]`, `include[0]` and the like.
        if name.partition("[")[0] not in known:
            raise field_error(name, "there is no such field: remove it or check its spelling")


def _complete(item: Item, name: str) -> Item:
    """An item with all that a list of items shows of it."""
    kind = item.get("type", "message")
    complete: dict[str, Any] = {"type": kind, "id": f"item_{name}", "status": "completed"}
    complete |= {key: value for key, value in item.items() if value is not None}
    content = complete.get("content")
    if kind == "message" and isinstance(content, str):
        part = "output_text" if item.get("role") == "assistant" else "input_text"
        rest: Item = {"annotations": []} if part == "output_text" else {}
        complete["content"] = [{"type": part, "text": content} | rest]
    return complete

"""Decoding of bodies."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stoker.errors import InvalidRequestError
from stoker_litestar.dialects.json_body import decode_body


class Item(msgspec.Struct, forbid_unknown_fields=True):
    name: str


class Body(msgspec.Struct, forbid_unknown_fields=True):
    items: list[Item] = []
    size: float | None = None
    free: Any = None
    by_id: dict[int, float] = {}


DECODER = msgspec.json.Decoder(Body)


@pytest.mark.parametrize(
    ("body", "param", "message"),
    [
        (b'{"size": "a"}', "size", "size: expected float, got str."),
        (
            b'{"items": [{"name": "a"}, {"name": 1}]}',
            "items[1].name",
            "items[1].name: expected str, got int.",
        ),
        (b'{"items": [{}]}', "items[0].name", "items[0].name: this field is required."),
        (b'{"items": [{"name": "", "b": 1}]}', "items[0].b", "items[0].b: there is no such"),
        (b'{"sise": 1}', "sise", "sise: there is no such field"),
        (b'{"by_id": {"x": 1}}', "by_id", "by_id: as a key, expected int, got str."),
        (b"[]", None, "The request's body: expected object, got array."),
        (b"{", None, "The request's body is not JSON: Input data was truncated."),
        (b'{"free": "\xff"}', None, "The request's body is not JSON"),
        (b'{"free": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", None, "nested too deeply"),
    ],
)
def test_errors_name_the_field(body: bytes, param: str | None, message: str) -> None:
    """The place is in the message and, for programs, in `param`."""
    with pytest.raises(InvalidRequestError) as caught:
        decode_body(DECODER, body)

    assert param == caught.value.param
    assert message in caught.value.message


@given(st.binary(max_size=200))
def test_any_bytes_decode_or_are_refused(body: bytes) -> None:
    """No input gets another error."""
    try:
        decode_body(DECODER, body)
    except InvalidRequestError as exc:
        assert exc.message.endswith(".")  # noqa: PT017 - not every input is refused

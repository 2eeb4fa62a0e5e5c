"""Dialects with one fault each; `tools/mutations.py` looks whether the kit finds it."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import pytest

from stoker.dialect import AnswerRoute, Call, Dialect, ErrorContext, ModelsRoute, ResponseEncoder
from stoker.errors import InvalidRequestError, StokerError
from stoker.events import Event, Failed, Finished, TextDelta
from stoker.host import ModelCard
from stoker.request import GenerateRequest, TextPrompt
from stoker.testing import DialectContract, DialectSample


class Asked(msgspec.Struct):
    """A request."""

    model: str


class LineEncoder(ResponseEncoder):
    """A line of JSON for each piece."""

    content_type = "application/x-ndjson"

    def feed(self, event: Event) -> bytes:
        match event:
            case TextDelta(text=text):
                return self.line({"text": text})
            case Finished():
                return self.line({"done": True})
            case Failed(error=error):
                return self.line({"error": error.message})
        return b""

    def line(self, fields: dict[str, Any]) -> bytes:
        return json.dumps(fields).encode() + b"\n"


def encode_error(error: StokerError, context: ErrorContext) -> bytes:
    return json.dumps({"error": error.message}, ensure_ascii=False).encode()


def encode_models(cards: Sequence[ModelCard]) -> bytes:
    return json.dumps([card.name for card in cards]).encode()


class Mutant(DialectContract):
    """Makes the dialect that a subclass changes."""

    encoder_class: type[ResponseEncoder] = LineEncoder

    @staticmethod
    def encode_error(error: StokerError, context: ErrorContext) -> bytes:
        return encode_error(error, context)

    def model(self, body: bytes) -> str:
        try:
            return msgspec.json.decode(body, type=Asked).model
        except (msgspec.DecodeError, RecursionError) as exc:
            raise InvalidRequestError("This is no request.") from exc

    def encoder(self) -> ResponseEncoder:
        return self.encoder_class()

    def decode(self, body: bytes) -> Call:
        request = GenerateRequest(self.model(body), TextPrompt("Hi"))
        return Call(request, stream=True, encoder=lambda _context: self.encoder())

    @pytest.fixture
    def make_dialect(self) -> Callable[[], Dialect]:
        routes = (AnswerRoute("/say", self.decode), ModelsRoute("/models", encode_models))
        return lambda: Dialect(routes, self.encode_error)

    @pytest.fixture
    def samples(self) -> Sequence[DialectSample]:
        return [DialectSample("/say", b'{"model": "m"}')]


class TestTrusting(Mutant):
    """It falls over a body that is no request."""

    caught_by = frozenset({"test_garbage_is_a_bad_request"})

    def model(self, body: bytes) -> str:
        return str(json.loads(body)["model"])


class Ascii(LineEncoder):
    def line(self, fields: dict[str, Any]) -> bytes:
        return json.dumps(fields, ensure_ascii=False).encode("ascii", "ignore") + b"\n"


class TestAscii(Mutant):
    """It drops letters that are not ASCII."""

    caught_by = frozenset({"test_an_answer_reaches_the_client"})
    encoder_class = Ascii


class TestShared(Mutant):
    """It numbers the lines of all responses together."""

    caught_by = frozenset({"test_the_same_events_are_the_same_bytes", "test_responses_do_not_mix"})

    def encoder(self) -> ResponseEncoder:
        return Numbering()


class Numbering(LineEncoder):
    numbers = itertools.count()

    def line(self, fields: dict[str, Any]) -> bytes:
        return super().line({"number": next(self.numbers), **fields})


class Silent(LineEncoder):
    def feed(self, event: Event) -> bytes:
        return b"" if isinstance(event, Failed) else super().feed(event)


class TestSilent(Mutant):
    """It ends a stream that failed like one that is whole."""

    caught_by = frozenset({"test_a_failure_on_the_way_is_told"})
    encoder_class = Silent


class TestWordless(Mutant):
    """It tells errors by their class only."""

    caught_by = frozenset({"test_errors_are_written"})

    @staticmethod
    def encode_error(error: StokerError, context: ErrorContext) -> bytes:
        return json.dumps({"error": type(error).__name__}).encode()

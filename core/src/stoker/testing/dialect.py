"""The contract of dialects (`stoker.dialect.Dialect`), as tests."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence

import attrs
import msgspec
import pytest

from stoker import errors
from stoker.dialect import (
    AnswerRoute,
    Call,
    CommandQuery,
    CommandRoute,
    Dialect,
    ErrorContext,
    ModelRoute,
    ModelsRoute,
    ResponseContext,
    ResponseEncoder,
    Route,
)
from stoker.digest import Digest
from stoker.errors import OverloadedError, StokerError
from stoker.events import (
    ChoiceFinished,
    Event,
    Failed,
    Finished,
    FinishReason,
    Loading,
    Prefill,
    Queued,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
    Usage,
)
from stoker.host import ModelCard
from stoker.request import GenerateRequest
from stoker.testing.contract import Contract, missing_fixture

WORDS = ("Füße, ", "東京 ", 'and "quotes" \\ ', "🙂.")
"""What an answer says; each piece has something that is easily broken."""
CONTEXT = ResponseContext(id="contract-1", created_s=1_700_000_000)
GARBAGE = (
    b"",
    b"\xff\xfe",
    b"null",
    b"[]",
    b"{}",
    b'"text"',
    b'{"model": 5}',
    b'{"model": "m", "messages": {"role": []}, "prompt": {}, "input": 3.5}',
    b"[" * 100_000,
)
"""Bodies that are no request of any API."""


@attrs.frozen
class DialectSample:
    """A request that the dialect takes."""

    path: str
    """Of its `AnswerRoute`."""
    body: bytes


class DialectContract(Contract):
    """What every `Dialect` must do. Override `make_dialect` and `samples`."""

    @pytest.fixture
    def make_dialect(self) -> Callable[[], Dialect]:
        """The factory of the record. Override this."""
        missing_fixture(self, "make_dialect", "return the factory of your DialectSpec")

    @pytest.fixture
    def samples(self) -> Sequence[DialectSample]:
        """Requests for text: for each such route one with a stream and one without. Override it."""
        missing_fixture(self, "samples", "return a DialectSample for each route that makes text")

    @pytest.fixture
    def dialect(self, make_dialect: Callable[[], Dialect]) -> Dialect:
        """The dialect."""
        return make_dialect()

    def test_routes_do_not_clash(self, dialect: Dialect) -> None:
        """Every route is a whole path, and no two are asked for by the same request.

        To mend it: begin paths with `/`, and give one of two routes another path or method.
        """
        keys = [_key(route) for route in dialect.routes]

        assert keys
        assert all(key[1].startswith("/") for key in keys)
        assert len(keys) == len(set(keys))

    def test_statuses_are_those_of_errors(self, dialect: Dialect) -> None:
        """Statuses of its own are given to errors of the core, and say that something is wrong.

        To mend it: use classes of `stoker.errors` as keys, and statuses between 400 and 599.
        """
        assert all(issubclass(kind, StokerError) for kind in dialect.statuses)
        assert all(400 <= status < 600 for status in dialect.statuses.values())

    def test_samples_are_decoded(self, dialect: Dialect, samples: Sequence[DialectSample]) -> None:
        """A request means the same however often it is read, and names a model.

        To mend it: keep nothing between two calls of `decode`, and read no clock in it.
        """
        for sample in samples:
            call, again = _decoded(dialect, sample), _decoded(dialect, sample)

            assert call.request == again.request
            assert call.stream is again.stream
            assert call.request.model

    def test_garbage_is_a_bad_request(self, dialect: Dialect) -> None:
        """What is no request is an `InvalidRequestError` with a sentence, or harmless.

        A route that refuses everything may do so by another error of the core.

        To mend it: decode with a type (`msgspec.json.Decoder`), and convert its error and those
        of the types of the domain.
        """
        for route in dialect.routes:
            for body in GARBAGE:
                refusal = _refusal(route, body)
                assert refusal is None or refusal.message.strip(), f"{route.path}: {body[:40]!r}"

    def test_an_answer_reaches_the_client(
        self, dialect: Dialect, samples: Sequence[DialectSample]
    ) -> None:
        """Every piece of the text is in the bytes, in order, and so is the end of the answer.

        To mend it: write what `TextDelta` has into the response, whatever the characters are, and
        send a whole response with `Finished` at the latest.
        """
        for call in _texts(dialect, samples):
            encoder = call.encoder(CONTEXT)
            written = _fed(encoder, _answer())

            assert encoder.content_type
            assert "".join(WORDS) == "".join(_strings_with(written, WORDS, whole=not call.stream))

    def test_the_same_events_are_the_same_bytes(
        self, dialect: Dialect, samples: Sequence[DialectSample]
    ) -> None:
        """What is sent follows from the events and the context alone.

        To mend it: take ids and times from the `ResponseContext`.
        """
        for call in _texts(dialect, samples):
            assert _fed(call.encoder(CONTEXT), _answer()) == _fed(call.encoder(CONTEXT), _answer())

    def test_responses_do_not_mix(self, dialect: Dialect, samples: Sequence[DialectSample]) -> None:
        """Two responses that are written in turn are what each is alone.

        To mend it: make a new encoder in each call of `Call.encoder`, and keep all state in it.
        """
        for call in _texts(dialect, samples):
            alone = _fed(call.encoder(CONTEXT), _answer())
            encoders = [call.encoder(CONTEXT), call.encoder(CONTEXT)]
            written = [b"", b""]
            for event in _answer():
                for number, encoder in enumerate(encoders):
                    written[number] += encoder.feed(event)

            assert [alone, alone] == written

    def test_every_event_is_taken(self, dialect: Dialect, samples: Sequence[DialectSample]) -> None:
        """Waiting, loading, reasoning and calls of tools are no surprise, nor is an empty answer.

        To mend it: match events by their type, and give no bytes for those that the API lacks.
        """
        answers: tuple[tuple[Event, ...], ...] = (
            (Queued(2), Loading("reading", 0.5), Loading("reading", None), *_answer()),
            (
                Prefill(1, 2),
                Prefill(2, 2),
                ReasoningDelta("Hm."),
                TextDelta("So:"),
                ToolCallDelta(0, id="call-1", name="look"),
                ToolCallDelta(0, arguments='{"at": "'),
                ToolCallDelta(0, arguments='x"}'),
                ChoiceFinished(FinishReason.TOOL_CALLS),
                Finished(Usage(3, 4, reasoning_tokens=1)),
            ),
            (Prefill(3, 3), ChoiceFinished(FinishReason.LENGTH), Finished(Usage(3, 0))),
            (Prefill(3, 3), TextDelta("a"), ChoiceFinished(FinishReason.STOP, stop="b"), _FINISHED),
        )
        for call in _texts(dialect, samples):
            for events in answers:
                assert _fed(call.encoder(CONTEXT), events)

    def test_a_failure_on_the_way_is_told(
        self, dialect: Dialect, samples: Sequence[DialectSample]
    ) -> None:
        """A stream that has begun ends with the error's sentence.

        To mend it: answer `Failed` with the error event of the API.
        """
        failure = OverloadedError("There is no room left for this.", retry_after_s=1)
        for call in _texts(dialect, samples):
            if call.stream:
                encoder = call.encoder(CONTEXT)
                _fed(encoder, (Prefill(3, 3), TextDelta("So")))

                assert failure.message in encoder.feed(Failed(failure)).decode()

    def test_errors_are_written(self, dialect: Dialect) -> None:
        """Every error of the core becomes bytes with its sentence, as the content type says.

        To mend it: let `encode_error` use the error's `message`, and look classes up by their
        bases, so that those of plugins are known as well.
        """
        for error in _errors():
            data = dialect.encode_error(error, ErrorContext(status=500, request_id="contract"))

            assert error.message in data.decode()
            if dialect.error_content_type.startswith("application/json"):
                assert isinstance(msgspec.json.decode(data), dict)

    def test_models_are_listed(self, dialect: Dialect) -> None:
        """Lists name every model, and are lists when there is none.

        To mend it: write the card's `name`, by which requests ask for the model.
        """
        card = ModelCard("test/parrot", Digest.of(b"x"), 10, 0.0, "oci")
        for route in dialect.routes:
            if isinstance(route, ModelsRoute):
                assert route.encode([])
                assert card.name in route.encode([card, card]).decode()
            elif isinstance(route, ModelRoute):
                assert route.encode(card)


_FINISHED = Finished(Usage(prompt_tokens=3, completion_tokens=len(WORDS)))


def _answer() -> tuple[Event, ...]:
    return (
        Prefill(3, 3),
        *map(TextDelta, WORDS),
        ChoiceFinished(FinishReason.STOP),
        _FINISHED,
    )


def _key(route: Route) -> tuple[str, str, str]:
    default = "GET" if isinstance(route, ModelsRoute | ModelRoute) else "POST"
    method = getattr(route, "method", default)
    path = f"{route.path}/{{name}}" if isinstance(route, ModelRoute) else route.path
    return str(method), path, str(getattr(route, "header", None))


def _refusal(route: Route, body: bytes) -> StokerError | None:
    """Why a body is refused; None when it is not, or nobody would look at it."""
    try:
        if isinstance(route, AnswerRoute):
            route.decode(body)
        elif isinstance(route, CommandRoute) and route.method != "GET":
            route.decode(CommandQuery(name="test/model", body=body))
    except StokerError as exc:
        return exc
    return None


def _decoded(dialect: Dialect, sample: DialectSample) -> Call:
    route = next(
        item
        for item in dialect.routes
        if isinstance(item, AnswerRoute) and item.path == sample.path
    )
    call = route.decode(sample.body)
    assert isinstance(call, Call), f"The sample for {sample.path} is no request for an answer."
    return call


def _texts(dialect: Dialect, samples: Sequence[DialectSample]) -> Iterator[Call]:
    """The samples that ask for text."""
    for sample in samples:
        call = _decoded(dialect, sample)
        if isinstance(call.request, GenerateRequest):
            yield call


def _fed(encoder: ResponseEncoder, events: Sequence[Event]) -> bytes:
    return b"".join(encoder.feed(event) for event in events)


def _strings_with(data: bytes, words: Sequence[str], *, whole: bool) -> Iterator[str]:
    """The first string in the response's JSON that is the whole text, or each that is a word."""
    text = data.decode()
    wanted = {"".join(words)} if whole else set(words)
    decoder = json.JSONDecoder()
    place = text.find('"')
    seen = 0
    while place >= 0:
        try:
            value, end = decoder.raw_decode(text, place)
        except ValueError:
            place = text.find('"', place + 1)
            continue
        expected = "".join(words) if whole else words[seen] if seen < len(words) else None
        if value in wanted and value == expected:
            seen += 1
            yield value
            if whole:
                return
        place = text.find('"', end)


def _errors() -> Iterator[StokerError]:
    """One error of each class that a sentence is enough for."""
    for name in sorted(vars(errors)):
        kind = vars(errors)[name]
        if isinstance(kind, type) and issubclass(kind, StokerError):
            try:
                yield kind(f"This is {name}.")
            except TypeError:
                continue

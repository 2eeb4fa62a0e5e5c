"""Tests of `stoker.text.choice`."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stoker.engine import SampledToken
from stoker.errors import UnsupportedFeatureError
from stoker.events import TextDelta, TokenLogprob
from stoker.text.choice import Choice

# A vocabulary of whole texts, half characters, bytes that are no text, and a control token.
VOCABULARY = [b"a", b"b", b"ab", b"ba", b"c", b"\xe2\x98", b"\x83", b"\xff", b"", " é".encode()]


def _choice(*, stops: tuple[str, ...] = (), logprobs: bool = False) -> Choice:
    return Choice(0, token_bytes=VOCABULARY.__getitem__, stops=stops, logprobs=logprobs)


def _run(choice: Choice, steps: list[list[int]]) -> list[TextDelta]:
    deltas = []
    for step in steps:
        delta = choice.feed([SampledToken(token, logprob=-1.0 - token) for token in step])
        if delta is not None:
            deltas.append(delta)
        if choice.stop is not None:
            return deltas
    delta = choice.finish()
    return deltas if delta is None else [*deltas, delta]


_STEPS = st.lists(st.lists(st.integers(0, len(VOCABULARY) - 1), max_size=4), max_size=12)
_STOPS = st.lists(st.text("abc☃ ", min_size=1, max_size=4), max_size=3).map(tuple)


@given(_STEPS, _STOPS, st.booleans())
def test_text_is_the_whole_up_to_the_stop_string(
    steps: list[list[int]], stops: tuple[str, ...], logprobs: bool
) -> None:
    """The deltas, joined, are the decoded tokens up to the first stop string."""
    choice = _choice(stops=stops, logprobs=logprobs)
    whole = b"".join(VOCABULARY[token] for step in steps for token in step)
    text = whole.decode("utf-8", "replace")
    found = min(
        ((text.find(stop), len(stop), stop) for stop in stops if stop in text), default=None
    )

    deltas = _run(choice, steps)

    assert (text if found is None else text[: found[0]]) == "".join(each.text for each in deltas)
    assert (None if found is None else found[2]) == choice.stop


@given(_STEPS, _STOPS)
def test_logprobs_cover_the_shown_text(steps: list[list[int]], stops: tuple[str, ...]) -> None:
    """The tokens reported so far are a prefix of all, and never run ahead of the shown text."""
    choice = _choice(stops=stops, logprobs=True)
    tokens = [token for step in steps for token in step]

    deltas = _run(choice, steps)

    reported = [item.token_id for delta in deltas for item in delta.logprobs]
    assert tokens[: len(reported)] == reported
    if choice.stop is None:
        assert tokens == reported
    shown, data = "", b""
    for delta in deltas[:-1]:
        shown += delta.text
        data += b"".join(item.bytes for item in delta.logprobs)
        assert shown.startswith(data.decode("utf-8", "replace"))


@given(_STEPS)
def test_logprobs_do_not_change_the_text(steps: list[list[int]]) -> None:
    """The fast path and the careful one give the same text in every step."""
    plain = [delta.text for delta in _run(_choice(), steps)]
    careful = [delta.text for delta in _run(_choice(logprobs=True), steps)]

    assert [text for text in plain if text] == [text for text in careful if text]


def test_a_step_is_one_delta() -> None:
    """Tokens of one step are joined."""
    choice = _choice()

    assert TextDelta("abc", 0) == choice.feed([SampledToken(0), SampledToken(1), SampledToken(4)])
    assert 3 == choice.completion_tokens


def test_a_token_is_reported_with_the_text_that_it_ends_in() -> None:
    """Half a character and held text wait, with their tokens, for the rest."""
    choice = _choice(stops=("ca",), logprobs=True)

    deltas = [choice.feed([SampledToken(token, logprob=-1.0)]) for token in (0, 5, 6, 4, 1)]

    assert [
        ("a", [0]),
        None,
        ("☃", [5, 6]),
        None,
        ("cb", [4, 1]),
    ] == [delta and (delta.text, [item.token_id for item in delta.logprobs]) for delta in deltas]


def test_tokens_of_a_stop_string_are_counted_but_not_reported() -> None:
    """The token that begins in shown text is reported; those that are cut off are not."""
    choice = _choice(stops=("bc",), logprobs=True)

    deltas = _run(choice, [[0], [2], [4, 0]])

    assert "aa" == "".join(delta.text for delta in deltas)
    assert [0, 2] == [item.token_id for delta in deltas for item in delta.logprobs]
    # The token after the stop string is not one of the answer's.
    assert (3, "bc") == (choice.completion_tokens, choice.stop)


def test_a_stop_string_in_the_last_half_character() -> None:
    """What the end turns into U+FFFD can be a stop string, too."""
    choice = _choice(stops=("a\ufffd",), logprobs=True)

    assert [] == _run(choice, [[0], [5]])
    assert "a\ufffd" == choice.stop


def test_alternatives_carry_their_bytes() -> None:
    """The best tokens are reported with bytes and probabilities, best first."""
    choice = _choice(logprobs=True)

    delta = choice.feed([SampledToken(0, logprob=-0.5, top=((2, -0.25), (0, -0.5)))])

    assert (
        TextDelta(
            "a",
            0,
            (
                TokenLogprob(
                    0,
                    b"a",
                    -0.5,
                    (TokenLogprob(2, b"ab", -0.25), TokenLogprob(0, b"a", -0.5)),
                ),
            ),
        )
        == delta
    )


def test_missing_logprobs_are_an_error() -> None:
    """An engine that does not give what was asked for is found out."""
    with pytest.raises(UnsupportedFeatureError):
        _choice(logprobs=True).feed([SampledToken(0)])

"""Tests of `stoker.text.stop`."""

from __future__ import annotations

import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stoker.text.stop import StopMatcher

# Few letters, so that stop strings overlap each other and themselves.
_TEXT = st.text("ab", max_size=30)
_STOPS = st.lists(st.text("abc", min_size=1, max_size=6), min_size=1, max_size=4)


def _searched(text: str, stops: list[str]) -> tuple[str, str | None]:
    """The slow way: search the whole text."""
    found = [(text.find(stop), len(stop), stop) for stop in stops if stop in text]
    if not found:
        return text, None
    start, _, stop = min(found)
    return text[:start], stop


def _fed(pieces: list[str], stops: list[str]) -> tuple[str, str | None]:
    matcher = StopMatcher(stops)
    shown = ""
    for piece in pieces:
        text, stop = matcher.feed(piece)
        shown += text
        if stop is not None:
            return shown, stop
    text, stop = matcher.finish()
    return shown + text, stop


@given(st.lists(st.text("abc", max_size=4), max_size=20), _STOPS)
@example(["abc"], ["abcd", "bc"])
@example(["ab", "ce"], ["abcd", "bc"])
def test_any_cut_finds_what_a_search_of_the_whole_finds(
    pieces: list[str], stops: list[str]
) -> None:
    """The match and the text before it do not depend on how the text is cut."""
    assert _searched("".join(pieces), stops) == _fed(pieces, stops)


@given(_TEXT, _STOPS)
def test_held_text_is_the_longest_that_may_begin_a_stop_string(text: str, stops: list[str]) -> None:
    """No more is held back than needed, as long as nothing was found."""
    matcher = StopMatcher(stops)
    shown, stop = matcher.feed(text)
    if stop is None and not any(each in text for each in stops):
        held = max(
            (
                length
                for each in stops
                for length in range(1, len(each))
                if text.endswith(each[:length])
            ),
            default=0,
        )

        assert text[: len(text) - held] == shown


@pytest.mark.parametrize(
    ("pieces", "stops", "expected"),
    [
        (["one\n", "\ntwo"], ["\n\n"], ("one", "\n\n")),
        (["User", ": hi"], ["User:"], ("", "User:")),
        (["aab"], ["ab", "aab"], ("", "aab")),
        (["abab"], ["abab", "ab"], ("", "ab")),
        (["héllo", " ☃"], ["☃"], ("héllo ", "☃")),
        (["no", "ne"], ["nope"], ("none", None)),
        ([], ["x"], ("", None)),
    ],
)
def test_examples(pieces: list[str], stops: list[str], expected: tuple[str, str | None]) -> None:
    """The match that starts first wins, and of two that start together the shorter one."""
    assert expected == _fed(pieces, stops)


def test_time_is_linear_in_long_held_text() -> None:
    """A stop string that almost matches for long costs no quadratic time."""
    matcher = StopMatcher(["a" * 100_000 + "b"])

    before_s = time.perf_counter()
    shown = sum([len(matcher.feed("a")[0]) for _ in range(300_000)])

    assert 200_000 == shown
    # Half a second at most here; the quadratic way takes minutes.
    assert time.perf_counter() - before_s < 20

"""All shipped parsers, over what their models write."""

from __future__ import annotations

import itertools

import pytest
from family_answers import ANSWERS, TOOLS, Answer, chunked, said
from hypothesis import given, settings
from hypothesis import strategies as st

from stoker.parser import ParsingContext
from stoker.parsers.shipped import SHIPPED


def _cut(text: str, places: list[int]) -> list[str]:
    edges = [0, *sorted(place % (len(text) + 1) for place in places), len(text)]
    return [text[start:end] for start, end in itertools.pairwise(edges)]


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: answer.name)
def test_an_answer_is_understood(answer: Answer) -> None:
    """Text, reasoning and calls are told apart; arguments are the JSON that the model meant."""

    assert answer.said == said(answer.syntax, answer.written, answer.prompt)


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: answer.name)
@settings(max_examples=25)
@given(places=st.lists(st.integers(min_value=0, max_value=2000), max_size=40))
def test_chunks_do_not_matter(answer: Answer, places: list[int]) -> None:
    """Whatever the pieces in which an answer comes, the deltas are the same when joined."""
    whole = chunked(answer.syntax, [answer.written], answer.prompt)

    assert whole == chunked(answer.syntax, _cut(answer.written, places), answer.prompt)
    assert whole == chunked(answer.syntax, list(answer.written), answer.prompt)


_FAMILIES = list({type(answer.syntax).__name__: answer for answer in ANSWERS}.values())


@pytest.mark.parametrize("answer", _FAMILIES, ids=lambda answer: type(answer.syntax).__name__)
@settings(max_examples=60)
@given(data=st.data())
def test_no_text_is_too_odd(answer: Answer, data: st.DataObject) -> None:
    """Broken, cut and mixed answers are read without an error, the same in any pieces."""
    own = [other.written for other in ANSWERS if type(other.syntax) is type(answer.syntax)]
    marks = sorted(answer.syntax.control_tokens)
    piece = st.one_of(
        st.sampled_from([*marks, *own, "{", "}", '"', "\\", "[", "]", ",", ":", "\n", " ", "x"]),
        st.text(max_size=5),
        st.builds(
            lambda text, end: text[: end % (len(text) + 1)],
            st.sampled_from(own),
            st.integers(min_value=0, max_value=1000),
        ),
    )
    text = "".join(data.draw(st.lists(piece, max_size=8)))
    places = data.draw(st.lists(st.integers(min_value=0, max_value=2000), max_size=20))

    assert chunked(answer.syntax, [text]) == chunked(answer.syntax, _cut(text, places))


def _letters(text: str, *without: str) -> str:
    for mark in without:
        text = text.replace(mark, "")
    return "".join(text.split())


@pytest.mark.parametrize("answer", _FAMILIES, ids=lambda answer: type(answer.syntax).__name__)
@settings(max_examples=60)
@given(data=st.data())
def test_what_is_no_call_is_text(answer: Answer, data: st.DataObject) -> None:
    """Nothing is lost of an answer that begins calls and makes none."""
    if answer.syntax.answer_lead.startswith("<|channel|>"):
        # Each message has a header there, which is nobody's.
        return
    own = [other.written for other in ANSWERS if type(other.syntax) is type(answer.syntax)]
    begun = [text[: len(text) // part] for text in own for part in (2, 3, 5)]
    piece = st.sampled_from([*answer.syntax.control_tokens, *begun, "{", '"', "[", ", ", "a b"])
    text = "".join(data.draw(st.lists(piece, max_size=6)))
    marks = answer.syntax.reasoning
    ignored = getattr(answer.syntax.parser(ParsingContext("", TOOLS)), "ignored", ())
    said_text, reasoning, calls = chunked(answer.syntax, [text])
    if calls or reasoning or (marks is not None and marks.start.strip() in text):
        return

    assert _letters(text, *ignored) == _letters(said_text)


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: answer.name)
def test_a_call_is_told_while_it_is_written(answer: Answer) -> None:
    """The name of a call comes before the call's end, and its arguments in pieces."""
    if not answer.said.calls or "built-in" in answer.name or "arguments-as-text" in answer.name:
        return
    parser = answer.syntax.parser(ParsingContext(answer.prompt, TOOLS))
    named = next(
        position
        for position, character in enumerate(answer.written)
        if any(getattr(delta, "name", None) for delta in parser.feed(character))
    )

    assert named < len(answer.written) - 1


@pytest.mark.parametrize("answer", _FAMILIES, ids=lambda answer: type(answer.syntax).__name__)
def test_without_tools_calls_are_text(answer: Answer) -> None:
    """Who offers no tools gets none called."""
    _, _, calls = chunked(answer.syntax, [answer.written], answer.prompt, tools=())

    assert () == calls


def test_the_shipped_parsers_have_names_of_their_own() -> None:
    """A config names one of them."""
    names = [spec.name for spec in SHIPPED]

    assert sorted(set(names)) == sorted(names)

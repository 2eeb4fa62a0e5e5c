"""Where the last tokens were met before."""

from __future__ import annotations

from array import array

from hypothesis import given
from hypothesis import strategies as st

from stoker_llama_cpp.prompt_lookup import GRAMS, PromptLookup


def found(*tokens: int) -> tuple[int, int] | None:
    """What a fresh lookup finds."""
    return PromptLookup().find(array("i", tokens))


def test_new_tokens_are_not_found() -> None:
    """Tokens that were never met before have no place."""
    assert None is found(1, 2, 3, 4, 5, 6, 7)


def test_what_followed_is_found() -> None:
    """The place is that of the token behind the same run."""
    assert (1, 3) == found(1, 2, 3, 9, 1, 2, 3)


def test_the_latest_place_counts() -> None:
    """Of several places the last one is found."""
    assert (1, 7) == found(1, 2, 3, 8, 1, 2, 3, 9, 1, 2, 3)


def test_a_long_run_counts_more() -> None:
    """A place that fits better is found before a later one."""
    long = (4, 5, 6, 1, 2, 3)

    assert (0, 6) == found(*long, 8, 1, 2, 3, 9, *long)


def test_short_rows_have_none() -> None:
    """Fewer tokens than a run has are no reason to fail."""
    assert None is found(1, 1)
    assert (1, 3) == found(1, 1, 1, 1)


@given(tokens=st.lists(st.integers(0, 2), min_size=1, max_size=40), first=st.integers(1, 40))
def test_it_may_be_asked_at_any_time(tokens: list[int], first: int) -> None:
    """A lookup that saw a row grow finds what a search through the row finds."""
    lookup, row = PromptLookup(), array("i", tokens[:first])
    lookup.find(row)
    row.extend(tokens[first:])
    expected = None
    for kind, size in reversed(list(enumerate(GRAMS))):
        for end in range(size, len(row)):
            if row[end - size : end] == row[-size:]:
                expected = (kind, end)

    assert expected == lookup.find(row)

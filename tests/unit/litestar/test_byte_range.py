"""Byte ranges."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stoker_litestar.byte_range import ByteRange, RangeNotSatisfiableError


@pytest.mark.parametrize(
    "header", [None, "", "bytes=-", "bytes=5-2", "lines=0-1", "bytes=0-1,4-5", "bytes=a-b"]
)
def test_what_is_no_single_range_gives_the_whole(header: str | None) -> None:
    """A server may ignore any range that it does not understand."""
    assert None is ByteRange.parse(header, size_bytes=10)


@pytest.mark.parametrize("header", ["bytes=10-", "bytes=10-20", "bytes=-0"])
def test_a_range_without_bytes_cannot_be_satisfied(header: str) -> None:
    """Nothing of the file lies in it."""
    with pytest.raises(RangeNotSatisfiableError):
        ByteRange.parse(header, size_bytes=10)


@given(size=st.integers(1, 50), first=st.integers(0, 60), last=st.integers(0, 60))
def test_a_range_is_a_slice(size: int, first: int, last: int) -> None:
    """A range that lies in the file names the bytes that Python's slice has."""
    data = bytes(range(size))
    try:
        part = ByteRange.parse(f"bytes={first}-{last}", size_bytes=size)
    except RangeNotSatisfiableError:
        assert b"" == data[first : last + 1]
        return

    if last < first:
        assert None is part
    else:
        assert part is not None
        assert data[first : last + 1] == data[part.start : part.stop]

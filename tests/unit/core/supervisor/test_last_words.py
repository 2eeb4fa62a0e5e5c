from __future__ import annotations

import asyncio

from stoker.supervisor.last_words import LastWords


async def _drained(*chunks: bytes) -> LastWords:
    stream = asyncio.StreamReader()
    for chunk in chunks:
        stream.feed_data(chunk)
    stream.feed_eof()
    words = LastWords()
    await words.drain(stream)
    return words


async def test_the_last_line_is_the_summary() -> None:
    """Empty lines and cut chunks do not matter."""
    words = await _drained(b"first\nse", b"cond\n\n", b"  the end \n\n")

    assert ("first", "second", "the end") == words.lines
    assert "the end" == words.summary


async def test_a_flood_is_bounded() -> None:
    """Neither many lines nor an endless one pile up."""
    words = await _drained(b"line\n" * 100_000, b"x" * 10_000_000)

    assert sum(map(len, words.lines)) < 100_000
    assert words.summary.startswith("x")


async def test_silence_has_no_summary() -> None:
    """A process that said nothing has no last words."""

    assert "" == (await _drained()).summary


async def test_bytes_that_are_no_text_are_kept_readable() -> None:
    """Output need not be UTF-8."""

    assert "caf\ufffd" == (await _drained(b"caf\xe9\n")).summary

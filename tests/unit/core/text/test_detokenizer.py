"""Tests of `stoker.text.detokenizer`."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from stoker.text.detokenizer import Detokenizer

# Bytes that are often nearly UTF-8: pieces of characters, over-long forms, surrogates.
_NASTY = st.lists(
    st.one_of(
        st.text(max_size=3).map(str.encode),
        st.sampled_from([b"\xf0\x9f", b"\x98\x80", b"\xe2\x82", b"\xed\xa0\x80", b"\xc0\x80"]),
        st.binary(max_size=3),
    )
)


@example([b"\xed\xa0", b"\x80"])
@example([b"\xed", b"\xbf", b"\xbfa"])
@example([b"\xed", b"\x9f", b"\xbf"])
@given(_NASTY)
def test_pieces_joined_are_the_whole_decoded(pieces: list[bytes]) -> None:
    """Any split gives what decoding the whole at once gives."""
    detokenizer = Detokenizer()

    text = "".join([detokenizer.feed(piece) for piece in pieces]) + detokenizer.finish()

    assert b"".join(pieces).decode("utf-8", "replace") == text


@example([b"\xed\xa0"])
@example([b"\xed\x9f"])
@given(_NASTY)
def test_pending_bytes_become_one_character(pieces: list[bytes]) -> None:
    """What is pending at the end becomes exactly one U+FFFD."""
    detokenizer = Detokenizer()
    for piece in pieces:
        detokenizer.feed(piece)
    pending = detokenizer.pending

    assert ("\ufffd" if pending else "") == detokenizer.finish()
    assert not detokenizer.pending


def test_a_character_appears_with_its_last_byte() -> None:
    """No half character is ever shown."""
    detokenizer = Detokenizer()

    assert ["", "", "", "\U0001f600"] == [
        detokenizer.feed(bytes([byte])) for byte in "\U0001f600".encode()
    ]

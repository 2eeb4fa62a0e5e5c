"""Detokenising: from the bytes of tokens to whole characters, as they arrive."""

from __future__ import annotations

import codecs

# Python's decoder waits for the third byte of a surrogate, which is no character all the same.
_SURROGATE_LEAD = b"\xed"
_FIRST_SURROGATE = b"\xa0"


class Detokenizer:
    """An incremental UTF-8 decoder for one choice.

    The pieces, joined, are exactly what decoding the whole with `errors="replace"` gives: bytes
    that are no UTF-8 become U+FFFD, and a character whose bytes are spread over tokens appears
    with its last one.
    """

    __slots__ = ("_pending",)

    def __init__(self) -> None:
        self._pending = b""

    @property
    def pending(self) -> bool:
        """Whether the first bytes of a character wait for the others.

        They will become exactly one character: itself, or one U+FFFD.
        """
        return bool(self._pending)

    def feed(self, data: bytes) -> str:
        """Take the next bytes; return the characters that are complete, often none."""
        if self._pending:
            data = self._pending + data
        text, consumed = codecs.utf_8_decode(data, "replace", False)  # noqa: FBT003 - C function
        self._pending = data[consumed:]
        if self._pending[:1] == _SURROGATE_LEAD and self._pending[1:] >= _FIRST_SURROGATE:
            return text + self.finish()
        return text

    def finish(self) -> str:
        """The bytes have ended: return what the pending ones decode to."""
        text, _ = codecs.utf_8_decode(self._pending, "replace", True)  # noqa: FBT003 - C function
        self._pending = b""
        return text

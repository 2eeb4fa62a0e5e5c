"""Marks: texts around words, by which these are found again in what a template wrote."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import attrs

from stoker.messages import Author, Message, TextPart

UNTRUSTED = (Author.USER, Author.TOOL)
"""Whose words come from outside the application, often."""


@attrs.frozen
class Marks:
    """A pair of texts to put around words, which nobody could have foreseen."""

    begin: str
    end: str

    @classmethod
    def fresh(cls) -> Marks:
        """Make a pair."""
        nonce = secrets.token_hex(8)
        # Unicode noncharacters: no template treats them as white space, quotes or letters.
        return cls(f"\ufdd0{nonce}\ufdd1", f"\ufdd1{nonce}\ufdd0")

    def around(self, message: Message) -> Message:
        """Put marks around an untrusted message's words, inside of the space that is trimmed."""
        text = message.text
        words = text.strip()
        if message.author not in UNTRUSTED or not words:
            return message
        before, _, after = text.partition(words)
        text = f"{before}{self.begin}{words}{self.end}{after}"
        return attrs.evolve(message, parts=(TextPart(text),))

    def split(self, text: str) -> Iterator[tuple[str, bool]]:
        """Cut a text into pieces, each with whether it stands outside marks.

        Marks without a partner stay in the text.
        """
        outside, *rest = text.split(self.begin)
        yield outside, True
        for piece in rest:
            inside, mark, outside = piece.partition(self.end)
            yield (inside, False) if mark else (self.begin + inside, True)
            yield outside, True

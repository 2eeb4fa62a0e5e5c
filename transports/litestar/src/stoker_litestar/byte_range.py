"""Byte ranges of HTTP: which part of a file a request asks for."""

from __future__ import annotations

import re

import attrs

from stoker.errors import InvalidInputError

# RFC 9110, section 14.1.2. Several ranges in one header are legal to ignore (section 14.2).
_SINGLE = re.compile(r"bytes=(?P<first>\d*)-(?P<last>\d*)", re.ASCII)


class RangeNotSatisfiableError(InvalidInputError):
    """A range begins after the file's end.

    Attributes:
        size_bytes: The file's size.
    """

    def __init__(self, *, size_bytes: int) -> None:
        self.size_bytes = size_bytes
        super().__init__(f"The range begins after the blob's end, which is at {size_bytes} bytes.")


@attrs.frozen
class ByteRange:
    """A part of a file."""

    start: int
    stop: int
    """The first byte that is not part of it."""

    @property
    def size_bytes(self) -> int:
        """How many bytes it has."""
        return self.stop - self.start

    def content_range(self, size_bytes: int) -> str:
        """The `Content-Range` of an answer with this part of a file of that size."""
        return f"bytes {self.start}-{self.stop - 1}/{size_bytes}"

    @classmethod
    def parse(cls, header: str | None, *, size_bytes: int) -> ByteRange | None:
        """Read a `Range` header.

        Returns:
            The part, or None when the whole file is to be sent: without a header, and with one
            that is malformed, in other units or of several parts.

        Raises:
            RangeNotSatisfiableError: Nothing of the file lies in the range.
        """
        match = _SINGLE.fullmatch(header.strip()) if header else None
        if match is None or not (match["first"] or match["last"]):
            return None
        if not match["first"]:
            start = max(0, size_bytes - int(match["last"]))
            stop = size_bytes
        else:
            start = int(match["first"])
            stop = size_bytes
            if match["last"]:
                if int(match["last"]) < start:
                    return None
                stop = min(size_bytes, int(match["last"]) + 1)
        if start >= stop:
            raise RangeNotSatisfiableError(size_bytes=size_bytes)
        return cls(start, stop)

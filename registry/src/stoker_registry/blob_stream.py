"""The bytes of a blob as a registry sends them: exactly those that were asked for."""

from __future__ import annotations

import contextlib
import re
from typing import Self

import requests

from stoker.errors import IntegrityError
from stoker.manifest import Descriptor
from stoker_registry.pace import Pace
from stoker_registry.transfer_errors import foreign_errors

_READ_BYTES = 512 * 1024
"""At once: every connection has such a buffer, and larger ones are no faster."""

# https://www.rfc-editor.org/rfc/rfc9110#field.content-range
_CONTENT_RANGE = re.compile(r"bytes (\d{1,19})-(\d{1,19})/(\d{1,19}|\*)", re.IGNORECASE)


class BlobStream:
    """A body under way. Read by one thread; any other may abort it."""

    def __init__(
        self,
        response: requests.Response,
        descriptor: Descriptor,
        asked: tuple[int, int],
        *,
        registry: str,
        model: str,
        window_s: float,
    ) -> None:
        """Check what the registry announces.

        Args:
            response: A 200 or 206, its body unread.
            descriptor: The blob.
            asked: Where the range that was asked for begins and ends.
            registry: For people.
            model: For people.
            window_s: Over how much waiting hardly anything may come.

        Raises:
            IntegrityError: It announces another range, or another size than the blob has.
        """
        self._response = response
        self._descriptor = descriptor
        self._registry = registry
        self._model = model
        self._pace = Pace(registry, window_s)
        self.is_range = response.status_code == requests.codes.partial_content
        """False when the registry knows no ranges, and sends the whole blob."""
        self.start, end = asked if self.is_range else (0, descriptor.size_bytes)
        """Where in the blob the first byte of the body is."""
        self._left_bytes = end - self.start
        if self.is_range:
            self._check_range(end)
        length = response.headers.get("Content-Length", "")
        # Python itself refuses to convert thousands of digits.
        if length.isdecimal() and int(length[:20]) != self._left_bytes:
            raise self._wrong_size(length[:20], of=self._left_bytes)

    def _check_range(self, end: int) -> None:
        text = self._response.headers.get("Content-Range", "")
        match = _CONTENT_RANGE.fullmatch(text.strip())
        if match is None or (int(match[1]), int(match[2]) + 1) != (self.start, end):
            raise IntegrityError(
                f"{self._registry} was asked for bytes {self.start}-{end - 1} of blob"
                f" {self._descriptor.digest} of {self._model}, but sends {text[:100]!r}."
            )
        if match[3] not in {"*", str(self._descriptor.size_bytes)}:
            raise self._wrong_size(match[3], of=self._descriptor.size_bytes)

    def read(self) -> bytes:
        """The next bytes, as many as have come; none at the end.

        Raises:
            IntegrityError: There are more or fewer than announced.
            TransientTransferError: The connection broke off, stood still, or only trickles.
        """
        with foreign_errors(self._registry):
            # read1 gives what has come, so that a slow transfer can be watched and cancelled.
            chunk = self._pace.read(self._read1)
        self._left_bytes -= len(chunk)
        if self._left_bytes < 0:
            raise self._wrong_size("more", of=self._descriptor.size_bytes)
        if not chunk and self._left_bytes:
            raise self._wrong_size(f"{self._left_bytes} fewer", of=self._descriptor.size_bytes)
        return chunk

    def _read1(self) -> bytes:
        data: bytes = self._response.raw.read1(_READ_BYTES, decode_content=False)
        return data

    def abort(self) -> None:
        """End a `read` that another thread is blocked in, with an error."""
        # It is over already when there is no socket any more.
        with contextlib.suppress(OSError, ValueError, RuntimeError):
            self._response.raw.shutdown()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._response.close()

    def _wrong_size(self, came: str, *, of: int) -> IntegrityError:
        return IntegrityError(
            f"Blob {self._descriptor.digest} of {self._model} should have"
            f" {self._descriptor.size_bytes} bytes, but {self._registry} sends {came}"
            + (f" for a range of {of}." if of != self._descriptor.size_bytes else ".")
        )

"""An upload of one blob, as a registry keeps it: where it goes on, and how far it is.

A blob goes in one PATCH with all of it, as docker sends it, because every registry is used to that;
when it is cut, a registry that says how far it came is sent the rest, and any other one all of it
again. Parts would not help there: distribution forgets an upload with a broken part, since the size
on its disk is then another than the offset in the upload's address.
https://github.com/distribution/distribution/blob/v2.8.2/registry/handlers/blobupload.go

https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md#pushing-blobs
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

import requests

from stoker.digest import Digest
from stoker.errors import TransferError
from stoker_registry.backoff import TransientTransferError

_RANGE = re.compile(r"(?:bytes=)?0-(\d{1,19})")
_CHUNK_BYTES = 256 * 1024
"""Each has the timeout to be sent, which a slow line that several connections share must meet."""
_SLOWEST_COMMIT_BYTES_PER_S = 25 * 1000**2
"""Some registries hash or copy a blob before they answer that it is complete."""

ReportSent = Callable[[int], None]
"""Told after every chunk how many bytes it had; may wait, and raise to give up."""


class SendRequest(Protocol):
    """Sends a request with the repository's login, and lets successes, 404 and 416 pass."""

    def __call__(
        self,
        url: str,
        method: str = "GET",
        data: Any = None,
        headers: Mapping[str, str] | None = None,
        *,
        more_time_s: float = 0.0,
    ) -> requests.Response:
        """Send it."""


class UploadBody:
    """The rest of a file as a request's body: read in chunks, and again when sent again."""

    def __init__(self, path: Path, start: int, end: int, report: ReportSent) -> None:
        """Describe it; nothing is read yet."""
        self._path = path
        self._start = start
        self._end = end
        self._report = report

    def __len__(self) -> int:
        """Its size."""
        return self._end - self._start

    def __iter__(self) -> Iterator[bytes]:
        """Its chunks."""
        with self._path.open("rb") as file:
            file.seek(self._start)
            left_bytes = len(self)
            while left_bytes and (chunk := file.read(min(_CHUNK_BYTES, left_bytes))):
                left_bytes -= len(chunk)
                yield chunk
                self._report(len(chunk))


class UploadSession:
    """An upload that a registry has started for us. Used by one thread."""

    def __init__(self, send: SendRequest, url: str, join: Callable[[str, str], str]) -> None:
        """Take over an upload.

        Args:
            send: Sends requests.
            url: Where the registry wants the bytes.
            join: Makes a URL of an address and one relative to it.
        """
        self._send = send
        self._url = url
        self._join = join
        self.sent_bytes = 0
        """How many bytes the registry has."""

    def send_rest(self, path: Path, size_bytes: int, report: ReportSent) -> None:
        """Send what the registry has not.

        Raises:
            TransientTransferError: It broke off; `sent_bytes` is unknown until `ask`.
            TransferError: The registry does not want it.
        """
        start = self.sent_bytes
        headers = {"Content-Type": "application/octet-stream"}
        if start:
            # Only a part needs it, and some registries mind it otherwise.
            headers["Content-Range"] = f"{start}-{size_bytes - 1}"
        response = self._send(
            self._url, "PATCH", UploadBody(path, start, size_bytes, report), headers
        )
        self._expect(response, {200, 201, 202, 204})
        self._follow(response)
        # One that says nothing has everything.
        self.sent_bytes = _end_of(response, default=size_bytes)
        if self.sent_bytes <= start or self.sent_bytes > size_bytes:
            raise TransferError(
                f"The registry was sent bytes {start} to {size_bytes} of a blob, and says that it"
                f" has {self.sent_bytes}."
            )

    def ask(self) -> bool:
        """Ask the registry how far the upload is; False when it does not say."""
        try:
            response = self._send(self._url, "GET")
        except TransientTransferError:
            raise
        except TransferError:
            return False
        response.close()
        if response.status_code != requests.codes.no_content or "Range" not in response.headers:
            return False
        self._follow(response)
        self.sent_bytes = _end_of(response, default=0)
        return True

    def finish(self, digest: Digest, size_bytes: int) -> None:
        """End the upload; the registry compares the digest.

        Raises:
            TransferError: The registry has other bytes.
        """
        response = self._send(
            with_query(self._url, digest=str(digest)),
            "PUT",
            headers={"Content-Length": "0"},
            more_time_s=size_bytes / _SLOWEST_COMMIT_BYTES_PER_S,
        )
        self._expect(response, {200, 201, 202, 204})

    def send_whole(self, digest: Digest, data: bytes) -> None:
        """Send a small blob, and end the upload, in one request.

        Raises:
            TransferError: The registry does not want it.
        """
        headers = {"Content-Type": "application/octet-stream"}
        response = self._send(with_query(self._url, digest=str(digest)), "PUT", data, headers)
        self._expect(response, {200, 201, 202, 204})

    def _expect(self, response: requests.Response, statuses: set[int]) -> None:
        response.close()
        if response.status_code in {404, 416}:
            # It has forgotten the upload, or counts otherwise than we do: start anew.
            raise TransientTransferError(
                f"The registry lost an upload: it answered {response.status_code}."
            )
        if response.status_code not in statuses:
            raise TransferError(f"The registry answered {response.status_code} to an upload.")

    def _follow(self, response: requests.Response) -> None:
        location = response.headers.get("Location")
        if location:
            self._url = self._join(self._url, location)


def with_query(url: str, **parameters: str) -> str:
    """Append to a URL whose own query, opaque to us, must stay as it is."""
    query = "&".join(f"{key}={quote(value, safe=':')}" for key, value in parameters.items())
    return f"{url}{'&' if '?' in url else '?'}{query}"


def _end_of(response: requests.Response, *, default: int) -> int:
    """How much has come, says an answer; `0-0`, which some say of nothing, counts as nothing."""
    match = _RANGE.fullmatch(response.headers.get("Range", "").strip())
    if match is None:
        return default
    last = int(match[1])
    return last + 1 if last else 0

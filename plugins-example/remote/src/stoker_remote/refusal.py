"""Errors of the network and refusals of the server, as stoker's own."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import httpx
import msgspec

from stoker.errors import (
    AccessDeniedError,
    InvalidRequestError,
    OverloadedError,
    StokerError,
    UnavailableError,
)
from stoker_remote.wire import error_text

MAX_ERROR_BYTES = 64 * 1024
RETRY_AFTER_S = 5.0


@contextlib.contextmanager
def errors_of(url: str) -> Iterator[None]:
    """Convert what the HTTP client raises.

    Raises:
        UnavailableError: The server is silent, or cannot be reached.
    """
    try:
        yield
    except httpx.TimeoutException as exc:
        raise UnavailableError(
            f"{url} does not answer: try again, or set [backends.remote] timeout_s higher."
        ) from exc
    except httpx.HTTPError as exc:
        raise UnavailableError(f"{url} cannot be reached: {exc}.") from exc


async def refusal_of(url: str, response: httpx.Response) -> StokerError:
    """Turn a status into an error, with the server's own words."""
    data = b""
    async for chunk in response.aiter_bytes():
        data += chunk
        if len(data) > MAX_ERROR_BYTES:
            break
    try:
        said = error_text(msgspec.json.decode(data))
    except msgspec.DecodeError:
        said = data.decode(errors="replace")[:200] or "it does not say why"
    sentence = f"{url} answers {response.status_code}: {said}"
    match response.status_code:
        case 401 | 403:
            return AccessDeniedError(sentence)
        case 429 | 503:
            return OverloadedError(sentence, retry_after_s=RETRY_AFTER_S)
        case status if 400 <= status < 500:  # noqa: PLR2004 - the client's mistakes
            return InvalidRequestError(sentence)
    return UnavailableError(sentence)

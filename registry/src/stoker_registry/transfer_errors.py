"""The one place where errors of the network become errors of stoker."""

from __future__ import annotations

import contextlib
import email.utils
import http.client
import re
import time
from collections.abc import Iterator

import msgspec
import requests
import urllib3

from stoker.errors import AccessDeniedError, TransferError
from stoker.wire.malformed import MALFORMED
from stoker_registry.backoff import TransientTransferError
from stoker_registry.pace import Pace

_MAX_ERROR_BYTES = 64 * 1024
_PATIENCE_S = 5.0
"""With words that only explain an error."""
_TRANSIENT = frozenset({408, 429, 500, 502, 503, 504})
_PASSED = frozenset({404, 416})
_NOISE = re.compile(r"^\w+\(host=[^)]*\): |\[Errno -?\d+\] ")
"""What urllib3 and the system put around words that people can read."""


class _Problem(msgspec.Struct, frozen=True):
    code: str = ""
    message: str = ""


class _Problems(msgspec.Struct, frozen=True):
    errors: tuple[_Problem, ...] = ()


@contextlib.contextmanager
def foreign_errors(registry: str) -> Iterator[None]:
    """Convert what `requests` and `urllib3` raise.

    Raises:
        TransientTransferError: The connection failed, broke off or stood still.
        TransferError: Anything else that `requests` knows.
    """
    try:
        yield
    except (requests.exceptions.SSLError, urllib3.exceptions.SSLError) as exc:
        raise TransferError(
            f"The encrypted connection to {registry} failed: {_reason(exc)}."
            " For a private authority set `ca_file` in [stores.oci]."
        ) from exc
    except requests.exceptions.ConnectTimeout as exc:
        raise TransientTransferError(f"{registry} did not answer in time.") from exc
    except (requests.exceptions.ReadTimeout, urllib3.exceptions.ReadTimeoutError) as exc:
        raise TransientTransferError(f"{registry} stopped answering.") from exc
    except requests.exceptions.ConnectionError as exc:
        raise TransientTransferError(f"{registry} cannot be reached: {_reason(exc)}.") from exc
    except (
        requests.exceptions.ChunkedEncodingError,
        urllib3.exceptions.HTTPError,
        http.client.HTTPException,
    ) as exc:
        raise TransientTransferError(
            f"The connection to {registry} broke off: {_reason(exc)}."
        ) from exc
    except requests.exceptions.RequestException as exc:
        raise TransferError(f"The request to {registry} failed: {_reason(exc)}.") from exc
    except ValueError as exc:
        # `requests` parses the header Location even of redirects that it is not to follow.
        raise TransferError(f"{registry} answered nonsense: {_reason(exc)}.") from exc


def check_status(response: requests.Response, registry: str) -> None:
    """Let success, redirects, 404 and 416 pass; their meaning is for the caller to say.

    Raises:
        AccessDeniedError: 403.
        TransientTransferError: The registry is overloaded or down for a moment.
        TransferError: Any other failure.
    """
    status = response.status_code
    if status < 400 or status in _PASSED:  # noqa: PLR2004 - the first digit of HTTP
        return
    said = _said(response, registry)
    if status == 403:  # noqa: PLR2004
        raise AccessDeniedError(f"{registry} does not allow this{said}.")
    if status in _TRANSIENT:
        raise TransientTransferError(
            f"{registry} is overloaded or down: it answered {status}{said}.",
            retry_after_s=_retry_after_s(response),
        )
    raise TransferError(f"{registry} refused the request: it answered {status}{said}.")


def _retry_after_s(response: requests.Response) -> float | None:
    """https://www.rfc-editor.org/rfc/rfc9110#field.retry-after: seconds, or a date."""
    text = response.headers.get("Retry-After", "").strip()
    if text.isdecimal():
        return float(text[:9])
    try:
        return max(email.utils.parsedate_to_datetime(text).timestamp() - time.time(), 0.0)
    except (ValueError, TypeError, OverflowError):
        return None


def _said(response: requests.Response, registry: str) -> str:
    """The registry's own words, made harmless for a terminal; empty when it said nothing."""
    try:
        data = Pace(registry, _PATIENCE_S).read_all(
            lambda size: response.raw.read1(size, decode_content=True),
            limit_bytes=_MAX_ERROR_BYTES,
        )
        problems = msgspec.json.decode(data, type=_Problems).errors
    except (*MALFORMED, TransientTransferError, urllib3.exceptions.HTTPError, OSError):
        return ""
    finally:
        response.close()
    words = "; ".join(problem.message or problem.code for problem in problems)
    words = "".join(char if char.isprintable() else " " for char in words)[:300].rstrip(". ")
    return f" ({words})" if words else ""


def _reason(exc: BaseException) -> str:
    """The innermost cause that says something: urllib3 wraps its errors three deep."""
    text = str(exc)
    inner: object = exc
    while True:
        arguments = getattr(inner, "args", ())
        following = getattr(inner, "reason", None) or next(
            (item for item in arguments if isinstance(item, BaseException)), None
        )
        if not isinstance(following, BaseException):
            break
        inner = following
        text = getattr(inner, "strerror", None) or str(inner) or text
    return _NOISE.sub("", text.rpartition(">: ")[2])[:300].rstrip(". ")

"""Request bodies: whole, of bounded size, within a bounded time."""

from __future__ import annotations

import asyncio
from typing import Any

from litestar import Request
from litestar.exceptions import ClientException, InternalServerException
from litestar.status_codes import HTTP_413_REQUEST_ENTITY_TOO_LARGE

from stoker_litestar.error_response import (
    BodyIncompleteError,
    BodyTimeoutError,
    BodyTooLargeError,
)
from stoker_litestar.options import HttpOptions


async def read_body(request: Request[Any, Any, Any], options: HttpOptions) -> bytes:
    """Read a request's body.

    Raises:
        BodyTooLargeError: It is larger than `max_body_bytes`.
        BodyTimeoutError: It did not come within `read_timeout_s`.
        BodyIncompleteError: The client left before its end.
    """
    try:
        async with asyncio.timeout(options.read_timeout_s):
            return await request.body()
    except TimeoutError as exc:
        raise BodyTimeoutError(
            f"The request's body did not come within {options.read_timeout_s:g} seconds."
        ) from exc
    except InternalServerException as exc:
        # How Litestar says that the connection was closed meanwhile.
        raise BodyIncompleteError("The client left before the body's end.") from exc
    except ClientException as exc:
        if exc.status_code != HTTP_413_REQUEST_ENTITY_TOO_LARGE:
            raise
        raise BodyTooLargeError(
            f"The request's body is larger than {options.max_body_bytes} bytes,"
            " the most that this server takes (max_body_bytes)."
        ) from exc

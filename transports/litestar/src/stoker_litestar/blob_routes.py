"""Routes that take blobs, for models that are made of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Any

from litestar import Request, Response
from litestar.exceptions import InternalServerException
from litestar.handlers import HTTPRouteHandler

from stoker.dialect import BlobRoute, Dialect
from stoker.digest import Digest
from stoker.host import Host
from stoker_litestar.authentication import NEEDS, caller_of, reads_and_writes
from stoker_litestar.error_response import (
    BodyIncompleteError,
    BodyTimeoutError,
    dialect_errors,
)
from stoker_litestar.options import HttpOptions
from stoker_litestar.request_path import path_below


def blob_handler(
    route: BlobRoute, dialect: Dialect, host: Host, options: HttpOptions
) -> HTTPRouteHandler:
    """Make the handler of one route. A blob has no largest size: the disk is the limit."""

    async def blob(request: Request[Any, Any, Any]) -> Response[bytes]:
        digest = Digest.parse(path_below(request, f"{route.path}/"))
        caller = caller_of(request)
        if request.method == "HEAD":
            size_bytes = await host.management.blob_size(digest, caller)
            headers = {"content-length": str(size_bytes)}
            return Response(b"", headers=headers, media_type="application/octet-stream")
        await host.management.keep_blob(digest, _chunks(request, options), caller)
        return Response(b"", status_code=HTTPStatus.CREATED)

    return HTTPRouteHandler(
        f"{route.path}/{{digest:path}}",
        http_method=["HEAD", "POST"],
        status_code=HTTPStatus.OK,
        exception_handlers=dialect_errors(dialect),
        request_max_body_size=None,
        opt={NEEDS: reads_and_writes},
    )(blob)


async def _chunks(request: Request[Any, Any, Any], options: HttpOptions) -> AsyncIterator[bytes]:
    """The body as it comes.

    Raises:
        BodyTimeoutError: Nothing came for `read_timeout_s`.
        BodyIncompleteError: The client left before the body's end.
    """
    stream = request.stream()
    while True:
        try:
            async with asyncio.timeout(options.read_timeout_s):
                chunk = await anext(stream, None)
        except TimeoutError as exc:
            raise BodyTimeoutError(
                f"Nothing of the blob came for {options.read_timeout_s:g} seconds."
            ) from exc
        except InternalServerException as exc:
            # How Litestar says that the connection was closed meanwhile.
            raise BodyIncompleteError("The client left before the blob's end.") from exc
        if chunk is None:
            return
        yield chunk

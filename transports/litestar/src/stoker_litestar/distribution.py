"""The OCI distribution API: others pull the models that are here, and may push some.

https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md#endpoints
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlencode

import msgspec
from litestar import Request, Response
from litestar.handlers import HTTPRouteHandler
from litestar.types import ASGIApp, Method

from stoker.digest import Digest
from stoker.errors import ModelNotFoundError, NotFoundError
from stoker.host import Catalog, Host
from stoker_litestar.blob_response import BlobResponse
from stoker_litestar.byte_range import ByteRange
from stoker_litestar.distribution_error import (
    BlobUnknownError,
    NameUnknownError,
    PageSizeError,
    encode_distribution_error,
)
from stoker_litestar.distribution_push import VERSION, is_upload, take
from stoker_litestar.error_response import MethodNotAllowedError, exception_handler
from stoker_litestar.options import HttpOptions
from stoker_litestar.request_path import path_below
from stoker_litestar.route_table import READS

_METHODS: tuple[Method, ...] = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
# Names have slashes, so the last two segments decide; a name's own grammar is the store's matter.
_ENDPOINT = re.compile(
    r"/(?P<name>.+)/(?:"
    r"manifests/(?P<reference>[^/]+)|blobs/(?P<digest>[^/]+)|(?P<tags>tags/list)"
    r")"
)


def distribution_handler(host: Host, options: HttpOptions) -> HTTPRouteHandler:
    """Make the handler of all that is under `/v2/`."""

    async def endpoint(request: Request[Any, Any, Any]) -> ASGIApp:
        path = path_below(request, "/v2")
        if request.method not in READS or is_upload(path):
            if host.intake is None or not options.registry_writes:
                raise MethodNotAllowedError("This registry is read-only.", allow=", ".join(READS))
            response = await take(host.intake, path, request, options)
            return response.to_asgi_response(None, request)
        if path in {"", "/"}:
            response = _version()
            return response.to_asgi_response(None, request)
        if path == "/_catalog":
            response = await _repositories(host.catalog, request)
            return response.to_asgi_response(None, request)
        match = _ENDPOINT.fullmatch(path)
        if match is None:
            raise NotFoundError(f"The distribution API has no endpoint {request.url.path}.")
        name = match["name"]
        if match["reference"]:
            response = await _manifest(host.catalog, name, match["reference"], request)
        elif match["tags"]:
            response = await _tags(host.catalog, name, request)
        else:
            return await _blob(host.catalog, name, match["digest"], request, options)
        return response.to_asgi_response(None, request)

    return HTTPRouteHandler(
        ["/v2", "/v2/{path:path}"],
        http_method=_METHODS,
        status_code=HTTPStatus.OK,
        # Blobs are taken piece by piece, and manifests have a bound of their own.
        request_max_body_size=None,
        exception_handlers={Exception: exception_handler(encode_distribution_error)},
    )(endpoint)


def _version() -> Response[bytes]:
    """What says that the API is here."""
    return Response(b"{}", media_type="application/json", headers=VERSION)


async def _manifest(
    catalog: Catalog, name: str, reference: str, request: Request[Any, Any, Any]
) -> Response[bytes]:
    manifest = await catalog.manifest(name, reference)
    headers = _content_headers(manifest.digest)
    if _has_it(request, headers["etag"]):
        return _not_modified(headers)
    return Response(manifest.data, media_type=manifest.media_type, headers=headers)


async def _blob(
    catalog: Catalog,
    name: str,
    digest_text: str,
    request: Request[Any, Any, Any],
    options: HttpOptions,
) -> ASGIApp:
    digest = Digest.parse(digest_text)
    try:
        path = await catalog.blob(name, digest)
    except NotFoundError as exc:
        raise BlobUnknownError(exc.message) from exc
    size_bytes = (await asyncio.to_thread(path.stat)).st_size
    headers = _content_headers(digest)
    if _has_it(request, headers["etag"]):
        return _not_modified(headers).to_asgi_response(None, request)
    # A range that is conditional on another version of the blob asks for the whole.
    unchanged = request.headers.get("if-range", headers["etag"]) == headers["etag"]
    wanted = request.headers.get("range") if unchanged else None
    return BlobResponse(
        path=path,
        size_bytes=size_bytes,
        part=ByteRange.parse(wanted, size_bytes=size_bytes),
        head=request.method == "HEAD",
        headers=headers | {"content-type": "application/octet-stream", "accept-ranges": "bytes"},
        write_timeout_s=options.write_timeout_s,
    )


async def _tags(catalog: Catalog, name: str, request: Request[Any, Any, Any]) -> Response[bytes]:
    try:
        tags = await catalog.tags(name)
    except ModelNotFoundError as exc:
        raise NameUnknownError(exc.message) from exc
    page, headers = _paged(tags, f"/v2/{quote(name)}/tags/list", request)
    body = msgspec.json.encode({"name": name, "tags": page})
    return Response(body, media_type="application/json", headers=headers)


async def _repositories(catalog: Catalog, request: Request[Any, Any, Any]) -> Response[bytes]:
    """Not in the specification, but what registries answer and tools ask.

    https://distribution.github.io/distribution/spec/api/#catalog
    """
    page, headers = _paged(await catalog.repositories(), "/v2/_catalog", request)
    body = msgspec.json.encode({"repositories": page})
    return Response(body, media_type="application/json", headers=headers)


def _paged(
    items: Sequence[str], path: str, request: Request[Any, Any, Any]
) -> tuple[list[str], dict[str, str]]:
    """The page that was asked for, and the headers that lead to the next one."""
    page = _page(items, last=request.query_params.get("last", ""), n=_page_size(request))
    headers = dict(VERSION)
    if page and page[-1] != items[-1]:
        query = urlencode({"n": len(page), "last": page[-1]})
        headers["link"] = f'<{path}?{query}>; rel="next"'
    return page, headers


def _page(items: Sequence[str], *, last: str, n: int | None) -> list[str]:
    """The items after `last`, at most `n`; `last` itself need not exist."""
    after = [item for item in items if item > last]
    return after if n is None else after[:n]


def _page_size(request: Request[Any, Any, Any]) -> int | None:
    text = request.query_params.get("n")
    if text is None:
        return None
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise PageSizeError(f"n is the number of tags to list, not {text[:20]!r}.")
    return int(text)


def _has_it(request: Request[Any, Any, Any], etag: str) -> bool:
    """Whether the client has these bytes already, as it says.

    https://www.rfc-editor.org/rfc/rfc9110#name-if-none-match
    """
    said = request.headers.get("if-none-match", "")
    known = {item.strip().removeprefix("W/") for item in said.split(",")}
    return etag in known or "*" in known


def _not_modified(headers: dict[str, str]) -> Response[bytes]:
    # An answer without a body has no length and no type of one.
    return Response(b"", status_code=HTTPStatus.NOT_MODIFIED, headers=headers)


def _content_headers(digest: Digest) -> dict[str, str]:
    """What every answer with content-addressed bytes says."""
    return {
        **VERSION,
        "docker-content-digest": str(digest),
        "etag": f'"{digest}"',
    }

"""The writing half of the OCI distribution API: others push models to this server.

https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md#push
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from litestar import Request, Response
from litestar.exceptions import InternalServerException

from stoker.digest import Digest
from stoker.errors import IntegrityError, InvalidArtifactError, NotFoundError
from stoker.host import Intake
from stoker.media_types import OCI_MANIFEST, MediaType
from stoker.wire.manifest import MAX_MANIFEST_BYTES
from stoker_litestar.distribution_error import (
    DigestMismatchError,
    ManifestBlobUnknownError,
    ManifestInvalidError,
    UploadRangeError,
    UploadUnknownError,
)
from stoker_litestar.error_response import (
    BodyIncompleteError,
    BodyTimeoutError,
    BodyTooLargeError,
    MethodNotAllowedError,
)
from stoker_litestar.options import HttpOptions

VERSION = {"docker-distribution-api-version": "registry/2.0"}
_UPLOADS = re.compile(r"/(?P<name>.+)/blobs/uploads/(?P<upload>[^/]*)")
_MANIFEST = re.compile(r"/(?P<name>.+)/manifests/(?P<reference>[^/]+)")
_CONTENT_RANGE = re.compile(r"(?:bytes )?(?P<first>[0-9]{1,19})-[0-9]{1,19}(?:/.*)?")
_PIECE_BYTES = 1024 * 1024
"""How much is handed to the store at once: hopping to its thread costs more than copying."""

_AnyRequest = Request[Any, Any, Any]


def is_upload(path: str) -> bool:
    """Whether a path below `/v2` is that of uploads, which belong to this half in any method."""
    return _UPLOADS.fullmatch(path) is not None


async def take(
    intake: Intake, path: str, request: _AnyRequest, options: HttpOptions
) -> Response[bytes]:
    """Answer a request that is to change something, or asks about an upload.

    Raises:
        MethodNotAllowedError: Nothing can be done like this here.
        StokerError: It failed, or must not be.
    """
    uploads = _UPLOADS.fullmatch(path)
    manifest = _MANIFEST.fullmatch(path)
    if uploads is not None:
        name, upload = uploads["name"], uploads["upload"]
        if not upload and request.method == "POST":
            return await _start(intake, name, request, options)
        if upload:
            try:
                return await _go_on(intake, name, upload, request, options)
            except NotFoundError as exc:
                raise UploadUnknownError(exc.message) from exc
    elif manifest is not None and request.method == "PUT":
        return await _put_manifest(
            intake, manifest["name"], manifest["reference"], request, options
        )
    raise MethodNotAllowedError(
        "Models are pushed here, and nothing else: `stoker rm` removes them.",
        allow="GET, HEAD, POST, PATCH, PUT",
    )


async def _start(
    intake: Intake, name: str, request: _AnyRequest, options: HttpOptions
) -> Response[bytes]:
    """Begin an upload; end it at once when the blob is here or came along."""
    mounted, source = request.query_params.get("mount"), request.query_params.get("from")
    if mounted is not None and source is not None:
        digest = Digest.parse(mounted)
        if await intake.mount(name, digest, source):
            return _created(f"/v2/{quote(name)}/blobs/{digest}", digest)
    upload = await intake.start_upload(name)
    if "digest" in request.query_params:
        return await _finish(intake, name, upload, request, options)
    return _progress(name, upload, 0, HTTPStatus.ACCEPTED)


async def _go_on(
    intake: Intake, name: str, upload: str, request: _AnyRequest, options: HttpOptions
) -> Response[bytes]:
    match request.method:
        case "GET" | "HEAD":
            size_bytes = await intake.uploaded_bytes(name, upload)
            return _progress(name, upload, size_bytes, HTTPStatus.NO_CONTENT)
        case "PATCH":
            size_bytes = await _write(intake, name, upload, request, options)
            return _progress(name, upload, size_bytes, HTTPStatus.ACCEPTED)
        case "PUT":
            return await _finish(intake, name, upload, request, options)
        case "DELETE":
            await intake.cancel_upload(name, upload)
            return Response(b"", status_code=HTTPStatus.NO_CONTENT, headers=VERSION)
    raise MethodNotAllowedError(
        f"An upload does not take {request.method}.", allow="GET, HEAD, PATCH, PUT, DELETE"
    )


async def _write(
    intake: Intake, name: str, upload: str, request: _AnyRequest, options: HttpOptions
) -> int:
    """Take a request's body into an upload; returns how much of the blob has come."""
    size_bytes = await intake.uploaded_bytes(name, upload)
    said = _CONTENT_RANGE.fullmatch(request.headers.get("content-range", "").strip())
    if said is not None and int(said["first"]) != size_bytes:
        raise UploadRangeError(size_bytes=size_bytes)
    piece = bytearray()
    try:
        async for data in _body(request, options):
            piece += data
            if len(piece) >= _PIECE_BYTES:
                taken, piece = bytes(piece), bytearray()
                size_bytes = await intake.write_upload(name, upload, taken, offset=size_bytes)
    finally:
        # What came before a connection broke need not come again.
        if piece:
            size_bytes = await intake.write_upload(name, upload, bytes(piece), offset=size_bytes)
    return size_bytes


async def _finish(
    intake: Intake, name: str, upload: str, request: _AnyRequest, options: HttpOptions
) -> Response[bytes]:
    """Take the last bytes, if any, and end an upload."""
    digest = Digest.parse(request.query_params.get("digest", ""))
    await _write(intake, name, upload, request, options)
    try:
        await intake.finish_upload(name, upload, digest)
    except IntegrityError as exc:
        raise DigestMismatchError(exc.message) from exc
    return _created(f"/v2/{quote(name)}/blobs/{digest}", digest)


async def _put_manifest(
    intake: Intake, name: str, reference: str, request: _AnyRequest, options: HttpOptions
) -> Response[bytes]:
    data = bytearray()
    async for piece in _body(request, options):
        data += piece
        if len(data) > MAX_MANIFEST_BYTES:
            raise BodyTooLargeError(f"A manifest has {MAX_MANIFEST_BYTES} bytes at most.")
    declared = request.headers.get("content-type", "").partition(";")[0].strip()
    try:
        digest = await intake.put_manifest(
            name, reference, MediaType(declared or OCI_MANIFEST), bytes(data)
        )
    except InvalidArtifactError as exc:
        raise ManifestInvalidError(exc.message) from exc
    except NotFoundError as exc:
        raise ManifestBlobUnknownError(exc.message) from exc
    return _created(f"/v2/{quote(name)}/manifests/{digest}", digest)


async def _body(request: _AnyRequest, options: HttpOptions) -> AsyncIterator[bytes]:
    """A request's body as it comes.

    Raises:
        BodyTimeoutError: Nothing came for `read_timeout_s`.
        BodyIncompleteError: The client left before its end.
    """
    stream = request.stream()
    try:
        while True:
            async with asyncio.timeout(options.read_timeout_s):
                data = await anext(stream, None)
            if data is None:
                return
            yield data
    except TimeoutError as exc:
        raise BodyTimeoutError(
            f"Nothing came of the request's body for {options.read_timeout_s:g} seconds."
        ) from exc
    except InternalServerException as exc:
        # How Litestar says that the connection was closed meanwhile.
        raise BodyIncompleteError("The client left before the body's end.") from exc


def _created(location: str, digest: Digest) -> Response[bytes]:
    headers = {**VERSION, "location": location, "docker-content-digest": str(digest)}
    return Response(b"", status_code=HTTPStatus.CREATED, headers=headers)


def _progress(name: str, upload: str, size_bytes: int, status: HTTPStatus) -> Response[bytes]:
    headers = {
        **VERSION,
        "location": f"/v2/{quote(name)}/blobs/uploads/{upload}",
        "docker-upload-uuid": upload,
        # `0-0` is what registries say of nothing as well.
        "range": f"0-{max(size_bytes - 1, 0)}",
    }
    return Response(b"", status_code=status, headers=headers)

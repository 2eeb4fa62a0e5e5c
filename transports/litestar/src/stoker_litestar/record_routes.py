"""Routes that tell of records: answers that were kept for their callers."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, route
from litestar.handlers import HTTPRouteHandler

from stoker.archive import Archive
from stoker.dialect import Dialect, RecordQuery, RecordRoute
from stoker.errors import NotFoundError
from stoker.host import Host
from stoker_litestar.authentication import caller_of
from stoker_litestar.error_response import dialect_errors
from stoker_litestar.route_table import litestar_path

_DELETE = "DELETE"


def record_handler(wanted: RecordRoute, dialect: Dialect, host: Host) -> HTTPRouteHandler:
    """Make the handler of one route."""

    async def tell(request: Request[Any, Any, Any]) -> Response[bytes]:
        archive = _archive(host)
        owner, record_id = caller_of(request).name, request.path_params["id"]
        record = await archive.get(owner, record_id)
        body = wanted.encode(RecordQuery(record, dict(request.query_params.items())))
        if wanted.method == _DELETE:
            await archive.remove(owner, record_id)
        return Response(body, media_type="application/json")

    path = litestar_path(wanted.path).replace("{id}", "{id:str}")
    return route(
        path,
        http_method=[wanted.method],
        status_code=200,
        exception_handlers=dialect_errors(dialect),
    )(tell)


def _archive(host: Host) -> Archive:
    if host.archive is None:
        raise NotFoundError("This server keeps no answers (archive.enabled).")
    return host.archive

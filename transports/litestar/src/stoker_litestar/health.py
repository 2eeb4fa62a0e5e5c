"""`GET /health`: whether the server answers."""

from __future__ import annotations

import msgspec
from litestar import Response, route
from litestar.handlers import HTTPRouteHandler

from stoker.host import Host
from stoker_litestar.authentication import NEEDS, anybody
from stoker_litestar.route_table import READS


def health_handler(host: Host) -> HTTPRouteHandler:
    """Make the handler."""
    body = msgspec.json.encode({"status": "ok", "version": host.version})

    async def health() -> Response[bytes]:
        return Response(body, media_type="application/json")

    return route("/health", http_method=READS, opt={NEEDS: anybody})(health)

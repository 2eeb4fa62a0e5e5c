"""Routes that list and describe models."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, get
from litestar.handlers import HTTPRouteHandler

from stoker.dialect import Dialect, ModelRoute, ModelsRoute
from stoker.host import Host
from stoker_litestar.error_response import exception_handler
from stoker_litestar.request_path import path_below
from stoker_litestar.route_table import BACKEND, litestar_path


def models_handler(route: ModelsRoute, dialect: Dialect, host: Host) -> HTTPRouteHandler:
    """Make the handler that lists the models."""

    async def models() -> Response[bytes]:
        cards = await host.catalog.models()
        return Response(route.encode(cards), media_type="application/json")

    handle_exception = exception_handler(dialect.encode_error, dialect.error_content_type)
    path = litestar_path(route.path)
    return get(path, exception_handlers={Exception: handle_exception})(models)


def model_handler(route: ModelRoute, dialect: Dialect, host: Host) -> HTTPRouteHandler:
    """Make the handler that describes one model."""

    async def model(request: Request[Any, Any, Any]) -> Response[bytes]:
        backend = request.path_params.get(BACKEND, "")
        name = path_below(request, f"{route.path.replace(f'{{{BACKEND}}}', backend)}/")
        card = await host.catalog.model(name)
        return Response(route.encode(card), media_type="application/json")

    handle_exception = exception_handler(dialect.encode_error, dialect.error_content_type)
    path = litestar_path(route.path) + "/{name:path}"
    return get(path, exception_handlers={Exception: handle_exception})(model)

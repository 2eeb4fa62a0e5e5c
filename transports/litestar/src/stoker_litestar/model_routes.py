"""Routes that list and describe models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs
from litestar import Request, Response, route
from litestar.handlers import HTTPRouteHandler

from stoker.dialect import Dialect, ModelRoute, ModelsRoute
from stoker.host import Host
from stoker_litestar.error_response import dialect_errors
from stoker_litestar.request_path import path_below
from stoker_litestar.route_table import BACKEND, READS, litestar_path


@attrs.frozen
class Mounted:
    """A route with the dialect that it belongs to."""

    route: ModelsRoute | ModelRoute
    dialect: Dialect


def models_handler(mounted: Sequence[Mounted], host: Host) -> HTTPRouteHandler:
    """Make the handler that lists the models, for all routes of one path."""

    async def models(request: Request[Any, Any, Any]) -> Response[bytes]:
        found = _meant(mounted, request).route
        if not isinstance(found, ModelsRoute):
            raise TypeError(f"{found.path} is no route that lists models.")
        cards = await host.catalog.models()
        return Response(found.encode(cards), media_type="application/json")

    path = litestar_path(mounted[0].route.path)
    return route(path, http_method=READS, exception_handlers={Exception: _handle(mounted)})(models)


def model_handler(mounted: Sequence[Mounted], host: Host) -> HTTPRouteHandler:
    """Make the handler that describes one model, for all routes of one path."""

    async def model(request: Request[Any, Any, Any]) -> Response[bytes]:
        found = _meant(mounted, request).route
        if not isinstance(found, ModelRoute):
            raise TypeError(f"{found.path} is no route that describes a model.")
        backend = request.path_params.get(BACKEND, "")
        name = path_below(request, f"{found.path.replace(f'{{{BACKEND}}}', backend)}/")
        card = await host.catalog.model(name)
        return Response(found.encode(card), media_type="application/json")

    path = litestar_path(mounted[0].route.path) + "/{name:path}"
    return route(path, http_method=READS, exception_handlers={Exception: _handle(mounted)})(model)


def _meant(mounted: Sequence[Mounted], request: Request[Any, Any, Any]) -> Mounted:
    """The route for a request: one whose header it carries, else the one that asks for none."""
    for item in mounted:
        if item.route.header is not None and item.route.header in request.headers:
            return item
    return next((item for item in mounted if item.route.header is None), mounted[0])


def _handle(mounted: Sequence[Mounted]) -> Any:
    handlers = {id(item): dialect_errors(item.dialect)[Exception] for item in mounted}

    def handle(request: Request[Any, Any, Any], exc: Exception) -> Response[bytes]:
        return handlers[id(_meant(mounted, request))](request, exc)

    return handle

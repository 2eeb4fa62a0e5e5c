"""Routes that carry out commands."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from http import HTTPStatus
from typing import Any

from litestar import Request
from litestar.handlers import HTTPRouteHandler
from litestar.types import ASGIApp, Method

from stoker.caller import RequestContext
from stoker.dialect import CommandQuery, CommandRoute, Dialect
from stoker.errors import NotFoundError
from stoker.host import Host
from stoker_litestar.authentication import NEEDS, any_key, caller_of
from stoker_litestar.error_response import MethodNotAllowedError, dialect_errors
from stoker_litestar.generation import Generation
from stoker_litestar.options import HttpOptions
from stoker_litestar.request_body import read_body
from stoker_litestar.request_id import id_of
from stoker_litestar.request_path import path_below
from stoker_litestar.route_table import NAME, READS


def command_handlers(
    dialect: Dialect, host: Host, options: HttpOptions
) -> Iterable[HTTPRouteHandler]:
    """Make the handlers of a dialect's commands.

    Those that differ only in what follows a model's name share one: names have slashes, so the
    framework cannot tell where one ends.
    """
    groups: dict[tuple[str, bool], list[CommandRoute]] = {}
    for route in dialect.routes:
        if isinstance(route, CommandRoute):
            root, name, _ = route.path.partition(NAME)
            groups.setdefault((root, bool(name)), []).append(route)
    for (root, has_name), routes in groups.items():
        yield _handler(root, routes, dialect, host, options, has_name=has_name)


def _handler(
    root: str,
    routes: Sequence[CommandRoute],
    dialect: Dialect,
    host: Host,
    options: HttpOptions,
    *,
    has_name: bool,
) -> HTTPRouteHandler:
    async def command(request: Request[Any, Any, Any]) -> ASGIApp:
        path = path_below(request, root) if has_name else ""
        route, name = _find(routes, path, request)
        query = CommandQuery(
            name=name,
            body=await read_body(request, options),
            query=dict(request.query_params.items()),
            accept=request.headers.get("accept", ""),
        )
        return Generation(
            route.decode(query),
            host,
            RequestContext(caller_of(request), id=id_of(request)),
            write_timeout_s=options.write_timeout_s,
            status=HTTPStatus.CREATED if route.creates else HTTPStatus.OK,
        )

    return HTTPRouteHandler(
        f"{root}{{name:path}}" if has_name else root,
        http_method=sorted({method for route in routes for method in _methods(route)}),
        status_code=HTTPStatus.OK,
        exception_handlers=dialect_errors(dialect),
        # The core knows what each command needs.
        opt={NEEDS: any_key},
    )(command)


def _methods(route: CommandRoute) -> tuple[Method, ...]:
    return READS if route.method == "GET" else (route.method,)


def _find(
    routes: Sequence[CommandRoute], path: str, request: Request[Any, Any, Any]
) -> tuple[CommandRoute, str]:
    """The route that a path means, and the model's name in it.

    Raises:
        MethodNotAllowedError: There are only routes for other methods.
        NotFoundError: The name is missing.
    """
    fitting = [
        (route, path.removesuffix(suffix))
        for route in routes
        for suffix in [route.path.partition(NAME)[2]]
        if path.endswith(suffix) and (NAME not in route.path or path != suffix)
    ]
    # The longest suffix is the shortest name.
    fitting.sort(key=lambda item: len(item[1]))
    found = [item for item in fitting if request.method in _methods(item[0])]
    if found:
        return found[0]
    if not fitting:
        raise NotFoundError(f"There is nothing at {request.url.path}.")
    allow = sorted({method for route, _ in fitting for method in _methods(route)})
    raise MethodNotAllowedError(
        f"{request.url.path} does not take {request.method}.", allow=", ".join(allow)
    )

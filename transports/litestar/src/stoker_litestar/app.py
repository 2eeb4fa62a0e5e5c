"""The Litestar application: the routes of all dialects, the distribution API and the health."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from litestar import Litestar, Request
from litestar.handlers import HTTPRouteHandler

from stoker.dialect import (
    AnswerRoute,
    BlobRoute,
    Dialect,
    ModelRoute,
    ModelsRoute,
    RecordRoute,
)
from stoker.host import Host
from stoker.keys import NO_KEYS, KeyRing
from stoker_litestar.authentication import NEEDS, authentication, reads_and_writes
from stoker_litestar.blob_routes import blob_handler
from stoker_litestar.command_routes import command_handlers
from stoker_litestar.dialects.openai.error import encode_error
from stoker_litestar.distribution import distribution_handler
from stoker_litestar.error_response import fallback_handler
from stoker_litestar.generation import answer_handler
from stoker_litestar.health import health_handler
from stoker_litestar.metrics import metrics_handler
from stoker_litestar.model_routes import Mounted, model_handler, models_handler
from stoker_litestar.openapi import PATH as OPENAPI_PATH
from stoker_litestar.openapi import openapi_handler
from stoker_litestar.options import HttpOptions
from stoker_litestar.origins import cors, origin_check
from stoker_litestar.path_owners import PathOwners
from stoker_litestar.rebinding import host_check
from stoker_litestar.record_routes import record_handler
from stoker_litestar.route_table import refuse_clashes

OWN_ENDPOINTS = (("GET", "/health"), ("GET", "/metrics"), ("GET", OPENAPI_PATH))


def build_app(
    host: Host, dialects: Sequence[Dialect], options: HttpOptions, keys: KeyRing = NO_KEYS
) -> Litestar:
    """Make the application.

    What comes in is checked in this order: is it for us (`Host`), may its web page ask (`Origin`),
    and who is it. Errors of a dialect's routes have the dialect's form, and so have wrong methods
    and unknown paths where only one dialect can be meant; the others have OpenAI's.

    Raises:
        ConflictError: Two dialects want the same method of the same path.
    """
    refuse_clashes(dialects, OWN_ENDPOINTS)
    handlers = [*_handlers(dialects, host, options), *_model_handlers(dialects, host)]
    distribution = distribution_handler(host, options)
    distribution.opt[NEEDS] = reads_and_writes
    checks = (host_check(options), origin_check(options), authentication(keys))

    async def check(request: Request[Any, Any, Any]) -> None:
        for passes in checks:
            await passes(request)

    return Litestar(
        [
            *handlers,
            distribution,
            health_handler(host),
            metrics_handler(host),
            openapi_handler(dialects, host.version),
        ],
        before_request=check,
        cors_config=cors(options),
        exception_handlers={Exception: fallback_handler(PathOwners(dialects), encode_error)},
        request_max_body_size=options.max_body_bytes,
        # What Litestar derives from these handlers would say nothing true; see `openapi`.
        openapi_config=None,
        logging_config=None,
    )


def _handlers(
    dialects: Sequence[Dialect], host: Host, options: HttpOptions
) -> Iterator[HTTPRouteHandler]:
    for dialect in dialects:
        for route in dialect.routes:
            match route:
                case AnswerRoute():
                    yield answer_handler(route, dialect, host, options)
                case RecordRoute():
                    yield record_handler(route, dialect, host)
                case BlobRoute():
                    yield blob_handler(route, dialect, host, options)
        yield from command_handlers(dialect, host, options)


def _model_handlers(dialects: Sequence[Dialect], host: Host) -> Iterator[HTTPRouteHandler]:
    """The handlers of routes that dialects may share, by the headers of requests."""
    lists: dict[str, list[Mounted]] = defaultdict(list)
    single: dict[str, list[Mounted]] = defaultdict(list)
    for dialect in dialects:
        for route in dialect.routes:
            if isinstance(route, ModelsRoute):
                lists[route.path].append(Mounted(route, dialect))
            elif isinstance(route, ModelRoute):
                single[route.path].append(Mounted(route, dialect))
    yield from (models_handler(mounted, host) for mounted in lists.values())
    yield from (model_handler(mounted, host) for mounted in single.values())

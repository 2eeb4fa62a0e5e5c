"""`GET /openapi.json`: a description of all routes, made of what the dialects say of theirs.

Types are the very Structs that decode requests and encode answers, and what is said of single
fields stands in the tables that the decoders look into. So the document cannot say anything else
than what happens.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from litestar import Response
from litestar import route as http_route
from litestar.handlers import HTTPRouteHandler

from stoker.dialect import (
    AnswerRoute,
    BlobRoute,
    CommandRoute,
    Dialect,
    ModelRoute,
    ModelsRoute,
    RecordRoute,
    Route,
    RouteDescription,
)
from stoker_litestar.authentication import NEEDS, any_key
from stoker_litestar.dialects.sse import CONTENT_TYPE
from stoker_litestar.route_table import READS

PATH = "/openapi.json"
_JSON = "application/json"
_STREAM = CONTENT_TYPE.partition(";")[0]
_PLAIN = RouteDescription("")
_WORDS = {
    CommandRoute: "Carries out a command.",
    RecordRoute: "Tells something of an answer that was kept.",
    BlobRoute: "Tells whether a blob is here, or keeps one.",
    AnswerRoute: "Answers a request.",
    ModelsRoute: "Lists the models.",
    ModelRoute: "Describes a model.",
}


def openapi_handler(dialects: Sequence[Dialect], version: str) -> HTTPRouteHandler:
    """Make the handler."""
    made: list[bytes] = []

    async def openapi() -> Response[bytes]:
        # Made when somebody wants it: it takes a while, and most servers are never asked.
        if not made:
            made.append(msgspec.json.encode(document(dialects, version)))
        return Response(made[0], media_type=_JSON)

    return http_route(PATH, http_method=READS, opt={NEEDS: any_key})(openapi)


def document(dialects: Sequence[Dialect], version: str) -> dict[str, Any]:
    """Describe all routes of some dialects, as OpenAPI 3.1."""
    routes = [(dialect, route) for dialect in dialects for route in dialect.routes]
    # Of routes that share a path, the one that asks for no header is what most clients get.
    routes.sort(key=lambda pair: getattr(pair[1], "header", None) is not None)
    kinds = [kind for dialect, route in routes for kind in _types(dialect, route)]
    # In the order of their first mention, so that the document is always the same.
    unique = list(dict.fromkeys(kinds))
    schemas, components = msgspec.json.schema_components(
        unique, ref_template="#/components/schemas/{name}"
    )
    found = dict(zip(unique, schemas, strict=True))
    paths: dict[str, Any] = {}
    for dialect, route in routes:
        for method, path in _endpoints(route):
            operation = _operation(dialect, route, path, found)
            paths.setdefault(path, {}).setdefault(method, operation)
    for _, route in routes:
        _annotate(_description(route), found, components)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "stoker",
            "version": version,
            "description": "Language models on your own machine, by the APIs of others.",
        },
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
        # Where there are no keys, none is asked for.
        "security": [{"key": []}, {}],
    }


def _types(dialect: Dialect, route: Route) -> Iterator[Any]:
    described = _description(route)
    kinds = (described.request, described.response, described.chunk, dialect.error)
    yield from (kind for kind in kinds if kind is not None)


def _description(route: Route) -> RouteDescription:
    if not isinstance(route, BlobRoute):
        return route.description or _PLAIN
    return _PLAIN


def _endpoints(route: Route) -> Iterator[tuple[str, str]]:
    match route:
        case AnswerRoute(path=path):
            yield "post", path
        case ModelsRoute(path=path):
            yield "get", path
        case ModelRoute(path=path):
            yield "get", f"{path}/{{name}}"
        case BlobRoute(path=path):
            yield "head", f"{path}/{{name}}"
            yield "post", f"{path}/{{name}}"
        case RecordRoute(method=method, path=path) | CommandRoute(method=method, path=path):
            yield method.lower(), path


def _operation(dialect: Dialect, route: Route, path: str, found: dict[Any, Any]) -> dict[str, Any]:
    described = _description(route)
    anything = {"type": "object"}
    content: dict[str, Any] = {}
    if described.response is not None or not isinstance(route, BlobRoute | CommandRoute):
        content[_JSON] = {"schema": found.get(described.response, {})}
    if described.chunk is not None:
        chunk = found[described.chunk]
        is_event = described.chunk_type == _STREAM
        content[described.chunk_type] = {"schema": _event(chunk) if is_event else chunk}
    content |= {kind: {} for kind in described.other_types}
    operation: dict[str, Any] = {
        "tags": [dialect.name] if dialect.name else [],
        "summary": described.summary or _WORDS[type(route)],
        "responses": {
            "2XX": {"description": "It worked.", **({"content": content} if content else {})},
            "default": {
                "description": "It did not; the body says why.",
                "content": {dialect.error_content_type: {"schema": found.get(dialect.error, {})}},
            },
        },
    }
    names = [part[1:-1] for part in path.split("/") if part.startswith("{")]
    if names:
        operation["parameters"] = [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
            for name in names
        ]
    if isinstance(route, AnswerRoute) or described.request is not None:
        schema = found.get(described.request, anything)
        operation["requestBody"] = {"required": True, "content": {_JSON: {"schema": schema}}}
    return operation


def _event(chunk: Any) -> dict[str, Any]:
    """One of a stream's events; its data is JSON, but for the mark at the end."""
    json = {"type": "string", "contentMediaType": _JSON, "contentSchema": chunk}
    data = {"anyOf": [{"const": "[DONE]"}, json]}
    return {"type": "object", "properties": {"data": data}}


def _annotate(
    described: RouteDescription, found: dict[Any, Any], components: dict[str, Any]
) -> None:
    """Say in a request's schema what is to be known of its fields; leave out what is refused."""
    if described.request is None:
        return
    name = found[described.request]["$ref"].rpartition("/")[2]
    properties = components[name]["properties"]
    for field in described.refused:
        properties.pop(field, None)
    for field, words in described.notes.items():
        if field in properties:
            properties[field]["description"] = words

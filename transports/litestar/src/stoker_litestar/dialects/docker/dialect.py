"""The routes of Docker Model Runner."""

from __future__ import annotations

from typing import Any

from stoker.dialect import CommandRoute, Dialect, RouteDescription
from stoker_litestar.dialects.docker.engines import (
    decode_df,
    decode_ps,
    decode_status,
    decode_unload,
    decode_version,
)
from stoker_litestar.dialects.docker.error import CONTENT_TYPE, encode_error
from stoker_litestar.dialects.docker.management_fields import CREATE_FIELDS, UNLOAD_FIELDS
from stoker_litestar.dialects.docker.models import (
    decode_delete,
    decode_inspect,
    decode_list,
    decode_tag,
)
from stoker_litestar.dialects.docker.transfer import decode_create, decode_push
from stoker_litestar.dialects.docker.wire.management import CreateBody, UnloadBody
from stoker_litestar.dialects.docker.wire.model import (
    DiskObject,
    ModelObject,
    ProgressLine,
    RunnerObject,
    TagAnswer,
    UnloadAnswer,
    VersionAnswer,
)

PREFIXES = ("/engines", "/engines/{backend}")
"""What it puts before the paths of other APIs; the second one pins the backend."""


def _described(summary: str, response: Any) -> RouteDescription:
    """A route that takes no body."""
    return RouteDescription(summary, response=response)


def docker_dialect() -> Dialect:
    """Make the dialect of its own routes."""
    return Dialect(
        routes=(
            CommandRoute(
                "GET",
                "/models",
                decode_list,
                description=_described("Lists the models.", list[ModelObject]),
            ),
            CommandRoute(
                "POST",
                "/models/create",
                decode_create,
                description=RouteDescription(
                    "Fetches a model.",
                    CreateBody,
                    chunk=ProgressLine,
                    chunk_type="application/json",
                    other_types=("text/plain",),
                    notes=CREATE_FIELDS.notes,
                    refused=CREATE_FIELDS.refused,
                ),
            ),
            CommandRoute(
                "GET",
                "/models/{name}",
                decode_inspect,
                description=_described("Describes a model.", ModelObject),
            ),
            CommandRoute(
                "DELETE",
                "/models/{name}",
                decode_delete,
                description=_described("Removes names of a model.", list[dict[str, str]]),
            ),
            CommandRoute(
                "POST",
                "/models/{name}/tag",
                decode_tag,
                creates=True,
                description=_described("Gives a model another name.", TagAnswer),
            ),
            CommandRoute(
                "POST",
                "/models/{name}/push",
                decode_push,
                description=RouteDescription(
                    "Sends a model.",
                    chunk=ProgressLine,
                    chunk_type="application/json",
                    other_types=("text/plain",),
                ),
            ),
            CommandRoute(
                "GET",
                "/engines/status",
                decode_status,
                description=_described("Tells of the backends.", dict[str, str]),
            ),
            CommandRoute(
                "GET",
                "/engines/ps",
                decode_ps,
                description=_described("Lists the loaded models.", list[RunnerObject]),
            ),
            CommandRoute(
                "GET",
                "/engines/df",
                decode_df,
                description=_described("Adds up what models take.", DiskObject),
            ),
            CommandRoute(
                "POST",
                "/engines/unload",
                decode_unload,
                description=RouteDescription(
                    "Unloads models.", UnloadBody, UnloadAnswer, notes=UNLOAD_FIELDS.notes
                ),
            ),
            CommandRoute(
                "GET",
                "/version",
                decode_version,
                description=_described("Tells the version of stoker.", VersionAnswer),
            ),
        ),
        encode_error=encode_error,
        error_content_type=CONTENT_TYPE,
    )

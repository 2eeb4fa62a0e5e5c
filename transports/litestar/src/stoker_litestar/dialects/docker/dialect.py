"""The routes of Docker Model Runner."""

from __future__ import annotations

from stoker.dialect import CommandRoute, Dialect
from stoker_litestar.dialects.docker.engines import (
    decode_df,
    decode_ps,
    decode_status,
    decode_unload,
    decode_version,
)
from stoker_litestar.dialects.docker.error import CONTENT_TYPE, encode_error
from stoker_litestar.dialects.docker.models import (
    decode_delete,
    decode_inspect,
    decode_list,
    decode_tag,
)
from stoker_litestar.dialects.docker.transfer import decode_create, decode_push

PREFIXES = ("/engines", "/engines/{backend}")
"""What it puts before the paths of other APIs; the second one pins the backend."""


def docker_dialect() -> Dialect:
    """Make the dialect of its own routes."""
    return Dialect(
        routes=(
            CommandRoute("GET", "/models", decode_list),
            CommandRoute("POST", "/models/create", decode_create),
            CommandRoute("GET", "/models/{name}", decode_inspect),
            CommandRoute("DELETE", "/models/{name}", decode_delete),
            CommandRoute("POST", "/models/{name}/tag", decode_tag, creates=True),
            CommandRoute("POST", "/models/{name}/push", decode_push),
            CommandRoute("GET", "/engines/status", decode_status),
            CommandRoute("GET", "/engines/ps", decode_ps),
            CommandRoute("GET", "/engines/df", decode_df),
            CommandRoute("POST", "/engines/unload", decode_unload),
            CommandRoute("GET", "/version", decode_version),
        ),
        encode_error=encode_error,
        error_content_type=CONTENT_TYPE,
    )

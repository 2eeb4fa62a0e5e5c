"""The engines: what is installed, what runs, and how to end it."""

from __future__ import annotations

import msgspec

from stoker.dialect import CommandCall, CommandQuery
from stoker.engine import Mode
from stoker.host import RunnerState, RunnerStatus
from stoker.management import (
    BackendList,
    BackendState,
    DiskUsage,
    ListBackends,
    ListLoaded,
    LoadedList,
    MeasureDisk,
    ModelsUnloaded,
    TellVersion,
    UnloadModels,
    Version,
)
from stoker_litestar.dialects.docker.result import answered
from stoker_litestar.dialects.docker.wire.management import UnloadBody
from stoker_litestar.dialects.docker.wire.model import (
    DiskObject,
    RunnerObject,
    UnloadAnswer,
    VersionAnswer,
)
from stoker_litestar.dialects.json_body import decode_body, field_error

_UNLOAD = msgspec.json.Decoder(UnloadBody)


def decode_status(_query: CommandQuery) -> CommandCall:
    """Decode `GET /engines/status`."""
    return answered(
        ListBackends(),
        BackendList,
        lambda result: {backend.name: _state(backend) for backend in result.backends},
    )


def decode_ps(_query: CommandQuery) -> CommandCall:
    """Decode `GET /engines/ps`."""
    return answered(
        ListLoaded(), LoadedList, lambda result: [_runner(model.status) for model in result.models]
    )


def decode_df(_query: CommandQuery) -> CommandCall:
    """Decode `GET /engines/df`."""
    return answered(MeasureDisk(), DiskUsage, lambda usage: DiskObject(usage.models_bytes))


def decode_version(_query: CommandQuery) -> CommandCall:
    """Decode `GET /version`."""
    return answered(TellVersion(), Version, lambda version: VersionAnswer(version.text))


def decode_unload(query: CommandQuery) -> CommandCall:
    """Decode `POST /engines/unload`.

    Raises:
        InvalidRequestError: A field is unknown or malformed, or it says nothing to unload.
    """
    wire = decode_body(_UNLOAD, query.body)
    if not (wire.all or wire.backend or wire.models):
        raise field_error("models", "say what to unload: models, a backend or all")
    names = None if wire.all or not wire.models else tuple(wire.models)
    command = UnloadModels(names, backend=wire.backend or None)
    return answered(command, ModelsUnloaded, lambda result: UnloadAnswer(result.count))


def _state(backend: BackendState) -> str:
    if backend.availability.available:
        return f"Running: {backend.name} {backend.version}".rstrip()
    return f"Not Installed: {backend.availability.reason}"


def _runner(status: RunnerStatus) -> RunnerObject:
    if Mode.RERANK in status.modes:
        mode = "reranking"
    else:
        mode = "embedding" if Mode.EMBED in status.modes else "completion"
    return RunnerObject(
        backend_name=status.backend,
        model_name=status.model,
        mode=mode,  # type: ignore[arg-type]
        in_use=status.active_requests > 0,
        loading=status.state is RunnerState.LOADING,
    )

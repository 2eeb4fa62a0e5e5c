"""An engine that computes nothing: it asks a server elsewhere, and passes on what that says."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import msgspec

from stoker.engine import EngineInfo, TextEngine
from stoker.errors import LoadError
from stoker.request import GenerateRequest
from stoker_remote.body import body_of
from stoker_remote.connection import Connection
from stoker_remote.plugin import RemoteOptions
from stoker_remote.stream import RemoteStream
from stoker_remote.wire import RemoteModel


def open_engine(weights: Sequence[Path], options: RemoteOptions) -> RemoteEngine:
    """Read where the model is. The server is not asked yet: it may be switched on later.

    Raises:
        LoadError: The file says nothing of use, or the variable with the key is not set.
    """
    if len(weights) != 1:
        raise LoadError("A remote model is one file that says where it is.")
    try:
        model = msgspec.json.decode(weights[0].read_bytes(), type=RemoteModel)
    except (OSError, msgspec.MsgspecError) as exc:
        raise LoadError(f"{weights[0].name} does not say where the model is: {exc}.") from exc
    key = os.environ.get(options.api_key_variable, "") if options.api_key_variable else ""
    if options.api_key_variable and not key:
        raise LoadError(
            f"The variable {options.api_key_variable}, which should have the key of {model.url}, is"
            " not set where the server was started."
        )
    return RemoteEngine(model, options, key)


class RemoteEngine(TextEngine):
    """Asks for each choice by a stream of its own; all streams are read at the same time."""

    calls_tools = True
    counts_tokens = True

    def __init__(self, model: RemoteModel, options: RemoteOptions, key: str = "") -> None:
        self._model = model
        self._max_streams = options.max_streams
        self._connection = Connection(
            model.url, key=key, timeout_s=options.timeout_s, max_streams=options.max_streams
        )

    @property
    def info(self) -> EngineInfo:
        """What the file says; nobody has asked the server."""
        return EngineInfo(
            context_length=self._model.context_length,
            vocabulary_size=0,
            devices=(self._model.url,),
            max_sequences=self._max_streams,
        )

    def generate(self, request: GenerateRequest, *, index: int) -> RemoteStream:
        """Begin to ask; what the server refuses is refused by the stream's first piece.

        Raises:
            UnsupportedFeatureError: The request wants something that is not passed on.
        """
        path, body = body_of(request, self._model.model, index)
        return self._connection.ask(path, body)

    def wait(self, timeout_s: float) -> None:
        """Wait until a piece of any stream has come."""
        self._connection.wait(timeout_s)

    def close(self) -> None:
        """Hang up, whatever is under way."""
        self._connection.close()

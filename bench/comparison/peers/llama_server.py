"""llama.cpp's own server."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from comparison.engine_source import llama_server
from comparison.model import BenchModel
from comparison.peer import Serving
from comparison.server_peer import ServerPeer


class LlamaServer(ServerPeer):
    """`llama-server`; its arguments go to its command line as they are."""

    ready_path = "/health"

    def prepare(self, model: BenchModel, folder: Path) -> None:
        """Build it."""
        del model, folder
        llama_server()

    def command(self, serving: Serving, port: int, folder: Path) -> list[str]:
        """Its slots have the context in equal parts."""
        del folder
        return [
            str(llama_server()),
            *("--model", str(serving.model.path)),
            *("--port", str(port)),
            *("--threads", str(serving.threads)),
            *("--parallel", str(serving.streams)),
            *("--ctx-size", str(serving.streams * serving.context_length)),
            *self.arguments,
        ]

    def constrain(self, schema: Mapping[str, Any]) -> dict[str, Any]:
        """A field of its own on this route."""
        return {"json_schema": schema}

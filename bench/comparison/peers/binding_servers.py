"""The two servers of llama-cpp-python: the packaged one, and the example that batches."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from llama_cpp.llama_grammar import json_schema_to_gbnf

from comparison.engine_source import source
from comparison.generation import Generation
from comparison.model import BenchModel
from comparison.peer import Serving
from comparison.peer_environment import peers_python
from comparison.server_peer import ServerPeer


class _BindingServer(ServerPeer):
    def prepare(self, model: BenchModel, folder: Path) -> None:
        """Install it."""
        del model, folder
        peers_python()
        source()

    def go_on(self, generation: Generation, model_ends: Sequence[int]) -> dict[str, Any]:
        """Ban the tokens that end an answer: neither server knows `ignore_eos`."""
        del generation
        return self.banned(model_ends)

    def constrain(self, schema: Mapping[str, Any]) -> dict[str, Any]:
        """A grammar, made by the binding."""
        return {"grammar": json_schema_to_gbnf(json.dumps(schema))}


class PackagedServer(_BindingServer):
    """`python -m llama_cpp.server`; its arguments go to its command line as they are.

    It answers one request at a time. By default a new one would break off the one that runs.
    """

    def command(self, serving: Serving, port: int, folder: Path) -> list[str]:
        """One sequence, with a stream's context."""
        del folder
        return [
            *(str(peers_python()), "-m", "llama_cpp.server"),
            *("--model", str(serving.model.path)),
            *("--port", str(port)),
            *("--n_threads", str(serving.threads)),
            *("--n_threads_batch", str(serving.threads)),
            *("--n_ctx", str(serving.context_length)),
            *("--interrupt_requests", "false"),
            *self.arguments,
        ]


class ExampleServer(_BindingServer):
    """`examples/server/server.py`; its arguments are `NAME=JSON`, options of the model."""

    def command(self, serving: Serving, port: int, folder: Path) -> list[str]:
        """It takes nothing but a file."""
        model = {
            "path": str(serving.model.path),
            "alias": serving.model.reference,
            "n_ctx": serving.streams * serving.context_length,
            "n_seq_max": serving.streams,
            "threads": serving.threads,
            "threads_batch": serving.threads,
        }
        for argument in self.arguments:
            name, _, value = argument.partition("=")
            model[name] = json.loads(value)
        config = folder / f"{self.label}.json"
        server = {"host": "127.0.0.1", "port": port}
        config.write_text(json.dumps({"server": server, "model": model}), encoding="utf-8")
        script = source() / "examples" / "server" / "server.py"
        return [str(peers_python()), str(script), "-C", str(config)]

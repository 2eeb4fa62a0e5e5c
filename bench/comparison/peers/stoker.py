"""Stoker itself: any checkout's command."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from comparison.model import BenchModel
from comparison.peer import PeerError, Serving
from comparison.server_peer import ServerPeer

LIMIT_S = 120
HERE = Path(sys.executable).with_name("stoker")


class Stoker(ServerPeer):
    """`stoker serve` with a home of its own; its arguments are options of the backend llama.cpp."""

    ready_path = "/health"
    backend = "LLAMA_CPP"
    """As variables name it."""

    def __init__(self, label: str, arguments: Sequence[str] = (), *, command: Path = HERE) -> None:
        """Describe it.

        Args:
            label: What tables call it.
            arguments: `NAME=VALUE`, options of the backend.
            command: The `stoker` of the checkout that is measured.
        """
        super().__init__(label, arguments)
        self._command = command
        self._home = Path()

    def prepare(self, model: BenchModel, folder: Path) -> None:
        """Package the model into the home."""
        self._home = folder / f"home-{self.label}"
        self._home.mkdir(exist_ok=True)
        done = subprocess.run(
            [str(self._command), "package", model.reference, *self.weights(model, folder)],
            env={**os.environ, "STOKER_HOME": str(self._home)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
        if done.returncode != 0:
            raise PeerError(f"{self.label}: {done.stderr}")

    def weights(self, model: BenchModel, folder: Path) -> list[str]:
        """What `stoker package` is told of the model's files."""
        del folder
        return ["--weights", str(model.path)]

    def options(self, serving: Serving) -> dict[str, str]:
        """Options of the backend that follow from what all peers are told."""
        return {
            "threads": str(serving.threads),
            "max_sequences": str(serving.streams),
            "context_length": str(serving.context_length),
            "cache_tokens": str(serving.streams * serving.context_length),
        }

    def command(self, serving: Serving, port: int, folder: Path) -> list[str]:
        """The port is the only flag; the rest stands in the environment."""
        del serving, folder
        return [str(self._command), "serve", "--port", str(port)]

    def environ(self, serving: Serving) -> Mapping[str, str]:
        """The cache has room for every stream's context, as that of the peers."""
        given = dict(argument.split("=", 1) for argument in self.arguments if "=" in argument)
        options = self.options(serving) | given
        prefix = f"STOKER_BACKENDS__{self.backend}__"
        settings = {prefix + name.upper(): value for name, value in options.items()}
        return settings | {"STOKER_HOME": str(self._home)}

    def constrain(self, schema: Mapping[str, Any]) -> dict[str, Any]:
        """The extension that vLLM has too."""
        return {"structured_outputs": {"json": schema}}

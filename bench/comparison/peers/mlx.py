"""Peers on MLX: stoker with that backend, and mlx-lm's own server, on the same weights.

The GGUF file of a model is turned into the folder that both read. With the argument `floats` its
weights are 16-bit floats, else they stay in their blocks of 4 bits; Gemma's are floats always.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import gemma_to_mlx
import gguf_to_mlx

from comparison.generation import Generation
from comparison.model import BenchModel
from comparison.peer import PeerError, Serving
from comparison.peers.stoker import Stoker
from comparison.server_peer import ServerPeer

FLOATS = "floats"


def mlx_folder(model: BenchModel, folder: Path, arguments: Sequence[str]) -> Path:
    """The folder of a model, made once in a run.

    Raises:
        PeerError: The model cannot be turned.
    """
    floats = FLOATS in arguments
    target = folder / f"mlx-{model.name}{'-floats' * floats}"
    if not target.exists():
        try:
            if model.name.startswith("gemma"):
                gemma_to_mlx.convert(model.path, target)
            else:
                gguf_to_mlx.convert(model.path, target, floats=floats)
        except ValueError as exc:
            raise PeerError(str(exc)) from exc
    return target


class StokerOnMlx(Stoker):
    """`stoker serve` with the backend mlx; arguments are `floats` and options of the backend."""

    backend = "MLX"

    def weights(self, model: BenchModel, folder: Path) -> list[str]:
        """All files of the folder."""
        return ["--directory", str(mlx_folder(model, folder, self.arguments))]

    def options(self, serving: Serving) -> dict[str, str]:
        """MLX has no say about threads."""
        options = super().options(serving)
        del options["threads"]
        return options


class MlxLmServer(ServerPeer):
    """`python -m mlx_lm server`; its arguments are `floats` and flags of its own."""

    ready_path = "/health"

    def __init__(self, label: str, arguments: Sequence[str] = ()) -> None:
        """Describe it; nothing starts."""
        super().__init__(label, arguments)
        self._model = Path()

    def prepare(self, model: BenchModel, folder: Path) -> None:
        """Turn the model into its form."""
        self._model = mlx_folder(model, folder, self.arguments)

    def model_name(self, serving: Serving) -> str:
        """The model that it was started with; any other name it would look for on the Internet."""
        del serving
        return "default_model"

    def command(self, serving: Serving, port: int, folder: Path) -> list[str]:
        """It takes as many streams as come."""
        del serving, folder
        flags = [argument for argument in self.arguments if argument != FLOATS]
        return [
            *(sys.executable, "-m", "mlx_lm", "server"),
            *("--model", str(self._model)),
            *("--port", str(port)),
            *flags,
        ]

    def go_on(self, generation: Generation, model_ends: Sequence[int]) -> dict[str, Any]:
        """It has only a bias, which costs it time; the short answers end only when drawn."""
        return {} if generation.seed is None else self.banned(model_ends)

    def constrain(self, schema: Mapping[str, Any]) -> dict[str, Any]:
        """The field of OpenAI's, which it does not read."""
        form = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}
        return {"response_format": form}

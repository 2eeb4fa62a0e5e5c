"""The small files of a model: what its JSON says, found by name in a bundle.

Read in every process that plans a load, so nothing here imports MLX. The files come from strangers:
sizes are bounded and types are checked where they are used.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from stoker.artifact import ModelBundle
from stoker.errors import InvalidArtifactError

_MAX_JSON_BYTES = 16 * 1024 * 1024
TOKENIZER = "tokenizer.json"
_SHARDS = "model"
"""By what Hugging Face's transformers begins the names of shards, and all that read them."""


@attrs.frozen
class ModelFiles:
    """The files of a bundle by their paths, relative to the folder in which the weights are."""

    name: str
    """The model's, for messages."""
    paths: Mapping[str, Path] = attrs.field(hash=False)
    weights: tuple[Path, ...]
    """The shards; without those of other packagings of the same weights, which lie beside them."""

    @classmethod
    def of(cls, bundle: ModelBundle) -> ModelFiles:
        """Find the files of a bundle.

        Raises:
            InvalidArtifactError: It has no weights.
        """
        name = bundle.reference.familiar
        if not bundle.weights:
            raise InvalidArtifactError(f"{name} has no weights.")
        folder = bundle.weights[0].parent
        paths = {item.path.name: item.path for item in reversed(bundle.files)}
        # What stands beside the weights goes before what has the same name elsewhere.
        for item in bundle.files:
            if item.path.is_relative_to(folder):
                paths[item.path.relative_to(folder).as_posix()] = item.path
        usual = tuple(path for path in bundle.weights if path.name.startswith(_SHARDS))
        return cls(name, paths, usual or bundle.weights)

    def json(self, name: str) -> dict[str, Any]:
        """What a file says; nothing when there is none.

        Raises:
            InvalidArtifactError: It is no JSON object, or is too large.
        """
        path = self.paths.get(name)
        if path is None:
            return {}
        try:
            with path.open("rb") as file:
                data = file.read(_MAX_JSON_BYTES + 1)
            if len(data) > _MAX_JSON_BYTES:
                raise InvalidArtifactError(f"{name} of {self.name} is too large to be true.")
            # Not msgspec: such files have `Infinity` in them, which Python's own reader takes.
            found = json.loads(data)
        except (OSError, ValueError, RecursionError) as exc:
            raise InvalidArtifactError(f"{name} of {self.name} cannot be read: {exc}.") from exc
        if not isinstance(found, dict):
            raise InvalidArtifactError(f"{name} of {self.name} is no JSON object.")
        return found

    def require(self, name: str) -> Path:
        """Where a file is.

        Raises:
            InvalidArtifactError: There is none.
        """
        path = self.paths.get(name)
        if path is None:
            raise InvalidArtifactError(
                f"{self.name} has no {name}, which the backend mlx needs: package the model with"
                " all of its files, `stoker package NAME --directory FOLDER`."
            )
        return path

"""The table of a model's layers, as `inspect` and `why` show it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from stoker.cli.output import print_table
from stoker.cli.quantities import size_text

if TYPE_CHECKING:
    from stoker.artifact import Layer

_HEADER = ("ROLE", "CANONICAL TYPE", "MEDIA TYPE", "SIZE", "DIGEST", "PATH")


def print_layers(layers: Iterable[Layer]) -> None:
    """Print a row per layer, in order."""
    print_table(
        _HEADER,
        [
            (
                layer.role,
                layer.media_type or "unknown",
                layer.descriptor.media_type,
                size_text(layer.descriptor.size_bytes),
                layer.descriptor.digest.short,
                layer.descriptor.file_path or "",
            )
            for layer in layers
        ],
    )

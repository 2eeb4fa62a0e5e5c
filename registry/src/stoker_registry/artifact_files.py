"""Which files the layers of an artifact become, known before any of them is here."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath

import attrs

from stoker.artifact import Artifact, Layer
from stoker.formats import FormatTable
from stoker.manifest import Descriptor
from stoker_registry.layer_paths import layer_paths
from stoker_registry.packing import Packing, packing_of


@attrs.frozen
class ArtifactFiles:
    """The layers of an artifact: those that are files, and those that hold some."""

    layers: tuple[Layer, ...]
    plain: Mapping[PurePosixPath, Layer]
    """The layers that are one file each, by checked paths."""
    packed: Mapping[Descriptor, Packing]

    @classmethod
    def of(cls, artifact: Artifact, formats: FormatTable) -> ArtifactFiles:
        """Look at an artifact's manifest.

        Raises:
            InvalidArtifactError: The layers cannot be laid out as files.
        """
        layers = formats.layers(artifact)
        packed = {
            layer.descriptor: packing
            for layer in layers
            if (packing := packing_of(layer.descriptor.media_type)) is not None
        }
        plain = [layer for layer in layers if layer.descriptor not in packed]
        return cls(layers, dict(zip(layer_paths(plain), plain, strict=True)), packed)

    @property
    def items(self) -> tuple[str, ...]:
        """What people call the layers, in the manifest's order."""
        paths = iter(self.plain)
        return tuple(
            layer.descriptor.digest.short if layer.descriptor in self.packed else str(next(paths))
            for layer in self.layers
        )

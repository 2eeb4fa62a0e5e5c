"""Format rules: from a registry's media types to canonical types and roles.

A layer's media type alone does not say what the layer is: CNCF ModelPack, for one, uses the same
type for every kind of weights and names the format in the config or in a file path. Plugins
therefore register *rules*, and this module finds the one that fits a layer best.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable

import attrs

from stoker.artifact import Artifact, Layer
from stoker.errors import ConflictError
from stoker.manifest import Descriptor
from stoker.media_types import DDUF, GGUF, SAFETENSORS, MediaType, Role


@attrs.frozen
class FormatRule:
    """If all that is set fits a layer, then the layer is this.

    Patterns are those of `fnmatch`, matched with case folded.
    """

    role: Role
    canonical: MediaType | None = None
    """The layer's canonical type; None keeps its own media type."""
    media_type: str = "*"
    """Pattern for the layer's media type."""
    config_format: str | None = None
    """The format that the artifact's config names (`gguf`)."""
    path: str | None = None
    """Pattern for the layer's file path or, with no slash in the pattern, its last part."""
    remark: str | None = None
    """Why hardly any backend runs such weights, as a sentence; shown when indeed none does."""

    @property
    def condition(self) -> tuple[str, str | None, str | None]:
        """What has to hold; two rules with one condition clash."""
        return (self.media_type, self.config_format, self.path)

    @property
    def rank(self) -> tuple[int, bool, bool, int, int]:
        """More conditions beat fewer; then media type before config before path before length."""
        by_type = self.media_type != "*"
        by_config = self.config_format is not None
        by_path = self.path is not None
        return (
            by_type + by_config + by_path,
            by_type,
            by_config,
            len(self.media_type),
            len(self.path or ""),
        )

    def fits(self, layer: Descriptor, config_format: str | None) -> bool:
        """Whether every condition holds."""
        if not fnmatch.fnmatchcase(layer.media_type.lower(), self.media_type.lower()):
            return False
        if self.config_format is not None and self.config_format != (config_format or "").lower():
            return False
        if self.path is None:
            return True
        path = (layer.file_path or "").lower()
        if "/" not in self.path:
            path = path.rpartition("/")[2]
        return fnmatch.fnmatchcase(path, self.path.lower())


CANONICAL_RULES = (
    FormatRule(Role.WEIGHTS, media_type=GGUF),
    FormatRule(Role.WEIGHTS, media_type=SAFETENSORS),
    FormatRule(
        Role.WEIGHTS, media_type=DDUF, remark="A DDUF archive holds a model that makes images."
    ),
)
"""Canonical types mean themselves, whatever is installed."""


@attrs.frozen
class FormatTable:
    """All rules, best first."""

    rules: tuple[FormatRule, ...]

    @classmethod
    def of(cls, rules: Iterable[FormatRule] = ()) -> FormatTable:
        """Sort rules of several plugins, and the canonical ones, into one table.

        Raises:
            ConflictError: Two rules have the same condition and different results.
        """
        by_condition: dict[object, FormatRule] = {}
        for rule in (*CANONICAL_RULES, *rules):
            other = by_condition.setdefault(rule.condition, rule)
            if other != rule:
                raise ConflictError(f"Two format rules clash: {other} and {rule}.")
        return cls(tuple(sorted(by_condition.values(), key=lambda rule: rule.rank, reverse=True)))

    def layer(self, descriptor: Descriptor, *, config_format: str | None = None) -> Layer:
        """Say what one layer is; a layer that no rule fits is kept as `Role.OTHER`."""
        for rule in self.rules:
            if rule.fits(descriptor, config_format):
                media_type = rule.canonical or descriptor.media_type
                return Layer(descriptor, media_type, rule.role, rule.remark)
        return Layer(descriptor, None, Role.OTHER)

    def layers(self, artifact: Artifact) -> tuple[Layer, ...]:
        """Say what all layers of an artifact are, in order."""
        return tuple(
            self.layer(item, config_format=artifact.facts.format)
            for item in artifact.manifest.layers
        )

"""Backend selection: from an artifact's layers to the plugin that runs them.

The rules, in order:

1. A pin wins: the request's, else the model's in the config. A pinned backend that is missing,
   cannot run here or does not run such weights is an error, never a fall-back.
2. The config's ordered list for the weights' media type: the first that is available.
3. The only available backend that runs the media type.
4. The highest priority. A tie is an error that names the setting that settles it.

The order in which plugins were loaded never matters.
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Mapping, Sequence

import attrs

from stoker.artifact import Layer
from stoker.backend import Availability, BackendSpec, availability_of
from stoker.errors import (
    AmbiguousBackendError,
    BackendUnavailableError,
    StokerError,
    UnknownFormatError,
)
from stoker.media_types import MediaType, Role


class Rule(enum.StrEnum):
    """What settled a choice."""

    REQUEST_PIN = "pinned by the request"
    CONFIG_PIN = "pinned for the model in the config"
    CONFIG_ORDER = "first available in the config's list for the media type"
    ONLY_ONE = "the only available backend for the media type"
    PRIORITY = "the highest priority among the available backends"


@attrs.frozen
class Bid:
    """A backend that runs the media type."""

    backend: str
    availability: Availability
    priority: int


@attrs.frozen
class Decision:
    """How a model's backend was chosen, or why none was."""

    layers: tuple[Layer, ...]
    media_type: MediaType | None
    """Canonical type of the weights; None when that could not be told."""
    bids: tuple[Bid, ...] = ()
    backend: BackendSpec | None = None
    rule: Rule | None = None
    problem: StokerError | None = None

    def require(self) -> BackendSpec:
        """The chosen backend.

        Raises:
            UnknownFormatError: Nobody knows what the weights are.
            BackendUnavailableError: Nobody who could run them can do so here.
            AmbiguousBackendError: Several could, equally well.
        """
        if self.backend is None:
            raise self.problem or BackendUnavailableError("No backend was chosen.")
        return self.backend


def decide(
    layers: Sequence[Layer],
    backends: Mapping[str, BackendSpec],
    *,
    request_pin: str | None = None,
    config_pin: str | None = None,
    order: Mapping[str, Collection[str]] | None = None,
) -> Decision:
    """Choose the backend for an artifact.

    Args:
        layers: The artifact's layers after the format rules.
        backends: All registered backends, by name.
        request_pin: A backend that the request names.
        config_pin: A backend that the config names for this model.
        order: The config's backend names by canonical media type, best first.

    Returns:
        The whole decision. Problems are in it, not raised, so that they can be explained.
    """
    decision = Decision(layers=tuple(layers), media_type=None)
    try:
        media_type = _weights_type(layers)
    except UnknownFormatError as exc:
        return attrs.evolve(decision, problem=exc)
    bids = tuple(
        Bid(spec.name, availability_of(spec), spec.priority)
        for spec in sorted(backends.values(), key=lambda spec: (-spec.priority, spec.name))
        if media_type in spec.media_types
    )
    decision = attrs.evolve(decision, media_type=media_type, bids=bids)
    try:
        name, rule = _choose(decision, backends, request_pin, config_pin, order or {})
    except StokerError as exc:
        return attrs.evolve(decision, problem=exc)
    return attrs.evolve(decision, backend=backends[name], rule=rule)


def _weights_type(layers: Sequence[Layer]) -> MediaType:
    weights = [layer for layer in layers if layer.role is Role.WEIGHTS]
    if not weights:
        have = ", ".join(sorted({layer.descriptor.media_type for layer in layers})) or "none"
        raise UnknownFormatError(
            f"None of the artifact's layers is known as weights (their media types: {have})."
            " A plugin with a format rule for them may be missing: see `stoker plugins`."
        )
    types = sorted({layer.media_type or layer.descriptor.media_type for layer in weights})
    if len(types) > 1:
        raise UnknownFormatError(
            f"The artifact mixes weights of several kinds ({', '.join(types)}); package it again"
            " with one kind."
        )
    return MediaType(types[0])


def _choose(
    decision: Decision,
    backends: Mapping[str, BackendSpec],
    request_pin: str | None,
    config_pin: str | None,
    order: Mapping[str, Collection[str]],
) -> tuple[str, Rule]:
    pin = request_pin or config_pin
    if pin is not None:
        _check_pin(pin, decision, backends)
        return pin, Rule.REQUEST_PIN if request_pin else Rule.CONFIG_PIN
    media_type = str(decision.media_type)
    if not decision.bids:
        remarks = {layer.remark for layer in decision.layers if layer.role is Role.WEIGHTS}
        remark = next(iter(sorted(filter(None, remarks))), None)
        raise UnknownFormatError(
            f"No installed backend runs {media_type}"
            f" (installed backends: {', '.join(sorted(backends)) or 'none'})."
            f" {remark or 'Install one that does; `pip install stoker[all]` has the shipped ones.'}"
        )
    available = [bid for bid in decision.bids if bid.availability.available]
    if not available:
        reasons = "; ".join(f"{bid.backend}: {bid.availability.reason}" for bid in decision.bids)
        raise BackendUnavailableError(f"No backend for {media_type} can run here. {reasons}")
    if media_type in order:
        names = {bid.backend for bid in available}
        for name in order[media_type]:
            if name in names:
                return name, Rule.CONFIG_ORDER
        raise BackendUnavailableError(
            f"None of the backends that [selection] lists for {media_type}"
            f" ({', '.join(order[media_type])}) can run here;"
            f" available: {', '.join(sorted(names))}."
        )
    if len(available) == 1:
        return available[0].backend, Rule.ONLY_ONE
    first, second = available[:2]
    if first.priority == second.priority:
        raise AmbiguousBackendError(
            f"Backends {first.backend!r} and {second.backend!r} both run {media_type} with the"
            f' same priority. Choose in the config: [selection] "{media_type}" ='
            f' ["{first.backend}", "{second.backend}"]'
        )
    return first.backend, Rule.PRIORITY


def _check_pin(pin: str, decision: Decision, backends: Mapping[str, BackendSpec]) -> None:
    if pin not in backends:
        raise BackendUnavailableError(
            f"The model is pinned to backend {pin!r}, which is not installed"
            f" (installed: {', '.join(sorted(backends)) or 'none'})."
        )
    bid = next((bid for bid in decision.bids if bid.backend == pin), None)
    if bid is None:
        raise BackendUnavailableError(
            f"The model is pinned to backend {pin!r}, which does not run {decision.media_type}."
        )
    if not bid.availability.available:
        raise BackendUnavailableError(
            f"The model is pinned to backend {pin!r}, which cannot run here:"
            f" {bid.availability.reason}"
        )

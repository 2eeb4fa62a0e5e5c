from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import attrs
import pytest

from stoker.artifact import Layer
from stoker.backend import Availability, BackendSpec
from stoker.digest import Digest
from stoker.errors import AmbiguousBackendError, BackendUnavailableError, UnknownFormatError
from stoker.manifest import Descriptor
from stoker.media_types import GGUF, SAFETENSORS, MediaType, Role
from stoker.selection import Rule, decide


def _layers(*types: MediaType, role: Role = Role.WEIGHTS) -> list[Layer]:
    return [Layer(Descriptor(kind, Digest.of(b""), 0), kind, role) for kind in types]


def _backend(
    name: str, *, available: bool = True, priority: int = 0, runs: MediaType = GGUF
) -> BackendSpec:
    def load(bundle: Any, options: Any, progress: Any) -> Any:
        raise NotImplementedError

    availability = Availability(available=available, reason=f"reason of {name}")
    return BackendSpec(name, (runs,), load, probe=lambda: availability, priority=priority)


def _backends(*specs: BackendSpec) -> Mapping[str, BackendSpec]:
    return {spec.name: spec for spec in specs}


def test_the_only_available_backend_wins() -> None:
    """An unavailable backend of a higher priority does not stand in the way."""

    backends = _backends(_backend("a"), _backend("b", available=False, priority=9))

    decision = decide(_layers(GGUF), backends)

    assert ("a", Rule.ONLY_ONE) == (decision.require().name, decision.rule)
    assert ["b", "a"] == [bid.backend for bid in decision.bids]


def test_priority_decides_between_available_ones() -> None:
    """The highest priority wins when the config says nothing."""

    decision = decide(_layers(GGUF), _backends(_backend("a"), _backend("b", priority=1)))

    assert ("b", Rule.PRIORITY) == (decision.require().name, decision.rule)


def test_a_tie_names_both_and_the_setting() -> None:
    """A tie is an error that says how to settle it, never a matter of order."""

    decision = decide(_layers(GGUF), _backends(_backend("b"), _backend("a")))

    with pytest.raises(AmbiguousBackendError, match=r"'a' and 'b'.*\[selection\]"):
        decision.require()


def test_the_config_order_beats_priority_and_skips_unavailable() -> None:
    """The first available of the config's list wins."""

    backends = _backends(_backend("a"), _backend("b", priority=9), _backend("c", available=False))

    decision = decide(_layers(GGUF), backends, order={GGUF: ("c", "a", "b")})

    assert ("a", Rule.CONFIG_ORDER) == (decision.require().name, decision.rule)


def test_a_config_order_without_an_available_one_is_an_error() -> None:
    """A list in the config is binding: nothing outside it is taken."""

    decision = decide(_layers(GGUF), _backends(_backend("a")), order={GGUF: ("gone",)})

    with pytest.raises(BackendUnavailableError, match=r"gone.*available: a"):
        decision.require()


@pytest.mark.parametrize(
    ("pins", "rule"),
    [
        ({"request_pin": "a", "config_pin": "b"}, Rule.REQUEST_PIN),
        ({"config_pin": "a"}, Rule.CONFIG_PIN),
    ],
)
def test_a_pin_beats_everything(pins: dict[str, str], rule: Rule) -> None:
    """The request's pin wins, then the config's, then the rest."""

    backends = _backends(_backend("a"), _backend("b", priority=9))

    decision = decide(_layers(GGUF), backends, order={GGUF: ("b",)}, **pins)

    assert ("a", rule) == (decision.require().name, decision.rule)


@pytest.mark.parametrize(
    ("pin", "message"),
    [
        ("gone", "not installed"),
        ("off", "cannot run here: reason of off"),
        ("other", f"does not run {GGUF}"),
    ],
)
def test_a_pin_that_cannot_be_honoured_is_an_error(pin: str, message: str) -> None:
    """A pinned backend is never silently replaced."""

    backends = _backends(
        _backend("a"), _backend("off", available=False), _backend("other", runs=SAFETENSORS)
    )

    with pytest.raises(BackendUnavailableError, match=message):
        decide(_layers(GGUF), backends, request_pin=pin).require()


def test_a_format_that_nobody_runs_says_why() -> None:
    """What the format rule remarks is the end of the error, in the place of general advice."""

    layers = [attrs.evolve(layer, remark="It holds images.") for layer in _layers(SAFETENSORS)]

    problem = decide(layers, _backends(_backend("a"))).problem

    assert str(problem).endswith("(installed backends: a). It holds images.")


def test_nobody_runs_the_type() -> None:
    """Without any bid the error names the media type and what is installed."""

    with pytest.raises(UnknownFormatError, match=rf"{SAFETENSORS}.*installed backends: a"):
        decide(_layers(SAFETENSORS), _backends(_backend("a"))).require()


def test_all_bidders_are_unavailable() -> None:
    """The error repeats each bidder's own reason."""

    with pytest.raises(BackendUnavailableError, match="a: reason of a"):
        decide(_layers(GGUF), _backends(_backend("a", available=False))).require()


def test_an_artifact_without_weights_is_unknown() -> None:
    """The error names the media types that the layers have."""

    with pytest.raises(UnknownFormatError, match=re.escape(GGUF)):
        decide(_layers(GGUF, role=Role.OTHER), {}).require()


def test_mixed_weights_are_refused() -> None:
    """An artifact with weights of two kinds is not half-run."""

    with pytest.raises(UnknownFormatError, match="mixes"):
        decide(_layers(GGUF, SAFETENSORS), _backends(_backend("a"))).require()


def test_a_probe_that_raises_is_no_bid_that_can_win() -> None:
    """A plugin whose check is broken cannot run, and its words are in the reason."""

    def broken() -> Availability:
        raise OSError("no such driver")

    spec = attrs.evolve(_backend("a"), probe=broken)

    decision = decide(_layers(GGUF), _backends(spec, _backend("b")))

    assert "b" == decision.require().name
    assert "no such driver" in decision.bids[0].availability.reason

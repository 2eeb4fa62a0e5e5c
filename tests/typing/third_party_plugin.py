"""A third party's plugin as a type checker sees it; never run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

import stoker
from stoker.artifact import ModelBundle
from stoker.backend import BackendSpec, LoadProgress, always_available
from stoker.engine import EngineInfo, TextEngine
from stoker.formats import FormatRule
from stoker.media_types import MediaType, Role
from stoker.metrics import MetricFamily, MetricKind, MetricSource, MetricSpec, Sample
from stoker.request import GenerateRequest

SHOUT = MediaType("application/vnd.example.shout")


class ShoutOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A plugin's options."""

    loud: bool = True


class ShoutEngine(TextEngine):
    """The smallest engine."""

    @property
    def info(self) -> EngineInfo:
        """What was loaded."""
        return EngineInfo(context_length=100, vocabulary_size=0)

    def generate(self, request: GenerateRequest, *, index: int) -> Iterator[str]:
        """Answer."""
        yield request.model.upper()

    def close(self) -> None:
        """Free nothing."""


def load(bundle: ModelBundle, options: msgspec.Struct, progress: LoadProgress) -> ShoutEngine:
    """Load nothing."""
    progress("warming up", None)
    return ShoutEngine()


@stoker.hookimpl
def stoker_register_backends() -> Iterable[BackendSpec]:
    """Offer the backend."""
    return [BackendSpec("shout", (SHOUT,), load, always_available, options_type=ShoutOptions)]


@stoker.hookimpl
def stoker_register_formats() -> Iterable[FormatRule]:
    """Offer the format."""
    return [FormatRule(Role.WEIGHTS, media_type=SHOUT)]


class Shouts(MetricSource):
    """The smallest source of metrics."""

    def families(self) -> Iterable[MetricFamily]:
        """Measure nothing."""
        yield MetricFamily("shouts", MetricKind.GAUGE, "Shouts.", (Sample(1, {"loud": "yes"}),))


@stoker.hookimpl
def stoker_register_metrics() -> Iterable[MetricSpec]:
    """Offer the source."""
    return [MetricSpec("shouts", Shouts)]


def script() -> str:
    """In-process use."""
    with stoker.open("ai/smollm2") as model:
        return "".join(model.chat("Hi", max_tokens=5, temperature=0.0))

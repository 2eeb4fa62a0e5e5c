"""The backend seam: what an engine plugin registers.

The record is made in every stoker process, so it must be cheap: `factory` and `devices` import
the engine's library, nothing else does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import attrs
import msgspec

from stoker.artifact import ModelBundle
from stoker.engine import Engine, TextEngine
from stoker.estimate import EstimateMemory
from stoker.media_types import MediaType


@attrs.frozen
class Availability:
    """Whether something can run here, and in a human sentence why, or why not."""

    available: bool
    reason: str
    """For example "squawk 1.2", or "squawk is not installed: pip install stoker-parrot"."""


def always_available() -> Availability:
    """The probe of a plugin that needs nothing."""
    return Availability(available=True, reason="ready")


class Probed(Protocol):
    """A plugin's record that can say whether it can run here."""

    @property
    def probe(self) -> Callable[[], Availability]:
        """See `BackendSpec.probe`."""


def availability_of(record: Probed) -> Availability:
    """Ask a record's probe; one that raises cannot run here, and the reason says so."""
    try:
        return record.probe()
    except Exception as exc:  # noqa: BLE001 - whatever a plugin raises is its own
        return Availability(
            available=False, reason=f"its own check failed: {type(exc).__name__}: {exc}"
        )


@attrs.frozen
class Device:
    """A processor that a backend can use."""

    name: str
    kind: str
    """`cpu`, `cuda`, `metal`, ... in the engine's own words, lower case."""
    description: str = ""
    memory_bytes: int | None = None
    """Total memory of the device; None when it is not known."""


class NoOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The options of a plugin that has none."""


class LoadProgress(Protocol):
    """Told by a backend how far loading has come; raises to give the load up."""

    def __call__(self, stage: str, fraction: float | None) -> None:
        """Report progress.

        Args:
            stage: A short phrase for people: "reading weights".
            fraction: Between 0 and 1, or None when it cannot be told.

        Raises:
            OperationCancelledError: Nobody waits any more. Let it through.
        """


class LoadEngine(Protocol):
    """Load a model. Called once per process, in the thread that will call the engine."""

    def __call__(
        self, bundle: ModelBundle, options: msgspec.Struct, progress: LoadProgress
    ) -> Engine | TextEngine:
        """Load and return the engine.

        Args:
            bundle: The model's files.
            options: An instance of the record's `options_type`.
            progress: To be called now and then, at most some ten times a second.

        Raises:
            LoadError: The model cannot be loaded; the message says why, in the library's words
                where they help.
            OutOfMemoryError: It cannot be loaded because memory is short. It is tried once more
                when another model has left.
            BackendUnavailableError: The library is missing or of an untested version.
        """


def _no_devices() -> Sequence[Device]:
    return ()


@attrs.frozen
class BackendSpec:
    """An engine plugin's record: what it runs, and how to start it."""

    name: str
    """As users write it in the config and see it in `stoker plugins`."""
    media_types: tuple[MediaType, ...]
    """Canonical media types of weights that it runs."""
    load: LoadEngine
    probe: Callable[[], Availability]
    """Whether it can run here. Called often, in any thread: no heavy import, a few ms at most."""
    options_type: type[msgspec.Struct] = NoOptions
    """Type of the `[backends.NAME]` table; a frozen Struct that forbids unknown fields."""
    devices: Callable[[], Sequence[Device]] = _no_devices
    """Which devices it found. May take a second, but must not import the engine in this process.

    Raises `BackendUnavailableError` when they cannot be found out.
    """
    estimate: EstimateMemory | None = None
    """What a model takes in memory; None counts the size of its weights' files."""
    priority: int = 0
    """Decides when the config does not; larger wins."""

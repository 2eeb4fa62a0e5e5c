"""Backends with one fault each; `tools/mutations.py` looks whether the kit finds it."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any, ClassVar

import attrs
import msgspec
import pytest
from parrot_bundle import parrot_bundle

from stoker.artifact import ModelBundle
from stoker.backend import Availability, BackendSpec, LoadProgress
from stoker.engine import TextEngine
from stoker.errors import LoadError, OperationCancelledError
from stoker.testing import BackendContract
from stoker_example.parrot.plugin import load, stoker_register_backends

(SPEC,) = stoker_register_backends()
BALLAST_BYTES = 16 * 1024 * 1024


class Mutant(BackendContract):
    """Tests the parrot with something of its record replaced."""

    fault: ClassVar[dict[str, Any]] = {}

    @pytest.fixture
    def spec(self) -> BackendSpec:
        return attrs.evolve(SPEC, **self.fault)

    @pytest.fixture
    def bundle(self, tmp_path: Path) -> ModelBundle:
        return parrot_bundle(tmp_path)


_kept: list[bytearray] = []


def _load_and_keep(
    bundle: ModelBundle, options: msgspec.Struct, progress: LoadProgress
) -> TextEngine:
    _kept.append(bytearray(b"x") * BALLAST_BYTES)
    return load(bundle, options, progress)


class TestKeeping(Mutant):
    """It keeps the memory of engines that were closed."""

    caught_by = frozenset({"test_memory_is_given_back"})
    fault: ClassVar[dict[str, Any]] = {"load": _load_and_keep}


def _load_and_swallow(
    bundle: ModelBundle, options: msgspec.Struct, progress: LoadProgress
) -> TextEngine:
    def quiet(stage: str, fraction: float | None) -> None:
        try:
            progress(stage, fraction)
        except OperationCancelledError:
            return

    return load(bundle, options, quiet)


class TestSwallowing(Mutant):
    """It goes on loading when nobody waits any more."""

    caught_by = frozenset({"test_loading_can_be_given_up"})
    fault: ClassVar[dict[str, Any]] = {"load": _load_and_swallow}


def _load_raw(bundle: ModelBundle, options: msgspec.Struct, progress: LoadProgress) -> TextEngine:
    try:
        return load(bundle, options, progress)
    except LoadError as exc:
        raise RuntimeError(str(exc)) from exc


class TestRaw(Mutant):
    """It lets the library's own exceptions out of `load`."""

    caught_by = frozenset({"test_what_is_no_model_is_a_load_error"})
    fault: ClassVar[dict[str, Any]] = {"load": _load_raw}


class Lenient(msgspec.Struct, frozen=True):
    """Takes every key."""

    repeat: int = 1
    words_per_second: float | None = None


class TestLenient(Mutant):
    """It drops unknown options in silence."""

    caught_by = frozenset({"test_options_are_checked"})
    fault: ClassVar[dict[str, Any]] = {"options_type": Lenient}


_calls = itertools.count()


def _fickle() -> Availability:
    return Availability(available=next(_calls) % 2 == 0, reason="ready")


class TestFickle(Mutant):
    """Its probe says now this, now that."""

    caught_by = frozenset({"test_the_probe_answers_in_any_thread"})
    fault: ClassVar[dict[str, Any]] = {"probe": _fickle}


class TestMute(Mutant):
    """Its probe gives no reason."""

    caught_by = frozenset({"test_the_probe_answers_in_any_thread"})
    fault: ClassVar[dict[str, Any]] = {"probe": lambda: Availability(available=True, reason="")}

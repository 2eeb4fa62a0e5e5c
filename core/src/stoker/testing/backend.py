"""The contract of backends (`stoker.backend.BackendSpec`), as tests."""

from __future__ import annotations

import contextlib
import gc
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import attrs
import msgspec
import pytest

from stoker.artifact import ModelBundle
from stoker.backend import Availability, BackendSpec, LoadProgress
from stoker.engine import Engine, TextEngine
from stoker.errors import InvalidInputError, LoadError, OperationCancelledError
from stoker.media_types import MediaType, Role
from stoker.testing.contract import Contract, missing_fixture

WAIT_S = 30
LOADS = 6
"""How often a model is loaded and closed to see whether its memory comes back."""
SLACK_BYTES = 48 * 1024 * 1024
"""What an allocator may keep for itself."""


class BackendContract(Contract):
    """What every backend's record promises. Override `spec` and `bundle`.

    What the engine does is the business of `EngineContract` or `TextEngineContract`, and what is
    said of memory before that of `EstimateContract`.
    """

    reports_progress = True
    """Unset it when loading is so quick that it tells nothing."""
    refuses_garbage = True
    """Unset it when any file is a model."""

    @pytest.fixture
    def spec(self) -> BackendSpec:
        """The record. Override this."""
        missing_fixture(self, "spec", "return the BackendSpec")

    @pytest.fixture
    def bundle(self) -> ModelBundle:
        """A small model that the backend runs. Override this."""
        missing_fixture(self, "bundle", "return a ModelBundle with a small model")

    @pytest.fixture
    def options(self, spec: BackendSpec) -> msgspec.Struct:
        """The backend's options; the defaults unless overridden."""
        return spec.options_type()

    def test_the_record_is_complete(self, spec: BackendSpec) -> None:
        """It has a name without spaces, and media types that it runs.

        To mend it: name what the weights are (`stoker.media_types.GGUF`, or your own type).
        """
        assert spec.name
        assert not set(spec.name) & set(' \t\n"')
        assert spec.media_types
        assert all(isinstance(item, MediaType) for item in spec.media_types)

    def test_options_are_checked(self, spec: BackendSpec) -> None:
        """An empty table is complete, an unknown key is an error, and options cannot be changed.

        To mend it: give every field a default, and declare the Struct with `frozen=True,
        forbid_unknown_fields=True`.
        """
        msgspec.convert({}, spec.options_type)

        with pytest.raises(msgspec.ValidationError):
            msgspec.convert({"no such option": 1}, spec.options_type)
        assert spec.options_type.__struct_config__.frozen

    def test_the_probe_answers_in_any_thread(self, spec: BackendSpec) -> None:
        """Several threads may ask at once whether it can run, and get the same with a reason.

        To mend it: look with `importlib.util.find_spec`, keep no state, and say in a sentence
        what was found or is missing.
        """
        with ThreadPoolExecutor(4) as threads:
            asked = [threads.submit(spec.probe) for _ in range(16)]
            answers = {answer.result(WAIT_S) for answer in asked}

        (answer,) = answers
        assert isinstance(answer, Availability)
        assert answer.reason.strip()

    def test_devices_have_names(self, spec: BackendSpec) -> None:
        """Every device has a name of its own and a kind.

        To mend it: number devices of one kind; the names stand in configurations.
        """
        devices = list(spec.devices())

        assert len(devices) == len({device.name for device in devices})
        assert all(device.name and device.kind for device in devices)
        assert all(device.memory_bytes is None or device.memory_bytes > 0 for device in devices)

    def test_loading_gives_an_engine(
        self, spec: BackendSpec, bundle: ModelBundle, options: msgspec.Struct
    ) -> None:
        """`load` returns an engine that says how long its context is.

        To mend it: return an `Engine` or a `TextEngine`, ready to be asked.
        """
        with _loaded(spec, bundle, options) as engine:
            assert isinstance(engine, Engine | TextEngine)
            assert engine.info.context_length > 0

    def test_loading_tells_how_far_it_is(
        self, spec: BackendSpec, bundle: ModelBundle, options: msgspec.Struct
    ) -> None:
        """Reports have a stage for people and a fraction that grows from 0 to 1.

        To mend it: call `progress` before what takes long, and never go back within a stage.
        """
        reports: list[tuple[str, float | None]] = []

        def report(stage: str, fraction: float | None) -> None:
            reports.append((stage, fraction))

        with _loaded(spec, bundle, options, report):
            pass

        assert bool(reports) is self.reports_progress
        last: dict[str, float] = {}
        for stage, fraction in reports:
            assert stage.strip()
            if fraction is not None:
                assert last.get(stage, 0.0) <= fraction <= 1.0
                last[stage] = fraction

    def test_loading_can_be_given_up(
        self, spec: BackendSpec, bundle: ModelBundle, options: msgspec.Struct
    ) -> None:
        """An exception out of `progress` ends the load, and the next load works.

        To mend it: free what was made so far and let `OperationCancelledError` through.
        """
        if self.reports_progress:
            with pytest.raises(OperationCancelledError):
                spec.load(bundle, options, _give_up)
        with _loaded(spec, bundle, options):
            pass

    def test_what_is_no_model_is_a_load_error(
        self, spec: BackendSpec, bundle: ModelBundle, options: msgspec.Struct, tmp_path: Path
    ) -> None:
        """Garbage and files that are gone are a `LoadError` (or bad input), never a crash.

        To mend it: catch what the library raises, and raise `LoadError` with its last words.
        """
        paths = {"gone": tmp_path / "gone", "garbage": tmp_path / "garbage"}
        paths["garbage"].write_bytes(b"\x00\xffno model\x00" * 100)
        for name, path in paths.items():
            if name == "garbage" and not self.refuses_garbage:
                continue
            with pytest.raises((LoadError, InvalidInputError)):
                spec.load(_with_weights(bundle, path), options, _ignore).close()

    def test_memory_is_given_back(
        self, spec: BackendSpec, bundle: ModelBundle, options: msgspec.Struct
    ) -> None:
        """Loading and closing again and again does not make the process grow.

        To mend it: free in `close` what the library has allocated; keep no engine in a module
        variable or a reference cycle.
        """
        for _ in range(2):
            with _loaded(spec, bundle, options):
                pass
        before_bytes = _resident_bytes()
        for _ in range(LOADS):
            with _loaded(spec, bundle, options):
                pass
        gc.collect()

        assert _resident_bytes() - before_bytes < SLACK_BYTES


@contextlib.contextmanager
def _loaded(
    spec: BackendSpec,
    bundle: ModelBundle,
    options: msgspec.Struct,
    progress: LoadProgress | None = None,
) -> Iterator[Engine | TextEngine]:
    """A loaded engine for a block."""
    engine = spec.load(bundle, options, progress or _ignore)
    try:
        yield engine
    finally:
        engine.close()


def _ignore(stage: str, fraction: float | None) -> None:
    del stage, fraction


def _give_up(stage: str, fraction: float | None) -> None:
    del stage, fraction
    raise OperationCancelledError("Nobody waits any more.")


def _with_weights(bundle: ModelBundle, path: Path) -> ModelBundle:
    """The bundle with another file for its first weights, and no more of them."""
    weights = next(item for item in bundle.files if item.role is Role.WEIGHTS)
    others = tuple(item for item in bundle.files if item.role is not Role.WEIGHTS)
    return attrs.evolve(bundle, files=(attrs.evolve(weights, path=path), *others))


def _resident_bytes() -> int:
    """What of this process is in memory; 0 where the system does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")

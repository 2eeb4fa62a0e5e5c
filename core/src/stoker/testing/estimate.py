"""The contract of memory estimates (`stoker.estimate.EstimateMemory`), as tests."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import attrs
import msgspec
import pytest

from stoker.artifact import ModelBundle
from stoker.backend import BackendSpec
from stoker.errors import InvalidInputError
from stoker.estimate import HOST, DeviceNeed, MemoryEstimate
from stoker.testing.contract import Contract, missing_fixture

LENGTHS = (512, 1024, 4096)
"""Context lengths that are asked for, as far as the model goes."""
_PROGRAM = """
import importlib, json, pathlib, sys
from stoker.wire.bundle import BundleWire
import msgspec
module, backend, bundle, engines = json.loads(sys.argv[1])
specs = importlib.import_module(module).stoker_register_backends()
(spec,) = (spec for spec in specs if spec.name == backend)
found = spec.estimate(msgspec.convert(bundle, BundleWire).to_domain(), spec.options_type())
found.needs(512)
print(json.dumps(sorted(set(engines) & set(sys.modules))))
"""
_TIMEOUT_S = 60.0


class EstimateContract(Contract):
    """What the estimate of every backend that has one must do. Override `backend` and `bundle`."""

    plugin_module = ""
    """The module that the backend's entry point names."""
    engine_modules: Sequence[str] = ()
    """What must not be imported for an estimate."""

    @pytest.fixture
    def backend(self) -> BackendSpec:
        """The record of a backend with an estimate. Override this."""
        missing_fixture(self, "backend", "return the record that the plugin registers")

    @pytest.fixture
    def bundle(self) -> ModelBundle:
        """A model that the backend runs. Override this."""
        missing_fixture(self, "bundle", "return a model's files")

    def test_every_part_has_a_place(self, backend: BackendSpec, bundle: ModelBundle) -> None:
        """Each device comes once, is the host or one that the estimate names, and has its parts.

        To mend it: name a device of the record for each `DeviceNeed`, and count no byte twice.
        """
        found = _estimate(backend, bundle)
        known = {HOST, *(device.name for device in found.devices)}
        for length in _lengths(found):
            needs = found.needs(length)
            names = [need.device for need in needs]

            assert sorted(set(names)) == sorted(names)
            assert set(names) <= known
            for need in needs:
                parts = {
                    name: part for name, part in attrs.asdict(need).items() if name != "device"
                }
                assert {int} == {type(part) for part in parts.values()}, f"No bytes: {parts}."
                assert min(parts.values()) >= 0, f"Less than nothing: {parts}."
            assert _total_bytes(needs) > 0

    def test_a_longer_context_takes_more(self, backend: BackendSpec, bundle: ModelBundle) -> None:
        """Memory never shrinks with the context, and a model with a long one needs more.

        To mend it: let the KV cache grow with the length, and everything else stay.
        """
        found = _estimate(backend, bundle)
        sizes = [_total_bytes(found.needs(length)) for length in _lengths(found)]

        assert sorted(sizes) == sizes
        assert len(sizes) == 1 or sizes[0] < sizes[-1]

    def test_the_choice_is_put_into_the_options(
        self, backend: BackendSpec, bundle: ModelBundle
    ) -> None:
        """A context length that the core chose is what the options then prescribe.

        To mend it: set the option by which `load` chooses the context.
        """
        found = _estimate(backend, bundle)
        (length, *_) = _lengths(found)
        options = found.configure(backend.options_type(), length)

        assert isinstance(options, backend.options_type)
        assert length == _estimate(backend, bundle, options).context_length

    def test_it_repeats(self, backend: BackendSpec, bundle: ModelBundle) -> None:
        """The same files and options have the same estimate.

        To mend it: estimate from the files and the options alone; keep nothing between calls.
        """
        (length, *_) = _lengths(_estimate(backend, bundle))
        first, second = (_estimate(backend, bundle).needs(length) for _ in range(2))

        assert first == second

    def test_a_broken_file_is_refused(
        self, backend: BackendSpec, bundle: ModelBundle, tmp_path: Path
    ) -> None:
        """Weights that are something else are no model.

        To mend it: check every number of the header before it is used.
        """
        path = tmp_path / "broken"
        path.write_bytes(b"this is no model" * 100)

        with pytest.raises(InvalidInputError):
            _estimate(backend, _with_weights(bundle, path))

    def test_a_missing_file_is_refused(
        self, backend: BackendSpec, bundle: ModelBundle, tmp_path: Path
    ) -> None:
        """Weights that are not there are no crash.

        To mend it: convert `OSError` where the file is opened.
        """
        with pytest.raises(InvalidInputError):
            _estimate(backend, _with_weights(bundle, tmp_path / "missing"))

    def test_no_engine_is_imported(self, backend: BackendSpec, bundle: ModelBundle) -> None:
        """It runs in the supervisor, which has no engine, by what the files' headers say.

        To mend it: read headers with `stoker.weights`, and import the engine in `load` only.
        """
        from stoker.wire.bundle import BundleWire  # noqa: PLC0415 - only this test needs it

        wire = msgspec.to_builtins(BundleWire.from_domain(bundle))
        argument = json.dumps([self.plugin_module, backend.name, wire, list(self.engine_modules)])
        done = subprocess.run(
            [sys.executable, "-c", _PROGRAM, argument],
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
        )

        assert 0 == done.returncode, done.stderr
        assert [] == json.loads(done.stdout)


def _estimate(
    backend: BackendSpec, bundle: ModelBundle, options: msgspec.Struct | None = None
) -> MemoryEstimate:
    assert backend.estimate is not None, f"{backend.name} has no estimate."
    return backend.estimate(bundle, backend.options_type() if options is None else options)


def _lengths(found: MemoryEstimate) -> list[int]:
    longest = found.max_context_length or max(LENGTHS)
    return sorted({min(length, longest) for length in LENGTHS})


def _total_bytes(needs: Sequence[DeviceNeed]) -> int:
    return sum(need.total_bytes for need in needs)


def _with_weights(bundle: ModelBundle, path: Path) -> ModelBundle:
    """A bundle with another first file of weights."""
    index = next(i for i, item in enumerate(bundle.files) if item.path == bundle.weights[0])
    file = attrs.evolve(bundle.files[index], path=path)
    return attrs.evolve(bundle, files=(*bundle.files[:index], file, *bundle.files[index + 1 :]))

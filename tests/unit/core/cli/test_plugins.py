"""The list of plugins."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from stoker.backend import Availability, BackendSpec, Device, always_available
from stoker.cli import backend_survey
from stoker.cli.backend_survey import survey
from stoker.media_types import MediaType

TYPE = MediaType("application/vnd.example.x")


def test_plugins_and_backends(stoker) -> None:
    """Every plugin is listed with what it provides, every backend with whether it can run."""
    shown = stoker("plugins").out
    document = stoker("plugins", "--json").document

    plugins = {plugin["name"]: plugin for plugin in document["plugins"]}
    assert "stoker-faulty 1.0" in shown
    assert ("loaded", ["store shelf"]) == (
        plugins["shelf"]["status"],
        plugins["shelf"]["provides"],
    )
    (backend,) = document["backends"]
    assert ("faulty", True, "ready", []) == (
        backend["name"],
        backend["available"],
        backend["reason"],
        backend["devices"],
    )


def test_a_broken_plugin(stoker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its problem is one line, its traceback is shown on request, and the others work."""
    info = tmp_path / "stoker_broken-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: stoker-broken\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[stoker.v1]\nbroken = stoker_broken\n")
    (tmp_path / "stoker_broken.py").write_text("raise RuntimeError('broken\\non purpose')\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("STOKER_PLUGINS", "broken,shelf")

    brief, long = stoker("plugins"), stoker("plugins", "--traceback")

    assert (0, 0) == (brief.code, long.code)
    assert "broken failed (import): RuntimeError: broken on purpose\n" in brief.out
    assert "Traceback" not in brief.out
    assert "Traceback (most recent call last)" in long.out
    assert "store shelf" in brief.out


class _Plugins:
    """A plugin manager as far as the survey looks."""

    def __init__(self, *specs: BackendSpec) -> None:
        self.backends = {spec.name: spec for spec in specs}

    def provider(self, spec: BackendSpec) -> BackendSpec:
        return spec


def _raise() -> tuple[Device, ...]:
    raise OSError("driver gone")


def _absent() -> Availability:
    return Availability(available=False, reason="no")


def _hang() -> tuple[Device, ...]:
    time.sleep(30)
    return ()


def test_the_survey_trusts_no_plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    """A backend that raises or hangs costs a bounded time and is reported; others are shown."""
    monkeypatch.setattr(backend_survey, "TIMEOUT_S", 0.5)
    gpu = Device("GPU0", "cuda", "A fast one", 1000)
    specs = [
        BackendSpec("good", (TYPE,), _raise, always_available, devices=lambda: (gpu,)),
        BackendSpec("hangs", (TYPE,), _raise, always_available, devices=_hang),
        BackendSpec("raises", (TYPE,), _raise, always_available, devices=_raise),
        BackendSpec("unprobed", (TYPE,), _raise, _raise, devices=_raise),
        BackendSpec("away", (TYPE,), _raise, _absent, devices=_raise),
    ]

    found = {document.name: document for document in survey(_Plugins(*specs))}

    assert "GPU0" == found["good"].devices[0].name
    assert found["good"].devices_problem is None
    assert "no answer within 0.5 s" == found["hangs"].devices_problem
    assert "OSError: driver gone" == found["raises"].devices_problem
    assert (False, "OSError: driver gone") == (
        found["unprobed"].available,
        found["unprobed"].reason,
    )
    assert (False, "no", None) == (
        found["away"].available,
        found["away"].reason,
        found["away"].devices_problem,
    )


def test_version(stoker, monkeypatch: pytest.MonkeyPatch) -> None:
    """Versions are shown whatever is wrong with the configuration or the plugins."""
    monkeypatch.setenv("STOKER_NONSENSE__X", "1")

    shown, document = stoker("version"), stoker("version", "--json").document

    assert 0 == shown.code
    assert "stoker-shelf:" in shown.out
    assert "1.0" == document["distributions"]["stoker-shelf"]
    assert {"stoker", "python", "platform", "distributions"} == set(document)

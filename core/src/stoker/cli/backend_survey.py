"""Which backends can run here, and on which devices. Plugins' code, so nothing of it is trusted."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from stoker.backend import BackendSpec
from stoker.cli.wire.plugins import BackendDocument, DeviceDocument
from stoker.plugins import PluginManager

TIMEOUT_S = 10.0
"""How long all backends together may take to find their devices."""

T = TypeVar("T")


def survey(plugins: PluginManager) -> tuple[BackendDocument, ...]:
    """Ask every backend, all at once; one that raises or takes too long is reported as such."""
    surveys = [
        (spec, _Ask(spec.probe), _Ask(functools.partial(_devices, spec)))
        for spec in sorted(plugins.backends.values(), key=lambda spec: spec.name)
    ]
    deadline_s = time.monotonic() + TIMEOUT_S
    documents = []
    for spec, probe, devices in surveys:
        availability = probe.wait(deadline_s)
        found = devices.wait(deadline_s)
        documents.append(
            BackendDocument(
                name=spec.name,
                plugin=plugins.provider(spec).name,
                media_types=tuple(map(str, spec.media_types)),
                priority=spec.priority,
                available=availability.available if availability else False,
                reason=availability.reason if availability else probe.problem,
                devices=found or (),
                devices_problem=devices.problem if found is None else None,
            )
        )
    return tuple(documents)


def _devices(spec: BackendSpec) -> tuple[DeviceDocument, ...]:
    devices = spec.devices() if spec.probe().available else ()
    return tuple(map(DeviceDocument.from_domain, devices))


class _Ask(Generic[T]):
    """A question to a plugin, asked in a thread that does not keep the process alive."""

    def __init__(self, question: Callable[[], T]) -> None:
        self.problem = f"no answer within {TIMEOUT_S:g} s"
        self._answer: T | None = None
        self._question = question
        self._thread = threading.Thread(target=self._ask, daemon=True)
        self._thread.start()

    def wait(self, deadline_s: float) -> T | None:
        """The answer; None when there is none, and then `problem` says why."""
        self._thread.join(max(0.0, deadline_s - time.monotonic()))
        return self._answer

    def _ask(self) -> None:
        try:
            self._answer = self._question()
        except Exception as exc:  # noqa: BLE001 - whatever a plugin raises is its own
            self.problem = f"{type(exc).__name__}: {exc}"

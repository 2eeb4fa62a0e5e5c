"""`stoker serve` with an engine of this folder, and what its processes take."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import attrs
import psutil
from stoker_process import ROOT, Home, Server

ENGINES = ROOT / "bench" / "engines"
MODEL = "bench/instant"
MEDIA_TYPE = "application/vnd.stoker.bench.instant"
MIB = 1 << 20
NOTHING_ELSE: Mapping[str, str] = {}


@attrs.frozen
class ProcessUse:
    """What a server's processes have taken up to a moment."""

    supervisor_s: float
    runner_s: float
    memory_mib: float
    """Of all of them, what they share with nobody and their share of the rest."""

    @classmethod
    def of(cls, server: Server) -> ProcessUse:
        """Up to now."""
        supervisor = psutil.Process(server.process.pid)
        runners = supervisor.children(recursive=True)
        return cls(
            _processor_s(supervisor),
            sum(map(_processor_s, runners)),
            sum(each.memory_full_info().pss for each in (supervisor, *runners)) / MIB,
        )


def _processor_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def bench_home(folder: Path, environ: Mapping[str, str], config: str = "") -> Home:
    """Make a home whose stoker knows the engines of this folder, and no listener's plugin.

    A listener has a thread of its own that each request wakes; nobody has one by default.
    """
    folder.mkdir()
    (folder / "stoker.toml").write_text(f'[plugins]\nblock = ["recorder"]\n{config}')
    return Home(folder, {"PYTHONPATH": str(ENGINES), **environ})


@contextlib.contextmanager
def instant_server(folder: Path, environ: Mapping[str, str] = NOTHING_ELSE) -> Iterator[Server]:
    """Serve the instant model until the block ends."""
    home = bench_home(folder, environ)
    weights = folder / "weights.txt"
    weights.write_text("none")
    home.ok("package", MODEL, "--weights", str(weights), "--media-type", MEDIA_TYPE)
    with home.serve() as server:
        yield server

"""Crash safety: a process that is killed at any point leaves a store that verifies clean."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from stoker.digest import Digest
from stoker.reference import Reference
from stoker.store import PackageSource
from stoker_registry.store import OciStore

from .conftest import FakeRegistry, MakeStore, ignore

TIMEOUT_S = 60.0
NAME = Reference.parse("ai/tiny")

CHILD = """
import itertools, os, signal, sys
from pathlib import Path
from stoker.formats import FormatTable
from stoker.digest import Digest
from stoker.reference import Reference
from stoker.store import PackageSource, StoreContext
from stoker_registry.formats import FORMAT_RULES
from stoker_registry.options import OciOptions
from stoker_registry.store import OciStore
import stoker_registry.remote_model, stoker_registry.download

folder, action, point, argument = sys.argv[1:]
store = OciStore(StoreContext(Path(folder), OciOptions(), FormatTable.of(FORMAT_RULES)))
# Every call into the file system that changes something is a point to die at.
calls = itertools.count(1)

def deadly(event, arguments):
    writes = event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
    if writes or event in {"os.rename", "os.remove", "os.link", "os.mkdir", "os.rmdir"}:
        if str(arguments[0]).startswith(folder) and next(calls) == int(point):
            os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(deadly)
quiet = lambda progress: None
name = Reference.parse("ai/tiny")
if action == "package":
    store.package(name, PackageSource((Path(argument),)), quiet)
elif action == "pull":
    store.open(store.pull(Reference.parse(argument), quiet))
elif action == "tag":
    store.tag(name, Reference.parse("ai/other"))
elif action == "remove":
    store.remove(name)
elif action == "prune":
    store.prune(min_age_s=0, dry_run=False)
"""


def run_until(folder: Path, action: str, point: int, argument: str = "-") -> bool:
    """Let a process do something and die at its n-th change; False when it came to its end."""
    command = [sys.executable, "-c", CHILD, str(folder), action, str(point), argument]
    done = subprocess.run(command, capture_output=True, timeout=TIMEOUT_S, check=False)
    assert done.returncode in {0, -signal.SIGKILL}, done.stderr.decode()
    return done.returncode != 0


def check(store: OciStore) -> None:
    """See that a store is clean and can be worked with."""
    found = store.verify(None, ignore, repair=False)
    assert () == found.damages
    for artifact in store.list():
        store.open(artifact)
    store.prune(min_age_s=0, dry_run=False)
    assert () == store.verify(None, ignore, repair=False).damages
    assert [] == list((store._layout.directory / "leases").iterdir())


@pytest.mark.parametrize("action", ["package", "pull", "tag", "remove", "prune"])
def test_a_kill_at_every_change(
    make_store: MakeStore, registry: FakeRegistry, gguf: Path, action: str
) -> None:
    """Wherever the process dies, the store is clean, and doing it again works."""
    registry.add()
    point = 0
    is_cut = True
    while is_cut:
        point += 1
        store = make_store(f"{action}-{point}")
        if action != "package":
            store.package(NAME, PackageSource((gguf,)), ignore)
            store.tag(NAME, Reference.parse("ai/other"))
            # A change of what `other` means has something to collect.
            (gguf.parent / "next.gguf").write_bytes(gguf.read_bytes() + b"\0")
            more = PackageSource((gguf.parent / "next.gguf",))
            store.open(store.package(NAME, more, ignore))
            for data in (b"one", b"two", b"three"):
                store._layout.blobs.path(Digest.of(data)).write_bytes(data)
        argument = {"package": str(gguf), "pull": str(registry.reference())}.get(action, "-")
        is_cut = run_until(store._layout.directory, action, point, argument)
        check(make_store(f"{action}-{point}"))
        # Some points are left out, always the same ones, to keep the test short.
        point += random.Random(point).randint(0, 2)
    assert point > 3

"""Crash safety: a process that is killed at any point leaves a store that verifies clean."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stoker.digest import Digest
from stoker.reference import Reference
from stoker.store import PackageSource
from stoker_registry.store import OciStore

from .conftest import FakeRegistry, MakeStore, ignore

TIMEOUT_S = 60.0
NAME = Reference.parse("ai/tiny")

PROGRAM = """
import itertools, json, os, signal, sys
from pathlib import Path
from stoker.formats import FormatTable
from stoker.digest import Digest
from stoker.reference import Reference
from stoker.store import PackageSource, StoreContext
from stoker_registry.formats import FORMAT_RULES
from stoker_registry.options import OciOptions
from stoker_registry.store import OciStore
import stoker_registry.remote_model, stoker_registry.download

def work(folder, action, point, argument):
    store = OciStore(StoreContext(Path(folder), OciOptions(), FormatTable.of(FORMAT_RULES)))
    # Every call into the file system that changes something is a point to die at.
    calls = itertools.count(1)

    def deadly(event, arguments):
        writes = event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        if writes or event in {"os.rename", "os.remove", "os.link", "os.mkdir", "os.rmdir"}:
            if str(arguments[0]).startswith(folder) and next(calls) == point:
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

for line in sys.stdin:
    child = os.fork()
    if not child:
        work(*json.loads(line))
        sys.exit()
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""

RunUntil = Callable[..., bool]


@pytest.fixture(scope="module")
def run_until() -> Iterator[RunUntil]:
    """Has a process do something and die at its n-th change; False when it came to its end.

    Each is the child of one that has imported everything and started no thread.
    """
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        env=os.environ | {"NO_PROXY": "*"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        assert parent.stdin is not None
        assert parent.stdout is not None
        stdin, stdout = parent.stdin, parent.stdout

        def run(folder: Path, action: str, point: int, argument: str = "-") -> bool:
            print(json.dumps([str(folder), action, point, argument]), file=stdin, flush=True)
            code = int(stdout.readline())
            assert code in {0, -signal.SIGKILL}
            return code != 0

        yield run
        stdin.close()
        parent.wait(TIMEOUT_S)


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
    make_store: MakeStore, registry: FakeRegistry, gguf: Path, run_until: RunUntil, action: str
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
    assert point > 3

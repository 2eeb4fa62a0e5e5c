"""Pulls that something happens to: the next one finishes, and fetches what is missing only.

The registry counts every byte of a blob that it hands to the system, so bytes on their way to a
connection that was cut count as well. `SLACK_BYTES` is what may be lost with the connections.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import random
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from stoker.errors import IntegrityError, TransferError, UnavailableError
from stoker.manifest import Manifest
from stoker.media_types import GGUF
from stoker.reference import Reference
from stoker_registry.backoff import Backoff
from stoker_registry.store import OciStore

from .conftest import FakeRegistry, Handler, MakeStore, ignore

SIZE_BYTES = 24 * 1024**2
SLACK_BYTES = 16 * 1024**2
SMALL_BYTES = 100
"""More than the small blob and the config, which has no ranges, together."""
TIMEOUT_S = 60

_CHILD = """
    import os, resource, signal, sys
    from pathlib import Path
    import stoker_registry.names, stoker_registry.partials
    from stoker.errors import StokerError
    from stoker.formats import FormatTable
    from stoker.reference import Reference
    from stoker.store import StoreContext
    from stoker_registry.backoff import Backoff
    from stoker_registry.formats import FORMAT_RULES
    from stoker_registry.options import OciOptions
    from stoker_registry.store import OciStore

    def die(*_arguments):
        os.kill(os.getpid(), signal.SIGKILL)

    {prelude}
    options = OciOptions(timeout_s=20.0, connections={connections})
    context = StoreContext(Path({folder!r}), options, FormatTable.of(FORMAT_RULES))
    store = OciStore(context, backoff=Backoff(attempts=3, first_delay_s=0.01))
    try:
        artifact = store.pull(Reference.parse({name!r}), lambda _progress: None)
    except StokerError as exc:
        sys.exit(f"{{type(exc).__name__}}: {{exc}}")
    # Not from getrusage, where the memory of the process that forked this one counts as well.
    peak = Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]
    print(artifact.digest, peak)
"""


@pytest.fixture(scope="module")
def big() -> bytes:
    """The bytes of a blob that takes several ranges."""
    return random.Random(0).randbytes(SIZE_BYTES)


@pytest.fixture
def model(registry: FakeRegistry, big: bytes) -> Manifest:
    """A model with that blob, and a small one."""
    return registry.add(
        ((str(GGUF), big, "big.gguf"), ("application/vnd.docker.ai.license", b"mine", None))
    )


def pull_apart(
    folder: Path, reference: Reference, prelude: str = "", *, connections: int = 8
) -> subprocess.Popen[str]:
    """Pull in a process of its own."""
    code = textwrap.dedent(_CHILD).format(
        prelude=prelude, folder=str(folder), name=str(reference), connections=connections
    )
    return subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def finish(store: OciStore, registry: FakeRegistry, reference: Reference | None = None) -> int:
    """Pull again, now that nothing is in the way; returns the bytes that this took.

    Afterwards the model is whole, and all blobs of the store have the digest of their name.
    """
    registry.cut_at_bytes = math.inf
    before_bytes = registry.sent_bytes
    store.open(store.pull(reference or registry.reference(), ignore))
    blobs = [path for path in (store._layout.directory / "blobs").rglob("*") if path.is_file()]
    assert blobs
    for path in blobs:
        assert path.name == hashlib.sha256(path.read_bytes()).hexdigest()
    assert [] == list((store._layout.directory / "partials").iterdir())
    return registry.sent_bytes - before_bytes


def kept_bytes(store: OciStore, model: Manifest) -> int:
    """How much of the large blob is there."""
    return store._layout.partials.done_bytes(model.layers[0])


@pytest.mark.parametrize("percent", [10, 50, 99])
def test_a_cut(store: OciStore, registry: FakeRegistry, model: Manifest, percent: int) -> None:
    """A pull whose connections are all cut fails; the next one fetches no block again."""
    registry.cut_at_bytes = SIZE_BYTES * percent // 100

    with pytest.raises(TransferError):
        store.pull(registry.reference(), ignore)

    missing_bytes = SIZE_BYTES - kept_bytes(store, model)
    assert missing_bytes <= SIZE_BYTES * (100 - percent) // 100 + SLACK_BYTES
    assert missing_bytes + SMALL_BYTES >= finish(store, registry) >= missing_bytes


def test_a_cut_now_and_then_does_not_end_a_pull(
    make_store: MakeStore, registry: FakeRegistry, model: Manifest
) -> None:
    """While blocks come between any two cuts, one pull goes on to its end."""
    del model
    store = make_store(connections=1)
    registry.cut_at_bytes = SIZE_BYTES // 4

    def move() -> None:
        registry.cut_at_bytes = registry.sent_bytes + SIZE_BYTES // 4

    registry.on_cut = move

    assert finish_without_help(store, registry) <= SIZE_BYTES + SLACK_BYTES


def finish_without_help(store: OciStore, registry: FakeRegistry) -> int:
    """Pull once, under whatever happens; returns the bytes that this took."""
    store.pull(registry.reference(), ignore)
    taken_bytes = registry.sent_bytes
    assert SMALL_BYTES >= finish(store, registry)
    return taken_bytes


def test_a_killed_pull(
    make_store: MakeStore, registry: FakeRegistry, model: Manifest, tmp_path: Path
) -> None:
    """What came before a kill -9 is there for the next pull."""
    is_half_done = threading.Event()
    is_dead = threading.Event()
    registry.cut_at_bytes = SIZE_BYTES // 2
    registry.on_cut = lambda: (is_half_done.set(), is_dead.wait(TIMEOUT_S), None)[-1]
    child = pull_apart(tmp_path / "store", registry.reference())
    assert is_half_done.wait(TIMEOUT_S)
    time.sleep(0.2)  # for what is on its way to the child
    child.send_signal(signal.SIGKILL)
    child.communicate(timeout=TIMEOUT_S)
    is_dead.set()
    store = make_store()

    missing_bytes = SIZE_BYTES - kept_bytes(store, model)
    assert missing_bytes < SIZE_BYTES // 2 + SLACK_BYTES
    assert missing_bytes + SMALL_BYTES >= finish(store, registry)


@pytest.mark.parametrize(
    "place",
    [
        "stoker_registry.partials.Partial.publish = die",
        "stoker_registry.partials.sync_directory = die",
        "stoker_registry.names.write_atomically = die",
    ],
    ids=["before the rename", "after the rename", "before the name"],
)
def test_a_kill_around_the_rename(
    make_store: MakeStore, registry: FakeRegistry, big: bytes, tmp_path: Path, place: str
) -> None:
    """A process that dies where a blob or a model gets its name has fetched nothing in vain."""
    registry.add(((str(GGUF), big, "big.gguf"),))
    make_store()
    child = pull_apart(tmp_path / "store", registry.reference(), place)
    assert ("", "") == child.communicate(timeout=TIMEOUT_S)
    assert -signal.SIGKILL == child.returncode

    assert finish(make_store(), registry) <= SMALL_BYTES


def once(fault: Callable[[Handler], object]) -> Callable[[Handler], object]:
    """Misbehave once for a large range, and never again."""
    left = [1]

    def misbehave(handler: Handler) -> object:
        return fault(handler) if "Range" in handler.headers and left and left.pop() else False

    return misbehave


def test_a_corrupt_range(
    store: OciStore, registry: FakeRegistry, model: Manifest, big: bytes
) -> None:
    """Wrong bytes within a range never get a name, and the next pull fetches the blob anew."""
    digest = model.layers[0].digest
    registry.fault(
        "GET", str(digest), once(lambda handler: handler.send_blob(b"?" * 1000 + big[1000:]))
    )

    with pytest.raises(IntegrityError, match=str(digest)):
        store.pull(registry.reference(), ignore)
    assert not store._layout.blobs.has(model.layers[0])
    assert 0 == kept_bytes(store, model)
    assert finish(store, registry) <= SIZE_BYTES + SMALL_BYTES


def test_bytes_that_were_hashed_do_not_change(
    store: OciStore, registry: FakeRegistry, model: Manifest, big: bytes
) -> None:
    """A registry without ranges that sends other bytes the second time overwrites none."""
    digest = model.layers[0].digest
    middle = 3 * 1024**2 // 2
    answers = [big[:middle], b"?" * middle + big[middle:]]

    def answer(handler: Handler) -> bool:
        data = answers.pop(0)
        if len(data) < len(big):
            handler.cut(data, len(big))
        else:
            handler.reply(200, data)
        return True

    registry.fault("GET", str(digest), answer)
    store.pull(registry.reference(), ignore)

    assert big == store._layout.blobs.path(digest).read_bytes()


def test_a_short_blob(store: OciStore, registry: FakeRegistry, model: Manifest, big: bytes) -> None:
    """A registry that has less than the manifest says is found out at the first range."""
    digest = str(model.layers[0].digest)
    registry.blobs[digest] = big[:-1]

    with pytest.raises(IntegrityError, match="bytes"):
        store.pull(registry.reference(), ignore)
    registry.blobs[digest] = big
    missing_bytes = SIZE_BYTES - kept_bytes(store, model)
    assert finish(store, registry) <= missing_bytes + SMALL_BYTES


def test_a_stall(make_store: MakeStore, registry: FakeRegistry, model: Manifest) -> None:
    """A connection that stands still is given up after the timeout, and its range goes on."""
    del model
    store = make_store(timeout_s=0.3)
    registry.cut_at_bytes = SIZE_BYTES // 2

    def stall() -> None:
        registry.cut_at_bytes = math.inf
        time.sleep(1.0)

    registry.on_cut = stall

    assert finish_without_help(store, registry) <= SIZE_BYTES + SLACK_BYTES


def test_a_trickle(
    make_store: MakeStore, registry: FakeRegistry, model: Manifest, big: bytes
) -> None:
    """A connection that brings a byte now and then is given up like one that stands still."""
    store = make_store(timeout_s=0.3)

    def trickle(handler: Handler) -> None:
        first, last = handler.headers["Range"].removeprefix("bytes=").split("-")
        handler.send_response(206)
        handler.send_header("Content-Length", str(int(last) - int(first) + 1))
        handler.send_header("Content-Range", f"bytes {first}-{last}/{SIZE_BYTES}")
        handler.end_headers()
        for place in range(int(first), int(first) + 100):
            handler.wfile.write(big[place : place + 1])
            time.sleep(0.05)

    registry.fault("GET", str(model.layers[0].digest), once(trickle))

    assert finish_without_help(store, registry) <= SIZE_BYTES + SLACK_BYTES


def test_a_manifest_that_trickles(make_store: MakeStore, registry: FakeRegistry) -> None:
    """The same of what is read whole; a registry that does nothing else is given up."""
    registry.add()
    store = make_store(timeout_s=0.3)

    def trickle(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        for _ in range(100):
            handler.wfile.write(b" ")
            time.sleep(0.05)

    registry.fault("GET", "/manifests/", trickle)

    with pytest.raises(TransferError, match="bytes in 0 s"):
        store.pull(registry.reference(), ignore)


@pytest.mark.parametrize("started", [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nX-Part: "])
def test_headers_that_trickle(
    make_store: MakeStore, registry: FakeRegistry, started: bytes
) -> None:
    """A registry that never comes to the end of its headers is given up after the timeout."""
    registry.add()
    store = make_store(timeout_s=0.3, backoff=Backoff(attempts=1))
    gone = threading.Event()

    def trickle(handler: Handler) -> None:
        handler.wfile.write(started)
        with contextlib.suppress(OSError):
            for _ in range(200):
                handler.wfile.write(b"H")
                time.sleep(0.05)
        gone.set()
        handler.close_connection = True

    registry.fault("GET", "/manifests/", trickle)

    with pytest.raises(TransferError, match="stopped answering"):
        store.pull(registry.reference(), ignore)
    assert gone.wait(5)


@pytest.mark.parametrize("status", [429, 503])
def test_overload_in_the_middle(
    store: OciStore, registry: FakeRegistry, model: Manifest, status: int
) -> None:
    """A registry that wants a pause gets one, and then only what is missing is fetched."""
    registry.fault(
        "GET",
        str(model.layers[0].digest),
        once(lambda handler: handler.reply(status, headers={"Retry-After": "1"})),
    )

    assert SIZE_BYTES + SMALL_BYTES >= finish_without_help(store, registry)


def test_no_room(
    store: OciStore,
    registry: FakeRegistry,
    model: Manifest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A disk that is too small is found out before anything of a layer is fetched."""
    with monkeypatch.context() as patch:
        patch.setattr("shutil.disk_usage", lambda _path: _Usage(SIZE_BYTES, SIZE_BYTES, 1000))
        with pytest.raises(UnavailableError, match="has room for 1000"):
            store.pull(registry.reference(), ignore)
    assert model.config.size_bytes >= registry.sent_bytes
    assert SIZE_BYTES + SMALL_BYTES >= finish(store, registry)


class _Usage:
    def __init__(self, total: int, used: int, free: int) -> None:
        self.total, self.used, self.free = total, used, free


def test_a_disk_that_fills_up(
    make_store: MakeStore, registry: FakeRegistry, model: Manifest, tmp_path: Path
) -> None:
    """When the system takes no more bytes, what came stays, and the error says what happened."""
    limit = "resource.setrlimit(resource.RLIMIT_FSIZE, (10 << 20, 10 << 20))"
    child = pull_apart(tmp_path / "store", registry.reference(), limit, connections=1)
    _, said = child.communicate(timeout=TIMEOUT_S)
    assert "UnavailableError" in said
    assert "File too large" in said
    store = make_store()

    missing_bytes = SIZE_BYTES - kept_bytes(store, model)
    assert missing_bytes < SIZE_BYTES
    assert finish(store, registry) <= missing_bytes + SMALL_BYTES


_FILL = """
    import threading, time
    from pathlib import Path

    def fill():
        partials = Path({folder!r}) / "partials"
        while not any(path.stat().st_blocks > 8192 for path in partials.glob("*.partial")):
            time.sleep(0.002)
        filler = os.open({folder!r} + "/filler", os.O_WRONLY | os.O_CREAT)
        try:
            while os.write(filler, bytes(1 << 16)):
                pass
        except OSError:
            pass

    # Slowly enough that the disk fills up in the middle.
    OciOptions.max_bytes_per_s = property(lambda _options: 20e6)
    threading.Thread(target=fill, daemon=True).start()
"""

_ON_A_SMALL_DISK = """
set -e
mount -t tmpfs -o size=40m tmpfs "$1"
"$2" -c "$3" && exit 1
test ! -e "$1"/blobs/sha256/"$5"
rm "$1"/filler
"$2" -c "$4"
test -e "$1"/blobs/sha256/"$5"
"""


def test_a_small_disk_that_somebody_fills(
    registry: FakeRegistry, model: Manifest, tmp_path: Path
) -> None:
    """On a real disk of 40 MiB: the pull says what happened, and goes on when there is room.

    Where nobody may mount one, `test_a_disk_that_fills_up` tries the same with a limit.
    """
    folder = tmp_path / "small"
    folder.mkdir()
    inner = ["unshare", "--user", "--map-root-user", "--mount", "sh"]
    probe = [*inner, "-c", 'mount -t tmpfs -o size=1m tmpfs "$0"', str(folder)]
    if shutil.which("unshare") is None or subprocess.run(probe, check=False).returncode:
        pytest.skip("no file system can be mounted here")
    name = str(registry.reference())

    def code(prelude: str) -> str:
        return textwrap.dedent(_CHILD).format(
            prelude=prelude, folder=str(folder), name=name, connections=4
        )

    fill = textwrap.dedent(_FILL).format(folder=str(folder))
    digest = model.layers[0].digest.encoded
    command = [*inner, "-c", _ON_A_SMALL_DISK, "sh", str(folder), sys.executable]
    done = subprocess.run(
        [*command, code(fill), code(""), digest],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )

    assert 0 == done.returncode, done.stderr
    assert "UnavailableError" in done.stderr
    assert "No space left on device" in done.stderr
    assert registry.sent_bytes <= SIZE_BYTES + SLACK_BYTES + 3 * SMALL_BYTES


def test_two_pullers(
    make_store: MakeStore, registry: FakeRegistry, model: Manifest, tmp_path: Path
) -> None:
    """Two processes that pull one model fetch each byte once, and both end with it."""
    config_bytes = 2 * model.config.size_bytes
    children = [pull_apart(tmp_path / "store", registry.reference()) for _ in range(2)]
    answers = [child.communicate(timeout=TIMEOUT_S) for child in children]

    assert ["", ""] == [said for _, said in answers]
    assert 1 == len({printed.split()[0] for printed, _ in answers})
    assert SIZE_BYTES + SMALL_BYTES + config_bytes >= registry.sent_bytes
    assert SMALL_BYTES >= finish(make_store(), registry)


def test_the_second_puller_takes_over(
    store: OciStore, registry: FakeRegistry, model: Manifest, tmp_path: Path
) -> None:
    """When the process that fetches a blob dies, the one that waits goes on where it was."""
    del model
    is_half_done = threading.Event()
    is_dead = threading.Event()
    registry.cut_at_bytes = SIZE_BYTES // 2
    registry.on_cut = lambda: (is_half_done.set(), is_dead.wait(TIMEOUT_S), None)[-1]
    child = pull_apart(tmp_path / "store", registry.reference())
    assert is_half_done.wait(TIMEOUT_S)
    stages = []

    def watch(progress: object) -> None:
        stages.append(str(getattr(progress, "stage", "")))
        if "waiting for another pull of" in stages and not is_dead.is_set():
            child.send_signal(signal.SIGKILL)
            child.wait(TIMEOUT_S)
            registry.cut_at_bytes = math.inf
            is_dead.set()

    store.pull(registry.reference(), watch)
    child.communicate(timeout=TIMEOUT_S)

    assert is_dead.is_set()
    assert registry.sent_bytes <= SIZE_BYTES + SLACK_BYTES
    assert SMALL_BYTES >= finish(store, registry)


def test_a_registry_that_goes_away(
    store: OciStore, registry: FakeRegistry, model: Manifest
) -> None:
    """A registry that is gone is an error; when it is back, the pull goes on where it was."""
    registry.cut_at_bytes = SIZE_BYTES // 2
    registry.on_cut = registry._server.socket.close
    with pytest.raises(TransferError, match=registry.host):
        store.pull(registry.reference(), ignore)
    missing_bytes = SIZE_BYTES - kept_bytes(store, model)
    assert missing_bytes < SIZE_BYTES // 2 + SLACK_BYTES

    back = FakeRegistry(int(registry.host.rpartition(":")[2]))
    try:
        back.manifests, back.blobs = registry.manifests, registry.blobs
        assert missing_bytes + SMALL_BYTES >= finish(store, back, registry.reference())
    finally:
        back.close()


def test_a_token_that_expires_in_the_middle(
    store: OciStore, registry: FakeRegistry, other_registry: FakeRegistry, model: Manifest
) -> None:
    """A token that expires between ranges is renewed once, and no byte comes twice."""
    del model
    tokens: list[float] = []

    def guard(handler: Handler) -> bool:
        if tokens and handler.headers.get("Authorization") == f"Bearer t{len(tokens)}":
            tokens[-1] -= 1
            if tokens[-1] >= 0:
                return False
        challenge = f'Bearer realm="http://{other_registry.host}/token",service="s",scope="x"'
        handler.reply(401, headers={"WWW-Authenticate": challenge})
        return True

    def give(handler: Handler) -> None:
        tokens.append(5 if not tokens else math.inf)
        handler.reply(200, f'{{"token":"t{len(tokens)}"}}'.encode())

    registry.fault("GET", "", guard)
    other_registry.fault("GET", "/token", give)

    taken_bytes = finish_without_help(store, registry)

    assert SIZE_BYTES + SMALL_BYTES >= taken_bytes
    # Two for the pull that was looked at, and one for the next.
    assert 3 == len(tokens)


def test_memory_does_not_grow_with_the_model(registry: FakeRegistry, tmp_path: Path) -> None:
    """A pull of a blob of 256 MiB stays below 64 MiB of memory."""
    registry.add(((str(GGUF), bytes(256 * 1024**2), "big.gguf"),))

    printed, said = pull_apart(tmp_path / "store", registry.reference()).communicate(
        timeout=TIMEOUT_S
    )

    assert "" == said
    assert int(printed.split()[1]) < 64 * 1024

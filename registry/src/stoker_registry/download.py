"""Fetching the blobs of a model: several ranges at once, checked, and resumable at any moment.

The threads of a download (see `crew`) are of three kinds. *Workers*, one per connection, take
ranges from whichever blob has some left, and write them into its partial file. One *follower* per
blob hashes the blocks in order as they come, while they are still in memory, and gives the blob its
name when the digest is right. One *keeper* brings to disk what was written, so that a power cut
costs little. The calling thread starts blobs, waits for those that another process has locked, and
reports.
"""

from __future__ import annotations

import contextlib
import enum
import functools
import hashlib
import shutil
import time
from collections import deque
from collections.abc import Callable, Sequence

import attrs

from stoker.digest import Digest
from stoker.errors import IntegrityError, InUseError, InvalidArtifactError, UnavailableError
from stoker.manifest import Descriptor
from stoker.store import Progress, ReportProgress
from stoker_registry.backoff import Backoff, TransientTransferError
from stoker_registry.bandwidth import Throttle
from stoker_registry.blob_stream import BlobStream
from stoker_registry.blobs import BlobDirectory
from stoker_registry.crew import TICK_S, Crew
from stoker_registry.meter import Meter
from stoker_registry.partials import BLOCK_BYTES, Partial, PartialDirectory

MIN_RANGE_BYTES = 4 * 1024**2
_FIRST_RANGE_BYTES = 8 * 1024**2
_MAX_RANGE_BYTES = 64 * 1024**2
_WAITS_PER_RANGE = 20
"""A range shall take so many times as long as the wait for its first byte: 5 % are lost to waits.

Longer ones are worse, because hashing goes in order: it would stand still meanwhile.
"""
_HASH_BYTES = 512 * 1024
"""Small enough to stay in the processor's cache between being read and being hashed."""
_MAX_LAG_BYTES = 64 * 1024**2
"""When hashing is behind by so much, the processor is what limits, and more ranges do not help.

They would take its time from hashing, and push out of memory what is to be hashed.
"""
_KEEP_BYTES = 16 * 1024**2
_KEEP_INTERVAL_S = 5.0
"""What a power cut may take: so much, or so old, or what the disk could not take any sooner."""
_BLOCKS_PER_CALL = 16
"""How often hashing wakes those who wait for it to catch up."""
MAX_STANDSTILL_S = 600.0
"""So long another process may hold a blob without any progress before we stop to believe in it."""
_SHOWN_LAG_BYTES = 64 * 1024**2
"""Hashing that lags behind by so much, as after a resume, is shown."""

OpenBlob = Callable[[Descriptor, int, int], BlobStream]
"""Asks for a range of a blob. Called by several threads at once."""


@attrs.frozen
class WantedBlob:
    """A blob to fetch."""

    descriptor: Descriptor
    item: str
    """The name that people know it by."""


def wanted_blobs(layers: Sequence[Descriptor], names: Sequence[str]) -> Sequence[WantedBlob]:
    """The blobs of layers, each once, however many layers it is.

    Raises:
        InvalidArtifactError: Layers give one blob several sizes.
    """
    wanted: dict[Digest, WantedBlob] = {}
    for layer, name in zip(layers, names, strict=True):
        known = wanted.setdefault(layer.digest, WantedBlob(layer, name))
        if known.descriptor.size_bytes != layer.size_bytes:
            raise InvalidArtifactError(f"The manifest gives blob {layer.digest} several sizes.")
    return tuple(wanted.values())


@attrs.frozen
class Fetching:
    """Where blobs are put, and how they are fetched, whichever they are."""

    partials: PartialDirectory
    blobs: BlobDirectory
    backoff: Backoff
    connections: int
    max_bytes_per_s: float | None = None
    min_range_bytes: int = MIN_RANGE_BYTES
    """In whole blocks."""


class _Ranges(enum.Enum):
    """What is known of the registry's way with ranges, for one blob."""

    UNKNOWN = enum.auto()
    ASKED = enum.auto()
    KNOWN = enum.auto()
    REFUSED = enum.auto()


@attrs.define(eq=False)
class _Piece:
    """A range that one worker fetches. Only that worker changes it."""

    blob: _Blob
    position: int
    end: int
    blocks_done: int = 0


class _Blob:
    """A blob under way. The crew's `changed` guards all but the partial, which guards itself."""

    def __init__(self, wanted: WantedBlob, partial: Partial, report: ReportProgress) -> None:
        size_bytes, digest = partial.descriptor.size_bytes, partial.descriptor.digest
        self.partial = partial
        self.pending = deque(partial.missing())
        """What nobody fetches yet, in order."""
        self.pieces: set[_Piece] = set()
        self.ranges = _Ranges.UNKNOWN
        self.hashed_bytes = 0
        self.is_starved = False
        """Whether hashing waits for a block."""
        self.is_done = False
        self._shown_bytes = 0
        self._pulling = Meter(report, "pulling", wanted.item, size_bytes, digest)
        self._verifying = Meter(report, "verifying", wanted.item, size_bytes, digest)

    @property
    def pending_bytes(self) -> int:
        """The size of what nobody fetches yet."""
        return sum(end - start for start, end in self.pending)

    def take(self, range_bytes: int) -> _Piece | None:
        """A range to fetch. The first one shows whether the registry knows ranges."""
        if not self.pending or self.ranges in {_Ranges.ASKED, _Ranges.REFUSED} or self.is_behind:
            return None
        if self.ranges is _Ranges.UNKNOWN:
            self.ranges = _Ranges.ASKED
        start, end = self.pending.popleft()
        cut = min(start + range_bytes, end)
        if cut < end:
            self.pending.appendleft((cut, end))
        piece = _Piece(self, start, cut)
        self.pieces.add(piece)
        return piece

    @property
    def is_behind(self) -> bool:
        """Whether hashing is far behind, not counting what an earlier attempt had left."""
        if self.is_starved or self.hashed_bytes < self.partial.resumed_bytes:
            return False
        return self.partial.done_bytes - self.hashed_bytes > _MAX_LAG_BYTES

    def start_anew(self) -> None:
        """Fetch all of it again: the partial was discarded."""
        self.ranges, self.hashed_bytes = _Ranges.UNKNOWN, 0
        self.pending = deque(self.partial.missing())

    def learn(self, piece: _Piece, stream: BlobStream) -> bool:
        """See from the first answer whether the registry knows ranges.

        Returns:
            Whether this is news for others who want a range.
        """
        if self.ranges is not _Ranges.ASKED:
            if self.ranges is _Ranges.REFUSED and not stream.is_range:
                piece.position = 0
            return False
        self.ranges = _Ranges.KNOWN if stream.is_range else _Ranges.REFUSED
        if self.ranges is _Ranges.REFUSED:
            # The whole blob comes in one piece, and again from its start when it is cut.
            self.pending.clear()
            piece.position, piece.end = 0, self.partial.descriptor.size_bytes
        return True

    def report(self) -> None:
        """Report how far it is."""
        size_bytes = self.partial.descriptor.size_bytes
        begun_bytes = sum(piece.position % BLOCK_BYTES for piece in tuple(self.pieces))
        done_bytes = size_bytes if self.is_done else self.partial.done_bytes + begun_bytes
        # A blob that starts anew is shown as standing still until it is as far again.
        self._shown_bytes = max(self._shown_bytes, min(done_bytes, size_bytes))
        self._pulling(self._shown_bytes)
        if done_bytes >= size_bytes and size_bytes - self.hashed_bytes > _SHOWN_LAG_BYTES:
            self._verifying(self.hashed_bytes)


class Download:
    """Blobs of one artifact on their way into the store. Used once."""

    def __init__(self, open_blob: OpenBlob, fetching: Fetching, report: ReportProgress) -> None:
        self._open_blob = open_blob
        self._fetching = fetching
        self._report = report
        self._throttle = Throttle(fetching.max_bytes_per_s)
        self._crew = Crew()
        self._waiting: deque[WantedBlob] = deque()
        self._active: list[_Blob] = []
        self._workers = 0
        self._range_bytes = _FIRST_RANGE_BYTES
        self._pause_until_s = 0.0
        self._standstills: dict[str, tuple[int, float]] = {}

    def run(self, wanted: Sequence[WantedBlob]) -> None:
        """Fetch blobs, or what is missing of them; those that are here already are a no-op.

        What came stays when it breaks off, for the next attempt.

        Args:
            wanted: The blobs, each once.

        Raises:
            IntegrityError: A blob is not what its descriptor says; nothing of that one is kept.
            TransferError: The transfer failed.
            AccessDeniedError: The registry refused.
            InUseError: Another process fetches one of the blobs, but stands still.
            UnavailableError: The disk has too little room.
        """
        self._check_room(wanted)
        self._waiting.extend(wanted)
        try:
            with self._crew as crew:
                crew.start(self._keep, "keeper")
                while self._start_blobs():
                    self._start_workers()
                    crew.watch()
                    self._report_all()
        finally:
            self._close()

    # The calling thread --------------------------------------------------------------------

    def _check_room(self, wanted: Sequence[WantedBlob]) -> None:
        """See that there is room for what is missing."""
        missing_bytes = sum(
            item.descriptor.size_bytes - self._fetching.partials.done_bytes(item.descriptor)
            for item in wanted
            if not self._fetching.blobs.has(item.descriptor)
        )
        free_bytes = shutil.disk_usage(self._fetching.partials.directory).free
        if missing_bytes > free_bytes:
            raise UnavailableError(
                f"{missing_bytes} bytes are missing of the model, and the disk of"
                f" {self._fetching.partials.directory} has room for {free_bytes}: make some and try"
                " again; what is here already stays."
            )

    def _start_blobs(self) -> bool:
        """Start blobs while there are fewer ranges than connections; False when all are done."""
        for _ in range(len(self._waiting)):
            if max(self._ranges_left(), len(self._active)) >= self._fetching.connections:
                break
            self._start_blob(self._waiting.popleft())
        return bool(self._waiting or self._active)

    def _start_blob(self, item: WantedBlob) -> None:
        if self._is_here(item):
            # A process may have died between giving the blob its name and tidying up.
            self._fetching.partials.forget(item.descriptor.digest)
            return
        partial = self._fetching.partials.open(item.descriptor)
        if partial is None:
            self._await(item)
            self._waiting.append(item)
            return
        # Whoever had it locked before us may have finished it.
        if self._is_here(item):
            partial.remove()
            partial.close()
            return
        blob = _Blob(item, partial, self._report)
        with self._crew.changed:
            self._active.append(blob)
            self._crew.changed.notify_all()
        self._crew.start(functools.partial(self._follow, blob), "follower")

    def _is_here(self, item: WantedBlob) -> bool:
        if not self._fetching.blobs.has(item.descriptor):
            return False
        descriptor = item.descriptor
        size_bytes = descriptor.size_bytes
        self._report(Progress("pulling", item.item, size_bytes, size_bytes, descriptor.digest))
        return True

    def _await(self, item: WantedBlob) -> None:
        """Show how far another process is with a blob, and see that it gets on."""
        done_bytes = self._fetching.partials.done_bytes(item.descriptor)
        now_s = time.monotonic()
        before = self._standstills.get(item.item)
        if before is None or before[0] != done_bytes:
            self._standstills[item.item] = done_bytes, now_s
        elif now_s - before[1] > MAX_STANDSTILL_S:
            raise InUseError(
                f"Another process has been fetching {item.item} without any progress for"
                f" {MAX_STANDSTILL_S:g} s: end it, and pull again."
            )
        self._report(
            Progress(
                "waiting for another pull of", item.item, done_bytes, item.descriptor.size_bytes
            )
        )

    def _start_workers(self) -> None:
        """Start a worker for every range that nobody has, as long as there may be more."""
        for _ in range(min(self._fetching.connections - self._workers, self._ranges_left())):
            self._workers += 1
            self._crew.start(self._work, f"connection {self._workers}")

    def _ranges_left(self) -> int:
        with self._crew.changed:
            pending_bytes = sum(blob.pending_bytes for blob in self._active)
            return -(-pending_bytes // self._cut_bytes(pending_bytes))

    def _report_all(self) -> None:
        with self._crew.changed:
            is_paused = self._pause_until_s > time.monotonic()
            done = [blob for blob in self._active if blob.is_done]
        if is_paused:
            self._report(Progress("waiting to try again"))
        for blob in tuple(self._active):
            blob.report()
        for blob in done:
            with self._crew.changed:
                self._active.remove(blob)
            blob.partial.close()

    def _close(self) -> None:
        """Let go of all blobs; what came of them is brought to disk first."""
        for blob in self._active:
            # Whatever the disk has against it: the error that brought us here says more.
            with contextlib.suppress(OSError):
                if not blob.is_done:
                    blob.partial.keep()
            blob.partial.close()

    # Workers -------------------------------------------------------------------------------

    def _work(self) -> None:
        while True:
            with self._crew.changed:
                while (piece := self._take()) is None:
                    if self._crew.stopping:
                        return
                    self._crew.changed.wait(TICK_S)
            self._fetch(piece)
            with self._crew.changed:
                piece.blob.pieces.discard(piece)

    def _take(self) -> _Piece | None:
        size_bytes = self._cut_bytes(sum(blob.pending_bytes for blob in self._active))
        return next((piece for blob in self._active if (piece := blob.take(size_bytes))), None)

    def _cut_bytes(self, pending_bytes: int) -> int:
        """How long the next range is. Shorter ones at the end let all connections end together."""
        share = pending_bytes // (2 * self._fetching.connections)
        size_bytes = max(min(share, self._range_bytes), self._fetching.min_range_bytes)
        return size_bytes - size_bytes % BLOCK_BYTES

    def _learn_pace(self, wait_s: float, transfer_s: float, size_bytes: int) -> None:
        """Fit the length of ranges to the wait for a first byte, and the pace from then on."""
        if size_bytes < BLOCK_BYTES:
            return
        fitting = _WAITS_PER_RANGE * wait_s * size_bytes / max(transfer_s, 1e-6)
        with self._crew.changed:
            # Half-way only, because single ranges tell little.
            middle = (self._range_bytes + min(int(fitting), _MAX_RANGE_BYTES)) // 2
            self._range_bytes = max(middle, self._fetching.min_range_bytes)

    def _fetch(self, piece: _Piece) -> None:
        """Fetch a range, in as many attempts as it takes while each gets on."""
        failures = 0
        while piece.position < piece.end:
            self._sleep_until_pause_is_over()
            blocks_before = piece.blocks_done
            try:
                self._attempt(piece)
            except TransientTransferError as exc:
                self._crew.proceed()
                # Less than a block is no progress, else a registry could keep us here for ever.
                failures = 1 if piece.blocks_done > blocks_before else failures + 1
                if failures >= self._fetching.backoff.attempts:
                    raise
                self._pause(failures, exc)

    def _attempt(self, piece: _Piece) -> None:
        descriptor = piece.blob.partial.descriptor
        asked_s = time.monotonic()
        with (
            self._open_blob(descriptor, piece.position, piece.end) as stream,
            self._crew.blocking(stream),
        ):
            with self._crew.changed:
                if piece.blob.learn(piece, stream):
                    self._crew.changed.notify_all()
            offset = stream.start
            answered_s = time.monotonic()
            while (chunk := stream.read()) and offset < piece.end:
                self._crew.proceed()
                self._throttle.take(len(chunk), self._crew.sleep)
                self._write(piece, offset, memoryview(chunk))
                offset += len(chunk)
            ended_s = time.monotonic()
        self._learn_pace(answered_s - asked_s, ended_s - answered_s, offset - stream.start)

    def _write(self, piece: _Piece, offset: int, data: memoryview) -> None:
        """Write what belongs to the range; the rest is of a registry that knows no ranges."""
        partial = piece.blob.partial
        if offset < piece.position:
            data = data[piece.position - offset :]
            offset = piece.position
        data = data[: max(piece.end - offset, 0)]
        while data:
            index = offset // BLOCK_BYTES
            _, block_end = partial.block_range(index)
            part = data[: block_end - offset]
            # A block that is there may be hashed already, and must not change any more.
            if not partial.has_block(index):
                partial.write(part, offset)
            offset += len(part)
            piece.position = offset
            data = data[len(part) :]
            if offset == block_end and not partial.has_block(index):
                partial.mark(index)
                piece.blocks_done += 1
                with self._crew.changed:
                    self._crew.changed.notify_all()

    def _pause(self, failures: int, error: TransientTransferError) -> None:
        wait_s = self._fetching.backoff.wait_s(failures, error)
        if error.retry_after_s is None:
            self._crew.sleep(wait_s)
            return
        # The registry meant all of us.
        with self._crew.changed:
            self._pause_until_s = max(self._pause_until_s, time.monotonic() + wait_s)

    def _sleep_until_pause_is_over(self) -> None:
        while True:
            with self._crew.changed:
                wait_s = self._pause_until_s - time.monotonic()
            if wait_s <= 0:
                return
            self._crew.sleep(wait_s)

    # Followers and the keeper --------------------------------------------------------------

    def _follow(self, blob: _Blob) -> None:
        """Hash a blob while it comes, and give it its name."""
        partial = blob.partial
        while (digest := self._hash(blob)) != partial.descriptor.digest.encoded:
            was_resumed = partial.resumed_bytes > 0
            partial.discard()
            if not was_resumed:
                raise IntegrityError(
                    f"The bytes that came for blob {partial.descriptor.digest} are others: they"
                    f" hash to {digest}."
                )
            # Perhaps what an earlier attempt had left was bad: this time all of it is new.
            with self._crew.changed:
                blob.start_anew()
                self._crew.changed.notify_all()
            self._crew.news.set()
        partial.publish(self._fetching.blobs)
        with self._crew.changed:
            blob.is_done = True
        self._crew.news.set()

    def _hash(self, blob: _Blob) -> str:
        partial = blob.partial
        hasher = hashlib.new(partial.descriptor.digest.algorithm)
        buffer = memoryview(bytearray(min(_HASH_BYTES, partial.descriptor.size_bytes)))
        for index in range(partial.count):
            if not partial.has_block(index):
                with self._crew.changed:
                    blob.is_starved = True
                    while not partial.has_block(index):
                        self._crew.proceed()
                        self._crew.changed.wait(TICK_S)
                    blob.is_starved = False
            self._crew.proceed()
            for part in partial.read_block(index, buffer):
                hasher.update(part)
                blob.hashed_bytes += len(part)
            if index % _BLOCKS_PER_CALL == 0:
                with self._crew.changed:
                    self._crew.changed.notify_all()
        return hasher.hexdigest()

    def _keep(self) -> None:
        kept_s = time.monotonic()
        while not self._crew.stopping:
            with self._crew.changed:
                blobs = tuple(blob for blob in self._active if not blob.is_done)
            unkept_bytes = sum(blob.partial.unkept_bytes for blob in blobs)
            if unkept_bytes >= _KEEP_BYTES or time.monotonic() - kept_s > _KEEP_INTERVAL_S:
                for blob in blobs:
                    blob.partial.keep()
                kept_s = time.monotonic()
            else:
                with self._crew.changed:
                    self._crew.changed.wait(TICK_S)

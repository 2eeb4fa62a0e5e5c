"""Fetching the blobs of a model: several ranges at once, checked, and resumable at any moment.

The threads of a download (see `crew`) are of three kinds. *Connections* take ranges from whichever
blob has some left, write them into its partial file, and hash what is next. One *follower* per blob
hashes what came out of order, and gives the blob its name when the digest is right. One *keeper*
brings to disk what was written, so that a power cut costs little. The calling thread starts blobs,
waits for those that another process has locked, and reports.
"""

from __future__ import annotations

import contextlib
import functools
import shutil
import time
from collections import deque
from collections.abc import Sequence

from stoker.errors import IntegrityError, InUseError, UnavailableError
from stoker.store import Progress, ReportProgress
from stoker_registry.connections import Connections
from stoker_registry.crew import TICK_S, Crew
from stoker_registry.fetching import Fetching, OpenBlob, WantedBlob
from stoker_registry.incoming_blob import IncomingBlob
from stoker_registry.partials import BLOCK_BYTES

_KEEP_BYTES = 16 * 1024**2
_KEEP_INTERVAL_S = 5.0
"""What a power cut may take: so much, or so old, or what the disk could not take any sooner."""
_BLOCKS_PER_CALL = 16
"""How often hashing wakes those who wait for it to catch up."""
MAX_STANDSTILL_S = 600.0
"""So long another process may hold a blob without any progress before we stop to believe in it."""


class Download:
    """Blobs of one artifact on their way into the store. Used once."""

    def __init__(self, open_blob: OpenBlob, fetching: Fetching, report: ReportProgress) -> None:
        """Prepare it."""
        self._fetching = fetching
        self._report = report
        self._crew = Crew()
        self._waiting: deque[WantedBlob] = deque()
        self._active: list[IncomingBlob] = []
        self._connections = Connections(open_blob, fetching, self._crew, self._active)
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
                    self._connections.start()
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
            if max(self._connections.ranges_left, len(self._active)) >= self._fetching.connections:
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
        blob = IncomingBlob(item, partial, self._report)
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

    def _report_all(self) -> None:
        if self._connections.is_paused:
            self._report(Progress("waiting to try again"))
        done = [blob for blob in self._active if blob.is_done]
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

    # Followers and the keeper --------------------------------------------------------------

    def _follow(self, blob: IncomingBlob) -> None:
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

    def _hash(self, blob: IncomingBlob) -> str:
        """Hash what came out of order, until all is hashed; returns the digest."""
        partial, running = blob.partial, blob.hash
        while not running.is_done:
            index = running.done_bytes // BLOCK_BYTES
            if not partial.has_block(index):
                self._await_block(blob)
                continue
            self._crew.proceed()
            running.take_block(index)
            if index % _BLOCKS_PER_CALL == 0:
                with self._crew.changed:
                    self._crew.changed.notify_all()
        return running.hexdigest

    def _await_block(self, blob: IncomingBlob) -> None:
        """Wait until there is something to be hashed, or all of it was."""
        running = blob.hash
        with self._crew.changed:
            blob.is_starved = True
            while not running.is_done and not blob.partial.has_block(
                running.done_bytes // BLOCK_BYTES
            ):
                self._crew.proceed()
                self._crew.changed.wait(TICK_S)
            blob.is_starved = False

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

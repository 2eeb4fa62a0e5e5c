"""The connections of a download: threads that fetch ranges of whichever blob has some left."""

from __future__ import annotations

import time
from collections.abc import Sequence

from stoker_registry.backoff import TransientTransferError
from stoker_registry.bandwidth import Throttle
from stoker_registry.blob_stream import BlobStream
from stoker_registry.crew import TICK_S, Crew
from stoker_registry.fetching import Fetching, OpenBlob
from stoker_registry.incoming_blob import IncomingBlob, Piece
from stoker_registry.range_plan import RangePlan


class Connections:
    """All connections of one download. The crew's `changed` guards what they share."""

    def __init__(
        self, open_blob: OpenBlob, fetching: Fetching, crew: Crew, blobs: Sequence[IncomingBlob]
    ) -> None:
        """Prepare them.

        Args:
            open_blob: Opens one.
            fetching: How many there may be, and what is done when one breaks.
            crew: Whose threads they are.
            blobs: What is under way, as the download changes it.
        """
        self._open_blob = open_blob
        self._backoff = fetching.backoff
        self._crew = crew
        self._blobs = blobs
        self._throttle = Throttle(fetching.max_bytes_per_s)
        self._plan = RangePlan(
            max_connections=fetching.connections, min_range_bytes=fetching.min_range_bytes
        )
        self._started = 0
        self._pause_until_s = 0.0

    def start(self) -> None:
        """Start a thread for every range that nobody has, as long as there may be more."""
        with self._crew.changed:
            wanted = min(self._plan.connections - self._started, self._count_ranges())
        for _ in range(wanted):
            self._started += 1
            self._crew.start(self._work, f"connection {self._started}")

    @property
    def ranges_left(self) -> int:
        """How many ranges nobody has."""
        with self._crew.changed:
            return self._count_ranges()

    @property
    def is_paused(self) -> bool:
        """Whether the registry wanted a pause of all."""
        with self._crew.changed:
            return self._pause_until_s > time.monotonic()

    def _count_ranges(self) -> int:
        pending_bytes = sum(blob.pending_bytes for blob in self._blobs)
        return -(-pending_bytes // self._plan.range_bytes(pending_bytes))

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

    def _take(self) -> Piece | None:
        if sum(len(blob.pieces) for blob in self._blobs) >= self._plan.connections:
            return None
        size_bytes = self._plan.range_bytes(sum(blob.pending_bytes for blob in self._blobs))
        return next((piece for blob in self._blobs if (piece := blob.take(size_bytes))), None)

    def _fetch(self, piece: Piece) -> None:
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
                if failures >= self._backoff.attempts:
                    raise
                self._pause(failures, exc)

    def _attempt(self, piece: Piece) -> None:
        asked_s = time.monotonic()
        with (
            self._open_blob(piece.blob.partial.descriptor, piece.position, piece.end) as stream,
            self._crew.blocking(stream),
        ):
            with self._crew.changed:
                if piece.blob.learn(piece, stream):
                    self._crew.changed.notify_all()
            answered_s = time.monotonic()
            came_bytes = self._receive(piece, stream, answered_s - asked_s)
            ended_s = time.monotonic()
        with self._crew.changed:
            self._plan.note_range(answered_s - asked_s, ended_s - answered_s, came_bytes)

    def _receive(self, piece: Piece, stream: BlobStream, waited_s: float) -> int:
        """Write what comes; returns how much that was.

        Args:
            piece: What is wanted.
            stream: Brings it.
            waited_s: How long the answer took.
        """
        offset = stream.start
        noted_s = before_s = time.monotonic() - waited_s
        waited_s = 0.0
        # At its end it is read once more, for only then it sees that no more comes.
        while (chunk := stream.read()) and offset < piece.end:
            waited_s += time.monotonic() - before_s
            self._crew.proceed()
            self._throttle.take(len(chunk), self._crew.sleep)
            blocks_before = piece.blocks_done
            is_news = piece.blob.write(piece, offset, memoryview(chunk))
            offset += len(chunk)
            before_s = time.monotonic()
            if is_news or piece.blocks_done > blocks_before:
                self._note(piece.blob, waited_s, before_s - noted_s, is_news=is_news)
                noted_s, waited_s = before_s, 0.0
        return offset - stream.start

    def _note(self, blob: IncomingBlob, waited_s: float, taken_s: float, *, is_news: bool) -> None:
        """Tell others what is new, and see whether more connections would help."""
        with self._crew.changed:
            are_more_wanted = self._plan.note_wait(
                waited_s, taken_s, is_hash_behind=blob.is_hash_behind
            )
            if is_news or are_more_wanted:
                self._crew.changed.notify_all()
        if are_more_wanted:
            self._crew.news.set()

    def _pause(self, failures: int, error: TransientTransferError) -> None:
        wait_s = self._backoff.wait_s(failures, error)
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

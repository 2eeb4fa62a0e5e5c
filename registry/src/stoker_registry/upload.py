"""Sending the blobs of a model: several at once, from disk, each only if the registry lacks it."""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from stoker.manifest import Descriptor
from stoker.meter import Meter
from stoker.store import Progress, ReportProgress
from stoker_registry.backoff import Backoff, TransientTransferError
from stoker_registry.bandwidth import Throttle
from stoker_registry.crew import Crew

if TYPE_CHECKING:
    from stoker_registry.client import RepositoryClient
    from stoker_registry.upload_session import UploadSession

_SMALL_BYTES = 1024 * 1024
"""A blob up to this size goes in one request, read into memory."""
_PROGRESS_BYTES = 1024 * 1024
"""An attempt that brought so much counts as no failure."""


@attrs.frozen
class BlobToSend:
    """A blob to send."""

    descriptor: Descriptor
    path: Path
    item: str
    """The name that people know it by."""
    mount_from: str | None = None
    """A repository of the same registry that may have it."""


class _Sending:
    """A blob under way. Its worker alone writes; the calling thread reads `sent_bytes`."""

    def __init__(self, blob: BlobToSend, report: ReportProgress) -> None:
        self.blob = blob
        self.sent_bytes = 0
        self.is_done = False
        self._shown_bytes = 0
        descriptor = blob.descriptor
        self._meter = Meter(report, "pushing", blob.item, descriptor.size_bytes, descriptor.digest)

    def report(self) -> None:
        """Report how far it is; an upload that starts anew is shown as standing still."""
        size_bytes = self.blob.descriptor.size_bytes
        done_bytes = size_bytes if self.is_done else min(self.sent_bytes, size_bytes)
        self._shown_bytes = max(self._shown_bytes, done_bytes)
        self._meter(self._shown_bytes)


class Upload:
    """Blobs of one artifact on their way to a registry. Used once."""

    def __init__(
        self,
        client: RepositoryClient,
        *,
        backoff: Backoff,
        connections: int,
        max_bytes_per_s: float | None,
        report: ReportProgress,
    ) -> None:
        self._client = client
        self._backoff = backoff
        self._connections = connections
        self._throttle = Throttle(max_bytes_per_s)
        self._report = report
        self._crew = Crew()
        self._pending: deque[_Sending] = deque()
        self._is_paused = threading.Event()

    def run(self, blobs: Sequence[BlobToSend]) -> None:
        """Send blobs; those that the registry has, or can take from a neighbour, cost a question.

        Raises:
            TransferError: The transfer failed.
            AccessDeniedError: The registry refused.
        """
        sendings = [_Sending(blob, self._report) for blob in blobs]
        self._pending.extend(sendings)
        with self._crew as crew:
            for number in range(min(self._connections, len(sendings))):
                crew.start(self._work, f"connection {number + 1}")
            while not all(sending.is_done for sending in sendings):
                crew.watch()
                if self._is_paused.is_set():
                    self._report(Progress("waiting to try again"))
                for sending in sendings:
                    if sending.sent_bytes or sending.is_done:
                        sending.report()

    def _work(self) -> None:
        while True:
            try:
                sending = self._pending.popleft()
            except IndexError:
                return
            self._send(sending)
            sending.is_done = True
            self._crew.news.set()

    def _send(self, sending: _Sending) -> None:
        """Send a blob, in as many attempts as it takes while each gets on."""
        failures = had_bytes = 0
        session: UploadSession | None = None
        while True:
            self._crew.proceed()
            try:
                session = self._resumed(session, sending) or self._start(sending)
                if session is None:
                    return
                # Beyond what any attempt before had come to: so there is an end of attempts.
                if session.sent_bytes - had_bytes > _PROGRESS_BYTES:
                    failures, had_bytes = 0, session.sent_bytes
                self._send_rest(sending, session)
            except TransientTransferError as exc:
                self._crew.proceed()
                failures += 1
                if failures >= self._backoff.attempts:
                    raise
                self._pause(failures, exc)
            else:
                return

    @staticmethod
    def _resumed(session: UploadSession | None, sending: _Sending) -> UploadSession | None:
        """An upload that broke off, if the registry says how far it came."""
        is_small = sending.blob.descriptor.size_bytes <= _SMALL_BYTES
        return session if session and not is_small and session.ask() else None

    def _start(self, sending: _Sending) -> UploadSession | None:
        """Start an upload; None when the registry has the blob."""
        blob = sending.blob
        if self._client.has_blob(blob.descriptor):
            return None
        data = None
        if blob.mount_from is None and blob.descriptor.size_bytes <= _SMALL_BYTES:
            data = blob.path.read_bytes()
        return self._client.start_upload(blob.descriptor, mount_from=blob.mount_from, data=data)

    def _send_rest(self, sending: _Sending, session: UploadSession) -> None:
        descriptor, path = sending.blob.descriptor, sending.blob.path
        if descriptor.size_bytes <= _SMALL_BYTES:
            session.send_whole(descriptor.digest, path.read_bytes())
            return

        def sent(size_bytes: int) -> None:
            self._crew.proceed()
            sending.sent_bytes += size_bytes
            self._throttle.take(size_bytes, self._crew.sleep)

        while session.sent_bytes < descriptor.size_bytes:
            sending.sent_bytes = session.sent_bytes
            session.send_rest(path, descriptor.size_bytes, sent)
        session.finish(descriptor.digest, descriptor.size_bytes)

    def _pause(self, failures: int, error: TransientTransferError) -> None:
        with contextlib.ExitStack() as stack:
            self._is_paused.set()
            stack.callback(self._is_paused.clear)
            self._crew.sleep(self._backoff.wait_s(failures, error))

"""Tests of pushing large blobs: in parts, resumed, in bounded memory."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from stoker.digest import Digest
from stoker.errors import OperationCancelledError, TransferError
from stoker.manifest import Descriptor
from stoker.media_types import GGUF
from stoker.store import Progress
from stoker_registry.client import RepositoryClient
from stoker_registry.options import OciOptions
from stoker_registry.upload import BlobToSend, Upload

from .conftest import QUICK, FakeRegistry, Handler, ignore, send_blob

DATA = random.Random(1).randbytes(8 * 1024**2)
DESCRIPTOR = Descriptor(GGUF, Digest.of(DATA), len(DATA))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file that is too large for one request."""
    path = tmp_path / "blob"
    path.write_bytes(DATA)
    return path


def client(registry: FakeRegistry) -> RepositoryClient:
    """A client of the registry."""
    return RepositoryClient(registry.reference(), OciOptions(timeout_s=5.0), backoff=QUICK)


def methods(registry: FakeRegistry) -> list[str]:
    """What was asked of the registry, in order."""
    return [seen.method for seen in registry.seen]


def test_a_large_blob_is_streamed(registry: FakeRegistry, path: Path) -> None:
    """It goes in one stream, and how far it is gets reported."""
    reports: list[Progress] = []

    send_blob(client(registry), path, DESCRIPTOR, reports.append)

    assert DATA == registry.blobs[str(DESCRIPTOR.digest)]
    assert ["HEAD", "POST", "PATCH", "PUT"] == methods(registry)
    assert len(DATA) == reports[-1].done_bytes == reports[-1].total_bytes


def test_a_cut_upload_goes_on(registry: FakeRegistry, path: Path) -> None:
    """The registry is asked how far it came, and sent the rest only."""
    registry.cut_upload_at_bytes = 5 * 1024**2

    send_blob(client(registry), path, DESCRIPTOR)

    assert DATA == registry.blobs[str(DESCRIPTOR.digest)]
    assert ["HEAD", "POST", "PATCH", "GET", "PATCH", "PUT"] == methods(registry)
    assert len(DATA) == registry.received_bytes


def test_a_registry_that_does_not_know_gets_all_again(registry: FakeRegistry, path: Path) -> None:
    """Where an upload cannot be asked about, another one is started."""
    registry.cut_upload_at_bytes = 5 * 1024**2
    registry.knows_uploads = False

    send_blob(client(registry), path, DESCRIPTOR)

    assert DATA == registry.blobs[str(DESCRIPTOR.digest)]
    assert 2 == len(registry.uploads)


def test_an_upload_that_was_forgotten_starts_anew(registry: FakeRegistry, path: Path) -> None:
    """A registry that lost the upload is sent the blob again."""
    left = [1]
    registry.fault(
        "PATCH", "", lambda h: (h.body(), h.reply(404)) if left and left.pop() else False
    )

    send_blob(client(registry), path, DESCRIPTOR)

    assert DATA == registry.blobs[str(DESCRIPTOR.digest)]


def test_an_upload_that_is_cut_for_ever(registry: FakeRegistry, path: Path) -> None:
    """After so many attempts without progress it is an error."""
    registry.fault("PATCH", "", lambda handler: handler.hang_up())

    with pytest.raises(TransferError, match=registry.host):
        send_blob(client(registry), path, DESCRIPTOR)
    assert QUICK.attempts == methods(registry).count("PATCH")


def test_a_registry_that_stores_other_bytes(registry: FakeRegistry, path: Path) -> None:
    """A registry that finds another digest has the last word: the push fails."""

    def spoil(handler: Handler) -> bool:
        registry.uploads["1"][:4] = b"ouch"
        return False

    registry.fault("PUT", "", spoil)

    with pytest.raises(TransferError, match="DIGEST_INVALID"):
        send_blob(client(registry), path, DESCRIPTOR)


def test_a_push_is_given_up(registry: FakeRegistry, path: Path) -> None:
    """Whoever listens to the progress can end it; no thread goes on."""

    def give_up(progress: Progress) -> None:
        if progress.done_bytes:
            raise OperationCancelledError("Enough.")

    with pytest.raises(OperationCancelledError):
        send_blob(client(registry), path, DESCRIPTOR, give_up)
    assert str(DESCRIPTOR.digest) not in registry.blobs or "PUT" in methods(registry)


def test_the_cap_on_bandwidth_holds(registry: FakeRegistry, path: Path) -> None:
    """With a cap of 20 MB/s, 8 MiB do not arrive at once."""
    seen: list[tuple[int, int]] = []
    upload = Upload(
        client(registry),
        backoff=QUICK,
        connections=4,
        max_bytes_per_s=20e6,
        report=lambda progress: seen.append((progress.done_bytes, registry.received_bytes)),
    )

    upload.run((BlobToSend(DESCRIPTOR, path, "blob"),))

    # Reports come ten times a second; without the cap there were hardly any between the ends.
    assert any(0 < done < len(DATA) for done, _ in seen)
    assert DATA == registry.blobs[str(DESCRIPTOR.digest)]


def test_nothing_to_send(registry: FakeRegistry) -> None:
    """No blobs are no requests."""
    Upload(client(registry), backoff=QUICK, connections=4, max_bytes_per_s=None, report=ignore).run(
        ()
    )

    assert [] == registry.seen

"""Tests of `stoker_registry.intake`: models that others push."""

from __future__ import annotations

import os

import pytest

from stoker.digest import Digest
from stoker.errors import (
    ConflictError,
    IntegrityError,
    InvalidArtifactError,
    InvalidDigestError,
    InvalidReferenceError,
    NotFoundError,
    OverloadedError,
    UnavailableError,
)
from stoker.manifest import Descriptor, Manifest
from stoker.media_types import GGUF, OCI_INDEX, OCI_MANIFEST
from stoker.reference import Reference
from stoker.wire.manifest import encode_manifest
from stoker_registry.intake import IDLE_S, MAX_UPLOADS, OciIntake
from stoker_registry.store import OciStore

from .conftest import DOCKER_CONFIG_TYPE, ignore

REPOSITORY = "ai/tiny"
CONFIG = b'{"config":{"format":"gguf"}}'
WEIGHTS = b"weights" * 1000


def descriptor(data: bytes, media_type: str, path: str | None = None) -> Descriptor:
    """What a manifest says of some bytes."""
    annotations = {} if path is None else {"org.cncf.model.filepath": path}
    return Descriptor(GGUF.__class__(media_type), Digest.of(data), len(data), annotations)


def manifest(path: str = "tiny.gguf") -> bytes:
    """The manifest of a model."""
    config = descriptor(CONFIG, str(DOCKER_CONFIG_TYPE))
    return encode_manifest(Manifest(config, (descriptor(WEIGHTS, str(GGUF), path),)))


def send(store: OciStore, data: bytes, repository: str = REPOSITORY) -> Digest:
    """Push a blob, in two pieces."""
    upload = store.start_upload(repository)
    middle = store.write_upload(repository, upload, data[:10], offset=0)
    assert len(data) == store.write_upload(repository, upload, data[10:], offset=middle)
    store.finish_upload(repository, upload, Digest.of(data))
    return Digest.of(data)


def send_model(store: OciStore, repository: str = REPOSITORY, reference: str = "v1") -> Digest:
    """Push a model."""
    send(store, CONFIG, repository)
    send(store, WEIGHTS, repository)
    return store.put_manifest(repository, reference, OCI_MANIFEST, manifest())


def leases(store: OciStore) -> int:
    """How many leases and unfinished blobs there are."""
    return len(list(store._layout.leases.directory.iterdir()))


def test_a_pushed_model_is_here(store: OciStore) -> None:
    """It has the name of its repository and tag, and can be opened; nothing is left over."""
    digest = send_model(store)

    artifact = store.resolve(Reference.parse("ai/tiny:v1"))
    assert (digest, Digest.of(manifest())) == (artifact.digest, artifact.digest)
    assert WEIGHTS == store.open(artifact).weights[0].read_bytes()
    assert store.verify(None, ignore, repair=False).is_clean
    assert 0 == leases(store)
    assert digest == store.manifest(REPOSITORY, "v1").digest


@pytest.mark.parametrize(
    ("repository", "name"),
    [
        ("ai/tiny", "docker.io/ai/tiny"),
        ("a/b/c", "docker.io/a/b/c"),
        ("reg.example/x/y", "reg.example/x/y"),
        ("docker.io/ai/tiny", "docker.io/ai/tiny"),
    ],
)
def test_what_was_pushed_is_read_under_the_same_name(
    store: OciStore, repository: str, name: str
) -> None:
    """A repository is a name as elsewhere: with a registry, or with the usual one."""
    digest = send_model(store, repository)

    assert digest == store.resolve(Reference.parse(f"{name}:v1")).digest
    assert ["v1"] == store.tags(repository)


@pytest.mark.parametrize(
    "repository", ["tiny", "AI/tiny", "ai/tiny:v1", "ai/../x", "ai//x", "index.docker.io/ai/x", ""]
)
def test_repositories_that_could_not_be_read_again(store: OciStore, repository: str) -> None:
    """They are refused before anything is sent."""
    with pytest.raises(InvalidReferenceError):
        store.start_upload(repository)
    with pytest.raises(InvalidReferenceError):
        store.put_manifest(repository, "v1", OCI_MANIFEST, manifest())


def test_wrong_bytes_are_not_kept(store: OciStore) -> None:
    """A blob with another digest than announced leaves nothing, and its upload is over."""
    upload = store.start_upload(REPOSITORY)
    store.write_upload(REPOSITORY, upload, b"other", offset=0)

    with pytest.raises(IntegrityError, match="are others"):
        store.finish_upload(REPOSITORY, upload, Digest.of(WEIGHTS))
    with pytest.raises(NotFoundError):
        store.uploaded_bytes(REPOSITORY, upload)
    assert ([], 0) == (list(store._layout.blobs.digests()), leases(store))
    upload = store.start_upload(REPOSITORY)
    with pytest.raises(InvalidDigestError):
        store.finish_upload(REPOSITORY, upload, Digest("sha512", "0" * 128))


def test_bytes_that_do_not_follow(store: OciStore) -> None:
    """A gap or an overlap is refused, and what has come stays."""
    upload = store.start_upload(REPOSITORY)
    store.write_upload(REPOSITORY, upload, b"abc", offset=0)

    for offset in (0, 2, 4):
        with pytest.raises(ConflictError, match="do not follow"):
            store.write_upload(REPOSITORY, upload, b"d", offset=offset)
    assert 3 == store.uploaded_bytes(REPOSITORY, upload)
    store.cancel_upload(REPOSITORY, upload)


def test_uploads_belong_to_their_repository(store: OciStore) -> None:
    """An id alone is not enough, and a cancelled upload is over."""
    upload = store.start_upload(REPOSITORY)
    with pytest.raises(NotFoundError):
        store.write_upload("ai/other", upload, b"x", offset=0)
    with pytest.raises(NotFoundError):
        store.write_upload(REPOSITORY, "../../etc/passwd", b"x", offset=0)

    store.cancel_upload(REPOSITORY, upload)

    with pytest.raises(NotFoundError):
        store.uploaded_bytes(REPOSITORY, upload)
    assert 0 == leases(store)


def test_a_blob_waits_for_its_manifest(store: OciStore) -> None:
    """It can be read in its repository, and no collection takes it meanwhile."""
    digest = send(store, WEIGHTS)
    assert WEIGHTS == store.blob(REPOSITORY, digest).read_bytes()
    with pytest.raises(NotFoundError):
        store.blob("ai/other", digest)

    store.prune(min_age_s=0, dry_run=False)
    send(store, CONFIG)

    assert store.put_manifest(REPOSITORY, "v1", OCI_MANIFEST, manifest())


@pytest.mark.parametrize(
    ("data", "reference", "error"),
    [
        (b"{", "v1", InvalidArtifactError),
        (b'{"schemaVersion":2,"manifests":[]}', "v1", InvalidArtifactError),
        (manifest("../../etc/passwd"), "v1", InvalidArtifactError),
        (manifest(), str(Digest.of(b"other")), IntegrityError),
        (manifest(), "sha256:12", InvalidDigestError),
        (manifest(), "v 1", InvalidReferenceError),
        (manifest(), "../v1", InvalidReferenceError),
    ],
    ids=["no json", "index", "path", "digest", "no digest", "tag", "tag path"],
)
def test_manifests_that_are_refused(
    store: OciStore, data: bytes, reference: str, error: type[Exception]
) -> None:
    """What could not be opened later gets no name."""
    send(store, CONFIG)
    send(store, WEIGHTS)

    with pytest.raises(error):
        store.put_manifest(REPOSITORY, reference, OCI_INDEX, data)
    assert [] == list(store.list())


def test_a_manifest_whose_blobs_have_not_come(store: OciStore) -> None:
    """A missing blob is named, and so is one whose size was a lie."""
    send(store, CONFIG)
    with pytest.raises(NotFoundError, match=str(Digest.of(WEIGHTS))):
        store.put_manifest(REPOSITORY, "v1", OCI_MANIFEST, manifest())
    send(store, WEIGHTS)
    lie = manifest().replace(b'"size":7000', b'"size":6999')

    with pytest.raises(NotFoundError, match="6999 bytes"):
        store.put_manifest(REPOSITORY, "v1", OCI_MANIFEST, lie)


def test_mounting(store: OciStore) -> None:
    """A blob of another repository need not be sent again; one that is not there must."""
    send_model(store)
    for digest in (Digest.of(CONFIG), Digest.of(WEIGHTS)):
        assert store.mount("ai/other", digest, REPOSITORY)
    assert not store.mount("ai/other", Digest.of(b"?"), REPOSITORY)
    assert not store.mount("ai/other", Digest.of(CONFIG), "ai/missing")

    store.remove(Reference.parse("ai/tiny:v1"))

    assert store.put_manifest("ai/other", "v1", OCI_MANIFEST, manifest())
    assert store.open(store.resolve(Reference.parse("ai/other:v1"))).weights


def test_uploads_are_bounded_in_number_and_time(store: OciStore) -> None:
    """Those that stand still make room after a while, with all that they had."""
    now_s = 0.0
    intake = OciIntake(store._layout, store._content, now_s=lambda: now_s)
    uploads = [intake.start_upload(REPOSITORY) for _ in range(MAX_UPLOADS)]
    with pytest.raises(OverloadedError):
        intake.start_upload(REPOSITORY)
    intake.write_upload(REPOSITORY, uploads[0], WEIGHTS, offset=0)
    intake.finish_upload(REPOSITORY, uploads[0], Digest.of(WEIGHTS))
    now_s = IDLE_S / 2
    intake.write_upload(REPOSITORY, uploads[1], b"x", offset=0)
    now_s = IDLE_S + 1

    newest = intake.start_upload(REPOSITORY)

    assert 1 == intake.uploaded_bytes(REPOSITORY, uploads[1])
    with pytest.raises(NotFoundError):
        intake.uploaded_bytes(REPOSITORY, uploads[2])
    assert intake.pushed(REPOSITORY, Digest.of(WEIGHTS)) is None
    # A lease and a partial blob each of the two that are left.
    assert 4 == leases(store)
    for upload in (uploads[1], newest):
        intake.cancel_upload(REPOSITORY, upload)
    assert 0 == leases(store)


def test_a_full_disk_ends_the_upload(store: OciStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody knows how much was written, so nothing of it counts."""
    upload = store.start_upload(REPOSITORY)

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    store.write_upload(REPOSITORY, upload, b"x", offset=0)
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UnavailableError, match="No space left"):
        store.finish_upload(REPOSITORY, upload, Digest.of(b"x"))
    monkeypatch.undo()

    assert ([], 0) == (list(store._layout.blobs.digests()), leases(store))

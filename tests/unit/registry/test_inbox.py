"""Blobs that come by themselves, and models that are made of them."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest
from gguf_file import gguf_bytes

from stoker.blob_keeper import BlobWriter
from stoker.digest import Digest
from stoker.errors import IntegrityError, InvalidArtifactError, InvalidInputError, NotFoundError
from stoker.media_types import Role
from stoker.reference import Reference
from stoker.store import PackageSource, Progress
from stoker_registry.store import OciStore

from .conftest import ignore

NAME, OTHER = Reference.parse("ai/made"), Reference.parse("ai/other")
WEIGHTS = gguf_bytes({"general.architecture": "llama"})
FILE = PurePosixPath("tiny.gguf")


@pytest.fixture
def store_folder(store: OciStore, tmp_path: Path) -> Path:
    """Where the store keeps everything."""
    del store
    return tmp_path / "store"


def sent(store: OciStore, data: bytes = WEIGHTS) -> Digest:
    """Send a blob."""
    digest = Digest.of(data)
    with store.keep_blob(digest) as writer:
        writer.write(data[:5])
        writer.write(data[5:])
    return digest


class _ClientLeftError(Exception):
    pass


def _write_and_fail(writer: BlobWriter) -> None:
    writer.write(WEIGHTS[:5])
    raise _ClientLeftError


def waiting(folder: Path) -> list[str]:
    """Everything that lies in the inbox."""
    return sorted(path.name for path in (folder / "inbox").rglob("*") if path.is_file())


def test_a_blob_is_kept_until_a_model_is_made_of_it(store: OciStore, store_folder: Path) -> None:
    """It moves into the model; nothing of it stays behind, and nothing is copied."""
    digest = sent(store)
    assert len(WEIGHTS) == store.blob_size(digest)
    before = (store_folder / "inbox" / "sha256" / digest.encoded).stat().st_ino

    artifact = store.make_model(NAME, {FILE: digest}, ["MIT"], ignore)

    bundle = store.open(artifact)
    assert WEIGHTS == bundle.weights[0].read_bytes()
    assert before == bundle.weights[0].stat().st_ino
    assert "tiny.gguf" == bundle.weights[0].name
    assert ["MIT"] == [path.read_text() for path in bundle.paths(Role.LICENSE)]
    assert "llama" == artifact.facts.architecture
    assert [] == waiting(store_folder)
    assert len(WEIGHTS) == store.blob_size(digest)


def test_it_is_the_same_model_as_when_it_is_packaged(store: OciStore, tmp_path: Path) -> None:
    """The way in which the files came leaves no trace."""
    path = tmp_path / "tiny.gguf"
    path.write_bytes(WEIGHTS)
    packaged = store.package(OTHER, PackageSource((path,)), ignore)

    made = store.make_model(NAME, {FILE: Digest.of(WEIGHTS)}, [], ignore)

    assert packaged.digest == made.digest


def test_a_wrong_blob_is_not_kept(store: OciStore, store_folder: Path) -> None:
    """What hashes to something else never gets the name."""
    digest = Digest.of(b"other")

    with pytest.raises(IntegrityError), store.keep_blob(digest) as writer:
        writer.write(WEIGHTS)

    with pytest.raises(NotFoundError):
        store.blob_size(digest)
    assert [] == waiting(store_folder)


def test_a_blob_that_breaks_off_is_not_kept(store: OciStore, store_folder: Path) -> None:
    """Half of it is nothing."""
    with pytest.raises(_ClientLeftError), store.keep_blob(Digest.of(WEIGHTS)) as writer:
        _write_and_fail(writer)

    assert [] == waiting(store_folder)
    assert [] == list((store_folder / "leases").iterdir())


def test_a_removal_leaves_waiting_blobs_alone(store: OciStore) -> None:
    """They belong to no model yet, and yet are nobody's leftovers."""
    digest = sent(store)
    store.make_model(NAME, {FILE: sent(store, gguf_bytes(padding=b"x"))}, [], ignore)

    store.remove(NAME)

    assert len(WEIGHTS) == store.blob_size(digest)


def test_tidying_deletes_what_has_waited_too_long(store: OciStore, store_folder: Path) -> None:
    """Not before its time, and not when it is only asked what would go."""
    sent(store)

    young = store.prune(min_age_s=60, dry_run=False)
    asked = store.prune(min_age_s=0, dry_run=True)
    assert [Digest.of(WEIGHTS).encoded] == waiting(store_folder)
    done = store.prune(min_age_s=0, dry_run=False)

    assert [0, 1, 1] == [item.leftovers for item in (young, asked, done)]
    assert len(WEIGHTS) == done.freed_bytes
    assert [] == waiting(store_folder)


def test_a_folder_of_files_is_a_model(store: OciStore) -> None:
    """Its files keep their paths."""
    template = b"{{ messages }}"
    files = {
        PurePosixPath("sub/tiny.gguf"): sent(store),
        PurePosixPath("chat_template.jinja"): sent(store, template),
    }

    artifact = store.make_model(NAME, files, [], ignore)

    bundle = store.open(artifact)
    assert bundle.chat_template is not None
    assert template == bundle.chat_template.read_bytes()
    assert "sub" == bundle.weights[0].parent.name


@pytest.mark.parametrize("path", ["../x.gguf", "/x.gguf", "x\n.gguf", ".", ""])
def test_paths_stay_inside(store: OciStore, store_folder: Path, path: str) -> None:
    """A name that leads out of the folder is refused."""
    digest = sent(store)

    with pytest.raises((InvalidArtifactError, InvalidInputError)):
        store.make_model(NAME, {PurePosixPath(path): digest}, [], ignore)

    assert [digest.encoded] == waiting(store_folder)


def test_what_is_no_model_is_refused_in_words_for_who_sent_it(store: OciStore) -> None:
    """The folder in which it was looked at is nobody's business."""
    for path, data in (("notes.txt", b"hello"), ("bad.gguf", b"no GGUF")):
        with pytest.raises((InvalidInputError, InvalidArtifactError)) as caught:
            store.make_model(NAME, {PurePosixPath(path): sent(store, data)}, [], ignore)
        assert "making" not in str(caught.value)


def test_a_missing_blob_is_named(store: OciStore) -> None:
    """The client sends it and tries again."""
    digest = Digest.of(b"never sent")

    with pytest.raises(NotFoundError, match=str(digest)):
        store.make_model(NAME, {FILE: digest}, [], ignore)


def test_progress_is_told(store: OciStore) -> None:
    """Once per file, with its digest."""
    told: list[Progress] = []
    digest = sent(store)

    store.make_model(NAME, {FILE: digest}, [], told.append)

    size = len(WEIGHTS)
    assert [Progress("packaging", "tiny.gguf", size, size, digest)] == told

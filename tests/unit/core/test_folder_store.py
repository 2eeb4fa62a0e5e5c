from __future__ import annotations

import errno
import io
import os
from collections.abc import Callable
from pathlib import Path

import attrs
import pytest

from stoker.artifact import ModelFacts
from stoker.digest import Digest
from stoker.errors import (
    IntegrityError,
    InUseError,
    InvalidArtifactError,
    InvalidReferenceError,
    ModelNotFoundError,
    UnavailableError,
)
from stoker.folder_store import FetchedModel, FolderStore
from stoker.formats import FormatTable
from stoker.layer_file import write_layer
from stoker.manifest import ANNOTATION_FILE_PATH, Descriptor
from stoker.media_types import GGUF
from stoker.reference import Reference
from stoker.store import Progress, ReportProgress
from stoker.testing import StoreContract
from stoker.upkeep import Pruning
from stoker.wire.manifest import encode_manifest

FACTS = ModelFacts(format="gguf", architecture="llama", parameters="1M", context_length=32)


class ShelfStore(FolderStore):
    """A store that fetches from a dict; names are in lower case, versions count for nothing."""

    def __init__(self, directory: Path, shelf: dict[str, bytes]) -> None:
        super().__init__(directory, FormatTable.of(), name="shelf", scheme="shelf", max_fetch_s=60)
        self._shelf = shelf

    def canonical(self, reference: Reference) -> Reference:
        if " " in reference.repository:
            raise InvalidReferenceError(f"{reference} has a space.")
        return attrs.evolve(reference, repository=reference.repository.lower())

    def fetch(
        self, reference: Reference, files: Path, scratch: Path, progress: ReportProgress
    ) -> FetchedModel:
        data = self._shelf.get(reference.repository.partition("@")[0])
        if data is None:
            raise ModelNotFoundError("The shelf has none.", model=str(reference))
        (scratch / "parcel").write_bytes(data)
        layer = write_layer(
            io.BytesIO(data),
            files,
            "weights/m.gguf",
            GGUF,
            size_bytes=len(data),
            stage="fetching",
            progress=progress,
        )
        return FetchedModel((layer,), FACTS, {"shelf": "top"})


def ignore(_progress: Progress) -> None:
    pass


def reference(text: str = "tiny") -> Reference:
    return Reference(registry="", repository=text, scheme="shelf")


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """The store's folder, which does not exist yet."""
    return tmp_path / "store"


@pytest.fixture
def store(directory: Path) -> ShelfStore:
    """A store with one model to fetch."""
    return ShelfStore(directory, {"tiny": b"GGUF"})


class TestFolderStore(StoreContract):
    knows_what_should_come = False

    @pytest.fixture
    def make_store(self, directory: Path) -> Callable[[], ShelfStore]:
        """A store with one model to fetch."""
        return lambda: ShelfStore(directory, {"tiny": b"GGUF" * 1000})

    @pytest.fixture
    def reference(self) -> Reference:
        """What is on the shelf."""
        return reference()

    @pytest.fixture
    def missing_reference(self) -> Reference:
        """What is not."""
        return reference("other")


def test_another_process_may_be_quicker(
    store: ShelfStore, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model that appears between the look and the rename is taken as it is."""
    other = ShelfStore(directory, {"tiny": b"GGUF"})
    rename = Path.rename
    first = iter([True])

    def late(path: Path, target: Path) -> Path:
        if path.name == "model" and next(first, False):
            other.pull(reference(), ignore)
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", late)

    artifact = store.pull(reference(), ignore)

    assert other.resolve(reference()).digest == artifact.digest
    assert store.open(artifact).weights


def test_what_was_fetched_is_the_artifact(store: ShelfStore, directory: Path) -> None:
    """Facts and annotations come back as they were given; nothing else of the fetch stays."""
    artifact = store.pull(reference("Tiny"), ignore)

    assert (reference(), "shelf", FACTS) == (artifact.reference, artifact.store, artifact.facts)
    assert {"shelf": "top"} == artifact.manifest.annotations
    assert {"models", "names"} == {path.name for path in directory.iterdir()}
    assert [] == list(directory.rglob("parcel"))


def test_every_method_reads_the_canonical_name(store: ShelfStore) -> None:
    """Spellings of one name mean one model, and what is no name is refused everywhere."""
    store.pull(reference("TINY"), ignore)

    assert store.resolve(reference("Tiny")) == store.resolve(reference())
    for method in (store.resolve, store.remove, store.resolve_remote):
        with pytest.raises(InvalidReferenceError):
            method(reference("a b"))
    assert (reference(),) == store.remove(reference("tINY")).untagged


def test_a_model_stays_while_a_name_means_it(store: ShelfStore) -> None:
    """The first removal takes a name away, the last one the files."""
    store.pull(reference(), ignore)
    artifact = store.pull(reference("tiny@1"), ignore)
    first = store.remove(reference())
    bundle = store.open(artifact)
    manifest_bytes = len(encode_manifest(artifact.manifest))
    second = store.remove(reference("tiny@1"))

    assert ((), 0) == (first.deleted, first.freed_bytes)
    assert bundle.weights
    assert (artifact.digest,) == second.deleted
    assert artifact.manifest.size_bytes + manifest_bytes == second.freed_bytes
    assert not bundle.weights[0].exists()


@pytest.mark.parametrize("lost", ["files/weights/m.gguf", "config.json", "manifest.json"])
def test_lost_files_are_fetched_again(store: ShelfStore, directory: Path, lost: str) -> None:
    """A model of which a file is gone cannot be opened; a pull mends it."""
    artifact = store.pull(reference(), ignore)
    (path,) = directory.glob(f"models/*/{lost}")
    data = path.read_bytes()
    path.unlink()
    with pytest.raises(ModelNotFoundError):
        store.open(artifact)
    store.pull(reference(), ignore)

    assert data == path.read_bytes()
    assert store.open(artifact).weights


def test_what_a_crash_left_is_swept(store: ShelfStore, directory: Path) -> None:
    """Folders of pulls that cannot run any more are deleted; those that may run stay."""
    old, running = directory / ".partial-old", directory / ".partial-running"
    for folder in (old, running):
        folder.mkdir(parents=True)
    os.utime(old, (0, 0))
    store.pull(reference(), ignore)

    assert {"models", "names", running.name} == {path.name for path in directory.iterdir()}


@pytest.mark.parametrize(
    "record",
    [
        b"",
        b"{}",
        b'{"repository": 1}',
        b'"\xff"',
        b'{"repository": "a", "digest": "../..", "created_s": 1}',
    ],
)
def test_a_damaged_record_is_named(store: ShelfStore, directory: Path, record: bytes) -> None:
    """A name that cannot be read is an error that says which file, not a model less."""
    store.pull(reference(), ignore)
    (path,) = (directory / "names").iterdir()
    path.write_bytes(record)

    with pytest.raises(InvalidArtifactError, match=path.name):
        store.list()


@pytest.mark.parametrize("name", ["manifest.json", "config.json"])
def test_a_changed_file_is_refused(store: ShelfStore, directory: Path, name: str) -> None:
    """A manifest that no longer has its digest could name any file; a config could lie."""
    store.pull(reference(), ignore)
    (path,) = directory.glob(f"models/*/{name}")
    path.write_bytes(path.read_bytes().replace(b"sha256", b"sha512", 1))

    with pytest.raises(InvalidArtifactError, match=f"{name} of shelf:tiny was changed"):
        store.resolve(reference())


class CarelessStore(ShelfStore):
    """A store that says what is not so."""

    layer: Descriptor

    def fetch(
        self, reference: Reference, files: Path, scratch: Path, progress: ReportProgress
    ) -> FetchedModel:
        (files.parent / "outside").write_bytes(b"GGUF")
        (files / "m").write_bytes(b"GGUF")
        return FetchedModel((self.layer,))


@pytest.mark.parametrize(
    ("path", "size_bytes", "error"),
    [
        ("m", 5, IntegrityError),
        ("n", 4, IntegrityError),
        ("../outside", 4, InvalidArtifactError),
        (None, 4, InvalidArtifactError),
    ],
)
def test_a_layer_without_its_file_is_refused(
    directory: Path, path: str | None, size_bytes: int, error: type[Exception]
) -> None:
    """What a subclass says of its files is checked before anybody sees them."""
    store = CarelessStore(directory, {})
    annotations = {} if path is None else {ANNOTATION_FILE_PATH: path}
    store.layer = Descriptor(GGUF, Digest.of(b"GGUF"), size_bytes, annotations)

    with pytest.raises(error):
        store.pull(reference(), ignore)
    assert [] == list(directory.iterdir())


class FullDiskStore(ShelfStore):
    def fetch(
        self, reference: Reference, files: Path, scratch: Path, progress: ReportProgress
    ) -> FetchedModel:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_an_error_of_the_disk_is_converted(directory: Path) -> None:
    """What the file system says comes with the store's name, and nothing is left."""
    with pytest.raises(UnavailableError, match=r"'shelf'.*No space left"):
        FullDiskStore(directory, {}).pull(reference(), ignore)
    assert [] == list(directory.iterdir())


def spoil(path: Path) -> None:
    """Change a file, and not its size."""
    path.write_bytes(bytes(path.stat().st_size))


@pytest.mark.parametrize("how", [spoil, Path.unlink])
def test_damage_is_found_and_mended(store: ShelfStore, how: Callable[[Path], None]) -> None:
    """A file that changed or is gone is named, and a repair fetches the model anew."""
    artifact = store.pull(reference(), ignore)
    path = store.open(artifact).weights[0]
    assert store.verify(None, ignore, repair=False).is_clean
    how(path)

    found = store.verify(reference(), ignore, repair=False)

    assert [("weights/m.gguf", (reference(),))] == [
        (item.item, item.models) for item in found.damages
    ]
    assert store.verify(None, ignore, repair=True).is_clean
    assert b"GGUF" == path.read_bytes()


@pytest.mark.parametrize("name", ["manifest.json", "config.json"])
def test_a_changed_manifest_is_a_damage(store: ShelfStore, directory: Path, name: str) -> None:
    """A check of everything goes on past it, names all its models, and a repair fetches it anew."""
    artifact = store.pull(reference(), ignore)
    store.pull(reference("tiny@1"), ignore)
    (path,) = directory.glob(f"models/*/{name}")
    spoil(path)

    found = store.verify(None, ignore, repair=False)

    assert [(artifact.digest, {reference(), reference("tiny@1")})] == [
        (item.digest, set(item.models)) for item in found.damages
    ]
    assert [] == store.list()
    assert (0, 0) == (
        store.prune(min_age_s=0, dry_run=False).freed_bytes,
        store.verify(None, ignore, repair=True).checked_bytes,
    )
    assert store.verify(None, ignore, repair=False).is_clean
    assert artifact == attrs.evolve(store.resolve(reference()), created_s=artifact.created_s)


def test_a_damaged_model_can_be_removed(store: ShelfStore, directory: Path) -> None:
    """What cannot be read need not be read to go."""
    artifact = store.pull(reference(), ignore)
    (path,) = directory.glob("models/*/manifest.json")
    spoil(path)

    assert (artifact.digest,) == store.remove(reference()).deleted
    assert [] == list((directory / "models").iterdir())


def test_what_cannot_be_fetched_again_stays(directory: Path) -> None:
    """A damaged model whose source is gone is left as it was, and the reason is said."""
    store = ShelfStore(directory, {"tiny": b"GGUF"})
    path = store.open(store.pull(reference(), ignore)).weights[0]
    spoil(path)

    found = ShelfStore(directory, {}).verify(None, ignore, repair=True)

    assert ["It cannot be fetched again: The shelf has none."] == [
        item.remark for item in found.damages
    ]
    assert bytes(4) == path.read_bytes()


def test_a_model_in_use_stays(store: ShelfStore, directory: Path) -> None:
    """Whoever removes it is told who uses it; a second name may go."""
    artifact = store.pull(reference(), ignore)
    other = ShelfStore(directory, {"tiny": b"GGUF"})
    other.pull(reference("tiny@2"), ignore)

    with store.use(artifact, "process 7"):
        other.remove(reference("tiny@2"))
        with pytest.raises(InUseError, match="in use by process 7"):
            other.remove(reference())
        assert store.open(artifact).weights

    other.remove(reference())
    with pytest.raises(ModelNotFoundError), store.use(artifact, "process 7"):
        pass


def test_pruning(store: ShelfStore, directory: Path) -> None:
    """Models without a name and old fetches go; a dry run tells it before."""
    assert Pruning((), 0, 0, 0) == store.prune(min_age_s=0, dry_run=False)
    kept = store.pull(reference(), ignore)
    nameless = directory / "models" / f"sha256-{Digest.of(b'nameless').encoded}"
    old = directory / ".partial-old"
    for folder in (nameless, old):
        folder.mkdir()
        (folder / "file").write_bytes(b"12345")
        os.utime(folder, (1, 1))

    told = store.prune(min_age_s=60, dry_run=True)

    assert Pruning((Digest.of(b"nameless"),), 1, 0, 10) == told
    assert nameless.exists()
    assert told == store.prune(min_age_s=60, dry_run=False)
    assert not nameless.exists()
    assert not old.exists()
    assert store.open(kept).weights

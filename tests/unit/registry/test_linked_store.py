"""Tests of the stores `file` and `hf-cache`: models that are used where they are."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from gguf_file import gguf_bytes

from stoker.digest import Digest
from stoker.errors import (
    IntegrityError,
    InvalidArtifactError,
    InvalidInputError,
    InvalidReferenceError,
    ModelNotFoundError,
    StokerError,
)
from stoker.formats import FormatTable
from stoker.media_types import Role
from stoker.reference import Reference
from stoker.store import Progress, StoreContext
from stoker.testing import StoreContract
from stoker_registry.file_store import FileStore
from stoker_registry.formats import FORMAT_RULES
from stoker_registry.hf_cache_store import HfCacheStore
from stoker_registry.options import HfCacheOptions

from .conftest import ignore

MakeFileStore = Callable[[], FileStore]
FORMATS = FormatTable.of(FORMAT_RULES)


def path_reference(path: Path | str) -> Reference:
    """A reference to a path."""
    return Reference.parse(str(path), schemes={"file", "hf-cache"})


@pytest.fixture
def files(tmp_path: Path) -> FileStore:
    """An empty store of paths."""
    return FileStore(StoreContext(tmp_path / "store", HfCacheOptions(), FORMATS))


class TestFileStore(StoreContract):
    """The contract of all stores."""

    knows_what_should_come = False

    @pytest.fixture
    def make_store(self, tmp_path: Path) -> MakeFileStore:
        """Stores on one folder."""
        return lambda: FileStore(StoreContext(tmp_path / "store", HfCacheOptions(), FORMATS))

    @pytest.fixture
    def reference(self, gguf: Path) -> Reference:
        """A file."""
        return path_reference(gguf)

    @pytest.fixture
    def missing_reference(self, tmp_path: Path) -> Reference:
        """No file."""
        return path_reference(tmp_path / "missing.gguf")


class TestHfCacheStore(StoreContract):
    """The contract of all stores."""

    knows_what_should_come = False

    @pytest.fixture
    def make_store(self, tmp_path: Path, gguf: Path) -> Callable[[], HfCacheStore]:
        """Stores on one folder, over a cache with one model."""
        fill_cache(tmp_path / "hub", {"m.gguf": gguf.read_bytes()})
        options = HfCacheOptions(directory=str(tmp_path / "hub"))
        return lambda: HfCacheStore(StoreContext(tmp_path / "store", options, FORMATS))

    @pytest.fixture
    def reference(self) -> Reference:
        """The model of the cache."""
        return path_reference("hf-cache:Org/Name")

    @pytest.fixture
    def missing_reference(self) -> Reference:
        """A model that is not in it."""
        return path_reference("hf-cache:team/missing")


def test_no_byte_is_copied(files: FileStore, gguf: Path, tmp_path: Path) -> None:
    """The engine gets the file itself, under a link; removing the model removes the link."""
    artifact = files.pull(path_reference(gguf), ignore)
    (weights,) = files.open(artifact).weights

    assert (gguf, "tiny.gguf") == (weights.resolve(), weights.name)
    assert Digest.of(gguf.read_bytes()) == artifact.manifest.layers[0].digest
    assert ("llama", 512) == (artifact.facts.architecture, artifact.facts.context_length)
    files.remove(path_reference(gguf))
    assert gguf.exists()


def test_one_name_however_it_is_written(
    files: FileStore, gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Relative, with a tilde, with the scheme or without: it is the absolute path."""
    monkeypatch.chdir(gguf.parent)
    monkeypatch.setenv("HOME", str(gguf.parent))
    digest = files.pull(path_reference("./tiny.gguf"), ignore).digest

    for text in (str(gguf), f"file:{gguf}", "~/tiny.gguf", "file:tiny.gguf", "./a/../tiny.gguf"):
        assert digest == files.resolve(path_reference(text)).digest
    assert [f"file:{gguf}"] == [str(item.reference) for item in files.list()]


@pytest.mark.parametrize(
    "text", ["file:/", "/..", "./a\x07b", f"/{'a' * 5000}", "file: x", "file:~no/x"]
)
def test_what_is_no_path_of_a_model(files: FileStore, text: str) -> None:
    """Such names are refused before anybody looks at the disk."""
    with pytest.raises(InvalidReferenceError):
        files.resolve(path_reference(text))


def test_only_what_was_taken_can_be_loaded(files: FileStore, gguf: Path) -> None:
    """A path that nobody pulled leads nowhere, and the answer does not tell whether it exists."""
    said = []
    for path in (gguf, gguf.with_name("missing.gguf")):
        with pytest.raises(ModelNotFoundError) as caught:
            files.resolve(path_reference(path))
        said.append(str(caught.value).replace(str(path), "PATH"))

    assert said[0] == said[1]


def write(path: Path) -> None:
    """Change a file, and not its size."""
    path.write_bytes(path.read_bytes()[:-1] + b"!")


@pytest.mark.parametrize("change", [write, Path.unlink, lambda path: path.write_bytes(b"")])
def test_a_changed_file_is_refused_until_it_is_taken_again(
    files: FileStore, gguf: Path, change: Callable[[Path], None]
) -> None:
    """What has another content than its digest says is not loaded."""
    before = files.pull(path_reference(gguf), ignore)
    data = gguf.read_bytes()
    change(gguf)
    with pytest.raises(InvalidArtifactError, match=r"changed or moved.*stoker pull file:"):
        files.open(before)
    gguf.write_bytes(data + b"\0")

    after = files.pull(path_reference(gguf), ignore)

    assert before.digest != after.digest
    assert data + b"\0" == files.open(after).weights[0].read_bytes()
    assert files.verify(None, ignore, repair=False).is_clean


def test_a_touched_file_is_hashed_again(files: FileStore, gguf: Path) -> None:
    """The same bytes are the same model."""
    before = files.pull(path_reference(gguf), ignore)
    os.utime(gguf, (1, 1))
    seen: list[Progress] = []

    assert before.digest == files.pull(path_reference(gguf), seen.append).digest
    assert {"hashing"} == {progress.stage for progress in seen}
    assert files.open(before).weights


def test_a_file_that_changes_meanwhile(files: FileStore, gguf: Path) -> None:
    """Nobody could say what its digest is, so it is not taken."""

    def meddle(_progress: Progress) -> None:
        with gguf.open("ab") as file:
            file.write(b"!")

    with pytest.raises(IntegrityError, match="changed while it was read"):
        files.pull(path_reference(gguf), meddle)
    assert [] == files.list()


def test_shards(files: FileStore, tmp_path: Path) -> None:
    """The first shard stands for all; odd names become plain ones, in the pattern of engines."""
    for number in (1, 2):
        shard = {"split.no": number - 1, "split.count": 2}
        path = tmp_path / f"my model-{number:05}-of-00002.gguf"
        path.write_bytes(gguf_bytes({"general.architecture": "llama", **shard}))
    first = tmp_path / "my model-00001-of-00002.gguf"

    weights = files.open(files.pull(path_reference(first), ignore)).weights

    assert ["model-00001-of-00002.gguf", "model-00002-of-00002.gguf"] == [
        path.name for path in weights
    ]
    (tmp_path / "my model-00002-of-00002.gguf").unlink()
    with pytest.raises(InvalidInputError):
        files.pull(path_reference(first), ignore)


def test_a_file_with_an_odd_name(files: FileStore, gguf: Path) -> None:
    """A user may call their files what they like."""
    odd = gguf.rename(gguf.with_name("mein Modell (ü).gguf"))

    assert ["model.gguf"] == [
        path.name for path in files.open(files.pull(path_reference(odd), ignore)).weights
    ]


@pytest.mark.parametrize("kind", ["pipe", "text", "folder"])
def test_what_is_no_model(files: FileStore, tmp_path: Path, kind: str) -> None:
    """It is said at once, and nothing of it is kept."""
    place = tmp_path / "thing"
    if kind == "pipe":
        os.mkfifo(place)
    elif kind == "text":
        place.write_text("Hello")
    else:
        place.mkdir()

    with pytest.raises(StokerError):
        files.pull(path_reference(place), ignore)
    assert [] == files.list()


# Hugging Face's cache -----------------------------------------------------------------------


def fill_cache(cache: Path, files: Mapping[str, bytes], *, revision: str = "c0ffee") -> Path:
    """Make a repository in a cache, as Hugging Face's tools do; returns its folder."""
    repository = cache / "models--Org--Name"
    snapshot = repository / "snapshots" / revision
    (repository / "blobs").mkdir(parents=True, exist_ok=True)
    (repository / "refs").mkdir(exist_ok=True)
    (repository / "refs" / "main").write_text(revision)
    for name, data in files.items():
        blob = repository / "blobs" / Digest.of(data).encoded
        blob.write_bytes(data)
        link = snapshot / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(os.path.relpath(blob, link.parent))
    return repository


@pytest.fixture
def cache(tmp_path: Path) -> HfCacheStore:
    """A store of a cache with one repository."""
    fill_cache(tmp_path / "hub", {"tiny.gguf": gguf_bytes(), "README.md": b"# Tiny"})
    options = HfCacheOptions(directory=str(tmp_path / "hub"))
    return HfCacheStore(StoreContext(tmp_path / "store", options, FORMATS))


def hf(text: str) -> Reference:
    """A reference into the cache."""
    return Reference.parse(f"hf-cache:{text}", schemes={"file", "hf-cache"})


def test_a_repository_of_the_cache(cache: HfCacheStore, tmp_path: Path) -> None:
    """Its main revision is used where it is; its digests are those of the cache's own names."""
    artifact = cache.pull(hf("Org/Name"), ignore)
    (weights,) = cache.open(artifact).weights

    assert tmp_path / "hub" / "models--Org--Name" / "blobs" == weights.resolve().parent
    assert weights.resolve().name == artifact.manifest.layers[0].digest.encoded
    assert ["hf-cache:Org/Name"] == [str(item.reference) for item in cache.list()]


def test_revisions_and_files(cache: HfCacheStore, tmp_path: Path) -> None:
    """A revision has a hash or a name, and one file of several is named behind it."""
    two = {"q4/tiny.gguf": gguf_bytes(padding=b"4"), "q8/tiny.gguf": gguf_bytes(padding=b"8")}
    fill_cache(tmp_path / "hub", two, revision="beef01")
    with pytest.raises(InvalidInputError, match="several models"):
        cache.pull(hf("Org/Name"), ignore)

    for text, data in (
        ("Org/Name@c0ffee", gguf_bytes()),
        ("Org/Name/q4/tiny.gguf", two["q4/tiny.gguf"]),
        ("Org/Name@main/q8", two["q8/tiny.gguf"]),
    ):
        assert data == cache.open(cache.pull(hf(text), ignore)).weights[0].read_bytes()
    for text in ("Org/Name@dead", "Org/Other", "org/name", "Org/Name/q5/tiny.gguf"):
        with pytest.raises(ModelNotFoundError):
            cache.pull(hf(text), ignore)


@pytest.mark.parametrize(
    "text",
    [
        "Name",
        "../..",
        "Org/..",
        "Org/Name@../../x",
        "Org/Name/../../../x.gguf",
        "Org/Name//etc/passwd",
        "Org/Name/a\\b",
        "Org/Na\nme",
        "a" * 2000 + "/b",
    ],
)
def test_names_that_lead_out_of_the_cache(cache: HfCacheStore, text: str) -> None:
    """They follow no grammar, so nobody looks."""
    with pytest.raises(InvalidReferenceError):
        cache.pull(hf(text), ignore)


def test_links_that_lead_out_of_the_repository(cache: HfCacheStore, tmp_path: Path) -> None:
    """Whoever made the snapshot cannot make a model of somebody else's file."""
    secret = tmp_path / "secret.gguf"
    secret.write_bytes(gguf_bytes())
    snapshot = tmp_path / "hub" / "models--Org--Name" / "snapshots" / "c0ffee"
    (snapshot / "other.gguf").symlink_to(secret)

    for text in ("Org/Name/other.gguf", "Org/Name"):
        with pytest.raises(InvalidInputError, match="leads out"):
            cache.pull(hf(text), ignore)


def test_where_the_cache_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a setting it is where Hugging Face's tools have it."""
    for name in ("HF_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    fill_cache(tmp_path / ".cache" / "huggingface" / "hub", {"a.gguf": gguf_bytes(padding=b"a")})
    fill_cache(tmp_path / "home" / "hub", {"b.gguf": gguf_bytes(padding=b"b")})
    fill_cache(tmp_path / "c", {"c.gguf": gguf_bytes(padding=b"c")})
    found = []
    for name, value in (("", ""), ("HF_HOME", tmp_path / "home"), ("HF_HUB_CACHE", tmp_path / "c")):
        if name:
            monkeypatch.setenv(name, str(value))
        context = StoreContext(tmp_path / f"store-{name}", HfCacheOptions(), FORMATS)
        artifact = HfCacheStore(context).pull(hf("Org/Name"), ignore)
        found += [layer.file_path for layer in artifact.manifest.layers]

    assert ["a.gguf", "b.gguf", "c.gguf"] == found


def test_a_model_of_safetensors(tmp_path: Path, files: FileStore) -> None:
    """A folder is taken with all that belongs to the model, each file in its role."""
    folder = tmp_path / "model"
    folder.mkdir()
    header = b'{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
    (folder / "model.safetensors").write_bytes(
        len(header).to_bytes(8, "little") + header + bytes(4)
    )
    (folder / "config.json").write_text('{"model_type": "llama", "max_position_embeddings": 64}')
    (folder / "tokenizer.json").write_text("{}")

    artifact = files.pull(path_reference(folder), ignore)
    bundle = files.open(artifact)

    assert ("safetensors", 64) == (artifact.facts.format, artifact.facts.context_length)
    assert {Role.WEIGHTS, Role.CONFIG, Role.TOKENIZER} == {item.role for item in bundle.files}
    assert {"model.safetensors", "config.json", "tokenizer.json"} == {
        item.path.name for item in bundle.files
    }

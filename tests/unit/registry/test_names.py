"""Tests of `stoker_registry.names`."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from stoker.digest import Digest
from stoker.errors import InvalidArtifactError
from stoker.media_types import OCI_MANIFEST
from stoker.reference import Reference
from stoker_registry.layout import ImageLayout
from stoker_registry.names import Entry, NameIndex


@pytest.fixture
def layout(tmp_path: Path) -> ImageLayout:
    """An empty layout."""
    return ImageLayout.open(tmp_path)


@pytest.fixture
def names(layout: ImageLayout) -> NameIndex:
    """Its index."""
    return layout.names


def entry(name: str, data: bytes = b"m") -> Entry:
    """An entry of the index."""
    return Entry.of(
        Reference.parse(name), Digest.of(data), size_bytes=len(data), media_type=OCI_MANIFEST
    )


def test_names_are_kept(layout: ImageLayout, names: NameIndex) -> None:
    """What was added is read back, whole references and all."""
    layout.name(entry("ai/a"))
    layout.name(entry("reg.example:5000/x/y:v1", b"n"))

    assert (entry("ai/a"), entry("reg.example:5000/x/y:v1", b"n")) == names.entries()
    document = json.loads(names.path.read_bytes())
    assert [
        "docker.io/ai/a:latest",
        "reg.example:5000/x/y:v1",
    ] == [
        item["annotations"]["org.opencontainers.image.ref.name"] for item in document["manifests"]
    ]


def test_a_name_moves(layout: ImageLayout, names: NameIndex) -> None:
    """A name stands once; adding it again moves it."""
    layout.name(entry("ai/a", b"old"))
    layout.name(entry("ai/a", b"new"))

    assert (entry("ai/a", b"new"),) == names.entries()


def test_an_unchanged_index_is_not_written(layout: ImageLayout, names: NameIndex) -> None:
    """Adding what stands already does not touch the file."""
    layout.name(entry("ai/a"))
    before = names.path.stat()
    layout.name(entry("ai/a"))

    assert (before.st_ino, before.st_mtime_ns) == (
        names.path.stat().st_ino,
        names.path.stat().st_mtime_ns,
    )


def test_entries_of_others_are_kept(layout: ImageLayout, names: NameIndex) -> None:
    """An entry without a name, or with one that is no reference, survives every change."""
    descriptor = {"mediaType": str(OCI_MANIFEST), "digest": str(Digest.of(b"x")), "size": 1}
    key = "org.opencontainers.image.ref.name"
    foreign = [descriptor, {**descriptor, "annotations": {key: "NOT A REFERENCE"}}]
    foreign.append({**descriptor, "annotations": {key: "a@sha256:nonsense"}})
    names.path.write_text(json.dumps({"schemaVersion": 2, "manifests": foreign}))

    layout.name(entry("ai/a"))

    assert [None, None, None, Reference.parse("ai/a")] == [
        item.reference for item in names.entries()
    ]
    assert foreign == json.loads(names.path.read_bytes())["manifests"][:3]


def test_a_broken_index_is_refused(layout: ImageLayout, names: NameIndex) -> None:
    """An index that cannot be read is never taken for an empty one."""
    names.path.write_text("{")

    with pytest.raises(InvalidArtifactError):
        layout.name(entry("ai/a"))
    assert "{" == names.path.read_text()


def test_a_failed_write_leaves_the_old_index(
    layout: ImageLayout, names: NameIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the disk is full the names stand as before, and nothing lies beside them."""
    layout.name(entry("ai/a"))

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        layout.name(entry("ai/b"))
    monkeypatch.undo()

    assert (entry("ai/a"),) == names.entries()
    assert ["index.json"] == [path.name for path in names.path.parent.glob("*index*")]


def test_no_scratch_files_stay(layout: ImageLayout, names: NameIndex) -> None:
    """Replacing the file leaves nothing beside it."""
    layout.name(entry("ai/a"))

    assert ["index.json"] == [path.name for path in names.path.parent.glob("*index*")]

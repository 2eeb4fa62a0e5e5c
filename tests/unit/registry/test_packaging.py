"""Tests of `stoker_registry.packaging`, through the store that it serves."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import attrs
import pytest
from gguf_file import gguf_bytes

from stoker.artifact import Artifact
from stoker.errors import (
    InvalidArtifactError,
    InvalidInputError,
    InvalidReferenceError,
    OperationCancelledError,
)
from stoker.media_types import GGUF, MediaType, Role
from stoker.reference import Reference
from stoker.store import PackageSource, Progress
from stoker_registry.store import OciStore

from .conftest import MakeStore, ignore

NAME = Reference.parse("ai/tiny")
KNOWN = "sha256:67065f1ed17ba0bfd02179ddbe3aa45ca0e1ef9524aceaa96b5ccace60274650"


def config_of(store: OciStore, artifact: Artifact) -> Any:
    """The config's JSON."""
    path = store.blob("ai/tiny", artifact.manifest.config.digest)
    return json.loads(path.read_bytes())


def shards(folder: Path, count: int, **changes: Any) -> tuple[Path, ...]:
    """The shards of a model."""
    paths = []
    for number in range(count):
        metadata = {"general.architecture": "llama", "split.count": count, "split.no": number}
        path = folder / f"m-{number + 1:05}-of-{count:05}.gguf"
        path.write_bytes(gguf_bytes({**metadata, **changes}, padding=bytes([number])))
        paths.append(path)
    return tuple(paths)


def test_docker_form(store: OciStore, gguf: Path) -> None:
    """The facts of the header stand in a config as Docker writes it, and come back."""
    artifact = store.package(NAME, PackageSource((gguf,)), ignore)
    (layer,) = artifact.manifest.layers

    assert GGUF == layer.media_type
    assert "tiny.gguf" == layer.file_path
    assert None is artifact.manifest.artifact_type
    assert {
        "config": {
            "format": "gguf",
            "quantization": "Q4_K_M",
            "parameters": "8",
            "architecture": "llama",
            "size": "0.00 MiB",
            "context_size": 512,
            "gguf": {"general.name": "Tiny"},
        },
        "descriptor": {"created": "1970-01-01T00:00:00Z"},
        "rootfs": {"type": "rootfs", "diff_ids": [str(layer.digest)]},
    } == config_of(store, artifact)
    assert ("gguf", "llama", "8", "Q4_K_M", 512) == (
        artifact.facts.format,
        artifact.facts.architecture,
        artifact.facts.parameters,
        artifact.facts.quantization,
        artifact.facts.context_length,
    )


def test_modelpack_form(store: OciStore, gguf: Path) -> None:
    """ModelPack has its own types, artifact type and words."""
    artifact = store.package(NAME, PackageSource((gguf,), format="modelpack"), ignore)
    (layer,) = artifact.manifest.layers

    assert "application/vnd.cncf.model.manifest.v1+json" == artifact.manifest.artifact_type
    assert "application/vnd.cncf.model.config.v1+json" == artifact.manifest.config.media_type
    assert "application/vnd.cncf.model.weight.v1.raw" == layer.media_type
    assert {
        "descriptor": {"createdAt": "1970-01-01T00:00:00Z", "name": "Tiny"},
        "config": {
            "architecture": "llama",
            "format": "gguf",
            "paramSize": "8",
            "quantization": "Q4_K_M",
        },
        "modelfs": {"type": "layers", "diffIds": [str(layer.digest)]},
    } == config_of(store, artifact)
    assert [(Role.WEIGHTS, GGUF)] == [
        (item.role, item.media_type) for item in store.open(artifact).files
    ]


@pytest.mark.parametrize("form", ["docker", "modelpack"])
def test_all_kinds_of_files(store: OciStore, gguf: Path, tmp_path: Path, form: str) -> None:
    """Whatever the user's files are called, their roles survive in both forms."""
    for name, text in (("vision.gguf", None), ("t.txt", "{{ x }}"), ("MIT.txt", "free")):
        path = tmp_path / name
        path.write_bytes(gguf_bytes() if text is None else text.encode())
    source = PackageSource(
        (gguf,),
        chat_template=tmp_path / "t.txt",
        licenses=(tmp_path / "MIT.txt",),
        projector=tmp_path / "vision.gguf",
        format=form,
    )

    bundle = store.open(store.package(NAME, source, ignore))

    assert [
        (Role.WEIGHTS, "tiny.gguf"),
        (Role.PROJECTOR, "mmproj-vision.gguf"),
        (Role.CHAT_TEMPLATE, "chat_template.jinja"),
        (Role.LICENSE, "LICENSE-MIT.txt"),
    ] == [(item.role, item.path.name) for item in bundle.files]
    assert bundle.chat_template is not None
    assert "{{ x }}" == bundle.chat_template.read_text()


@pytest.mark.parametrize("form", ["docker", "modelpack"])
def test_packaging_is_reproducible(make_store: MakeStore, gguf: Path, form: str) -> None:
    """The same files give the same digest, at any time, on any machine, under any name."""
    source = PackageSource((gguf,), format=form)
    first = make_store("one").package(NAME, source, ignore)
    os.utime(gguf, (1, 1))
    gguf.chmod(0o600)
    second = make_store("two").package(Reference.parse("other/name:v2"), source, ignore)

    assert first.digest == second.digest
    assert first.manifest == second.manifest


def test_known_digest(store: OciStore, tmp_path: Path) -> None:
    """The digest of a fixed input is pinned: a change of it would be noticed by every user."""
    path = tmp_path / "fixed.gguf"
    path.write_bytes(gguf_bytes())

    assert KNOWN == str(store.package(NAME, PackageSource((path,)), ignore).digest)


def test_shards_keep_their_order(store: OciStore, tmp_path: Path) -> None:
    """All shards of a model are layers of one artifact, in order, counted together."""
    paths = shards(tmp_path, 3)
    artifact = store.package(NAME, PackageSource(paths), ignore)

    assert [path.name for path in paths] == [path.name for path in store.open(artifact).weights]
    assert 3 == len(artifact.manifest.layers)
    assert "24" == artifact.facts.parameters


@pytest.mark.parametrize(
    ("shape", "label"),
    [((1,), "1"), ((1500,), "1.50K"), ((134_515_008,), "134.52M"), ((10**6, 7 * 10**3), "7.00B")],
)
def test_parameters_are_counted(
    store: OciStore, tmp_path: Path, shape: tuple[int, ...], label: str
) -> None:
    """Where the publisher gave no label, the tensors' elements are counted."""
    path = tmp_path / "m.gguf"
    path.write_bytes(gguf_bytes(tensors=[("t", shape)]))

    assert label == store.package(NAME, PackageSource((path,)), ignore).facts.parameters


def test_missing_or_mixed_up_shards_are_refused(store: OciStore, tmp_path: Path) -> None:
    """Shards are checked against what their headers say."""
    one, two, three = shards(tmp_path, 3)

    with pytest.raises(InvalidArtifactError, match="one of 3 shards, but 2 were given"):
        store.package(NAME, PackageSource((one, two)), ignore)
    with pytest.raises(InvalidArtifactError, match=r"shard 3 of 3, but stands\s+in place 2"):
        store.package(NAME, PackageSource((one, three, two)), ignore)
    assert [] == list(store.list())


@pytest.mark.parametrize(
    ("field", "name", "content", "words"),
    [
        ("weights", "absent.gguf", None, "cannot be read"),
        ("weights", "x.bin", b"PK\x03\x04", "not a GGUF file"),
        ("weights", "x.gguf", gguf_bytes()[:-40], "incomplete"),
        ("projector", "p.gguf", b"nonsense", "not a GGUF file"),
        ("projector", "absent.gguf", None, "cannot be read"),
        ("chat_template", "t.jinja", b"\xff\xfe", "UTF-8"),
        ("chat_template", "absent.jinja", None, "cannot be read"),
        ("licenses", "absent", None, "cannot be read"),
    ],
)
def test_bad_files_are_named(  # noqa: PLR0917 - pytest passes them by name
    store: OciStore,
    gguf: Path,
    tmp_path: Path,
    field: str,
    name: str,
    content: bytes | None,
    words: str,
) -> None:
    """A file that is missing, or not what it should be, stands in the error; nothing is stored."""
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    several = field in {"weights", "licenses"}
    source = PackageSource(**{"weights": (gguf,), field: (path,) if several else path})  # type: ignore[arg-type]

    with pytest.raises(InvalidInputError, match=words) as caught:
        store.package(NAME, source, ignore)
    assert name in str(caught.value)
    assert [] == list(store.list())


def test_senseless_sources_are_refused(store: OciStore, gguf: Path, tmp_path: Path) -> None:
    """No weights, an unknown form, a digest for a name and clashing names are all refused."""
    with pytest.raises(InvalidInputError, match="nothing to package"):
        store.package(NAME, PackageSource(()), ignore)
    with pytest.raises(InvalidInputError, match="docker or modelpack"):
        store.package(NAME, PackageSource((gguf,), format="zip"), ignore)
    pinned = Reference.parse("ai/x@sha256:" + "0" * 64)
    with pytest.raises(InvalidReferenceError, match="digest"):
        store.package(pinned, PackageSource((gguf,)), ignore)
    licenses = []
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        licenses.append(tmp_path / folder / "LICENSE")
        licenses[-1].write_text("free")
    with pytest.raises(InvalidArtifactError, match="Two files"):
        store.package(NAME, PackageSource((gguf,), licenses=tuple(licenses)), ignore)


def test_files_are_copied(store: OciStore, gguf: Path) -> None:
    """What the user does to their file later does not reach the store."""
    data = gguf.read_bytes()
    artifact = store.package(NAME, PackageSource((gguf,)), ignore)
    gguf.write_bytes(b"changed")

    assert data == store.open(artifact).weights[0].read_bytes()


def test_packaging_can_be_given_up(store: OciStore, gguf: Path, tmp_path: Path) -> None:
    """An exception out of the progress callback leaves no name and no half blob."""

    def give_up(progress: Progress) -> None:
        assert "packaging" == progress.stage
        raise OperationCancelledError("Nobody waits any more.")

    with pytest.raises(OperationCancelledError):
        store.package(NAME, PackageSource((gguf,)), give_up)
    assert [] == list(store.list())
    assert [] == list((tmp_path / "store" / "leases").iterdir())
    assert [] == list((tmp_path / "store" / "blobs" / "sha256").iterdir())


def test_progress_is_reported(store: OciStore, gguf: Path) -> None:
    """Every file is reported from its beginning to its end."""
    seen: list[Progress] = []
    store.package(NAME, PackageSource((gguf,)), seen.append)
    size_bytes = gguf.stat().st_size

    assert Progress("packaging", "tiny.gguf", 0, size_bytes) == seen[0]
    assert Progress("packaging", "tiny.gguf", size_bytes, size_bytes) == seen[-1]


def test_weights_of_a_plugins_own_type_are_taken_as_they_are(
    store: OciStore, tmp_path: Path
) -> None:
    """With a media type the weights need not be GGUF, and nothing is claimed of them."""
    weights = tmp_path / "words.txt"
    weights.write_text("one two three")
    own = MediaType("application/vnd.example.words")

    artifact = store.package(NAME, PackageSource((weights,), media_type=own), ignore)

    (layer,) = artifact.manifest.layers
    assert own == layer.media_type
    assert None is artifact.facts.format


def test_a_type_of_ones_own_needs_a_form_that_has_room_for_it(
    store: OciStore, tmp_path: Path
) -> None:
    """ModelPack has no place for it, and a file that is missing is still named."""
    own = MediaType("application/vnd.example.words")
    missing = PackageSource((tmp_path / "none.txt",), media_type=own)
    with pytest.raises(InvalidInputError, match="media types of its own"):
        store.package(NAME, attrs.evolve(missing, format="modelpack"), ignore)
    with pytest.raises(InvalidInputError, match=r"none\.txt"):
        store.package(NAME, missing, ignore)

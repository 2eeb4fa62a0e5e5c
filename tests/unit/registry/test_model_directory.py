"""Tests of `stoker_registry.model_directory`, and of packaging what it finds."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest
from gguf_file import gguf_bytes

from stoker.errors import InvalidArtifactError, InvalidInputError
from stoker.media_types import Role
from stoker.reference import Reference
from stoker.store import PackageSource
from stoker_registry.model_directory import read_directory

from .conftest import MakeStore, ignore

SHARD = (
    struct.pack("<Q", 59) + b'{"a":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]}}    ' + b"abcd"
)


def fill(folder: Path, **changes: bytes | None) -> Path:
    """A folder as converters make them; `changes` by name with `__` for dots."""
    index = json.dumps({"weight_map": {"a": "model-2.safetensors", "b": "model-1.safetensors"}})
    files: dict[str, bytes | None] = {
        "config.json": b'{"model_type":"llama","max_position_embeddings":64}',
        "tokenizer.json": b"{}",
        "tokenizer_config.json": b'{"chat_template":"x"}',
        "model-1.safetensors": SHARD,
        "model-2.safetensors": SHARD + b"!",
        "model.safetensors.index.json": index.encode(),
        "consolidated.safetensors": SHARD,
        "LICENSE": b"do what you like",
        "README.md": b"# Tiny",
        "modeling.py": b"raise SystemExit",
        "pytorch_model.bin": b"pickle",
        ".gitattributes": b"x",
        "1_Pooling/config.json": b"{}",
        ".git/config": b"x",
        **{name.replace("__", "."): data for name, data in changes.items()},
    }
    for name, data in files.items():
        if data is not None:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)
    return folder


def test_the_files_of_a_model(tmp_path: Path) -> None:
    """Weights are those that the index names; code and pickles are left out, and said."""
    found = read_directory(fill(tmp_path / "m"))

    assert [
        ("model-1.safetensors", Role.WEIGHTS),
        ("model-2.safetensors", Role.WEIGHTS),
        ("1_Pooling/config.json", Role.CONFIG),
        ("LICENSE", Role.LICENSE),
        ("README.md", Role.DOC),
        ("config.json", Role.CONFIG),
        ("model.safetensors.index.json", Role.CONFIG),
        ("tokenizer.json", Role.TOKENIZER),
        ("tokenizer_config.json", Role.TOKENIZER),
    ] == [(file.name, file.role) for file in found.files]
    assert {"modeling.py", "pytorch_model.bin", "consolidated.safetensors"} == set(found.left_out)


def test_a_missing_shard_is_named(tmp_path: Path) -> None:
    """A folder that a download left half-way is no model."""
    fill(tmp_path / "m")
    (tmp_path / "m" / "model-2.safetensors").unlink()

    with pytest.raises(InvalidArtifactError, match=r"model-2\.safetensors, which is not there"):
        read_directory(tmp_path / "m")


def test_a_repository_of_hugging_faces_cache(tmp_path: Path) -> None:
    """Its main revision is taken, and the links lead to the repository's own blobs."""
    repository = tmp_path / "models--org--tiny"
    snapshot = repository / "snapshots" / "abc"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("abc")
    snapshot.mkdir(parents=True)
    (repository / "snapshots" / "old").mkdir()
    (repository / "blobs").mkdir()
    for name, data in {"model.safetensors": SHARD, "config.json": b"{}"}.items():
        blob = repository / "blobs" / name.encode().hex()
        blob.write_bytes(data)
        (snapshot / name).symlink_to(Path("..", "..", "blobs", blob.name))

    assert ["model.safetensors", "config.json"] == [
        file.name for file in read_directory(repository).files
    ]
    (repository / "refs" / "main").unlink()
    with pytest.raises(InvalidInputError, match="2 revisions"):
        read_directory(repository)


def test_links_that_lead_elsewhere_are_refused(tmp_path: Path) -> None:
    """Nobody publishes a secret because a folder has a link to it."""
    fill(tmp_path / "m")
    (tmp_path / "secret").write_text("s3cret")
    (tmp_path / "m" / "notes.txt").symlink_to(tmp_path / "secret")

    with pytest.raises(InvalidInputError, match="leads out of the folder"):
        read_directory(tmp_path / "m")
    (tmp_path / "m" / "notes.txt").unlink()
    (tmp_path / "m" / "notes.txt").symlink_to("nowhere")
    with pytest.raises(InvalidInputError, match="leads nowhere"):
        read_directory(tmp_path / "m")


@pytest.mark.parametrize(
    ("files", "complaint"),
    [
        ({"a.txt": b""}, "no weights"),
        ({"a.gguf": gguf_bytes(), "b.safetensors": SHARD}, "several kinds"),
        ({"a.gguf": gguf_bytes(), "b.gguf": gguf_bytes()}, r"several models \(a\.gguf, b\.gguf\)"),
        ({}, "no weights"),
    ],
)
def test_what_is_no_one_model(tmp_path: Path, files: dict[str, bytes], complaint: str) -> None:
    """Nothing is chosen for the user."""
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)

    with pytest.raises(InvalidInputError, match=complaint):
        read_directory(tmp_path)
    with pytest.raises(InvalidInputError, match="no folder"):
        read_directory(tmp_path / "absent")


def test_gguf_shards_and_a_projector(tmp_path: Path) -> None:
    """Shards stand in their own order, whatever they are called."""
    for name, number in (("z.gguf", 0), ("a.gguf", 1)):
        (tmp_path / name).write_bytes(gguf_bytes({"split.count": 2, "split.no": number}))
    (tmp_path / "mmproj-f16.gguf").write_bytes(gguf_bytes())

    assert [
        ("z.gguf", Role.WEIGHTS),
        ("a.gguf", Role.WEIGHTS),
        ("mmproj-f16.gguf", Role.PROJECTOR),
    ] == [(file.name, file.role) for file in read_directory(tmp_path).files]


@pytest.mark.parametrize("form", ["docker", "modelpack"])
def test_an_adapter_is_no_shard(make_store: MakeStore, tmp_path: Path, form: str) -> None:
    """What tuning made lies beside the weights and is not taken for some of them."""
    changes = {"model__safetensors__index__json": None, "consolidated__safetensors": None}
    files = {"adapters__safetensors": SHARD, "lora/adapter_config__json": b"{}"}
    folder = fill(tmp_path / "m", **changes, **files)
    artifact = make_store("adapter").package(
        Reference.parse("x"), PackageSource(directory=folder, format=form), ignore
    )
    bundle = make_store("adapter").open(artifact)

    assert ["model-1.safetensors", "model-2.safetensors"] == [p.name for p in bundle.weights]
    assert ["adapters.safetensors"] == [path.name for path in bundle.paths(Role.ADAPTER)]


@pytest.mark.parametrize("form", ["docker", "modelpack"])
def test_a_packaged_folder(make_store: MakeStore, tmp_path: Path, form: str) -> None:
    """All files come out under their paths, and the same folder gives the same digest."""
    digests = set()
    for name in ("one", "two"):
        folder = fill(tmp_path / f"folder-{name}")
        store = make_store(name)
        artifact = store.package(
            Reference.parse("x"), PackageSource(directory=folder, format=form), ignore
        )
        digests.add(artifact.digest)
    facts: Any = artifact.facts
    bundle = store.open(artifact)

    assert 1 == len(digests)
    assert ("safetensors", "llama", "4", "BF16") == (
        *(facts.format, facts.architecture, facts.parameters, facts.quantization),
    )
    root = bundle.weights[0].parent
    assert {
        *("model-1.safetensors", "model-2.safetensors", "1_Pooling/config.json", "LICENSE"),
        *("README.md", "config.json", "model.safetensors.index.json"),
        *("tokenizer.json", "tokenizer_config.json"),
    } == {item.path.relative_to(root).as_posix() for item in bundle.files}
    assert [SHARD, SHARD + b"!"] == [path.read_bytes() for path in bundle.weights]
    assert "application/vnd.docker.ai.safetensors" == bundle.files[0].media_type
    assert {Role.WEIGHTS, Role.CONFIG, Role.TOKENIZER, Role.LICENSE, Role.DOC} == {
        item.role for item in bundle.files
    }

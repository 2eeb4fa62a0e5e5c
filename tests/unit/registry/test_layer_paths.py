"""Tests of `stoker_registry.layer_paths`."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stoker.artifact import Layer
from stoker.digest import Digest
from stoker.errors import InvalidArtifactError
from stoker.manifest import Descriptor
from stoker.media_types import GGUF, SAFETENSORS, MediaType, Role
from stoker_registry.layer_paths import layer_paths


def layer(path: str | None, role: Role = Role.WEIGHTS, media_type: MediaType = GGUF) -> Layer:
    """A layer at a path."""
    annotations = {} if path is None else {"org.cncf.model.filepath": path}
    return Layer(Descriptor(media_type, Digest.of(b""), 0, annotations), media_type, role)


def paths(*layers: Layer) -> list[str]:
    """The layers' paths, as texts."""
    return [str(path) for path in layer_paths(layers)]


def test_annotated_paths_are_taken() -> None:
    """Files keep their names and folders."""

    assert ["a b.gguf", "vision/config.json", ".hidden", "ü"] == paths(
        layer("a b.gguf"), layer("vision/config.json"), layer("./.hidden"), layer("ü")
    )


def test_names_after_the_role() -> None:
    """A layer without a path is named after what it is."""
    text = MediaType("text/plain")

    assert ["model.gguf", "mmproj.gguf", "chat_template.jinja", "LICENSE", "parameters"] == paths(
        layer(None),
        layer(None, Role.PROJECTOR),
        layer(None, Role.CHAT_TEMPLATE, text),
        layer(None, Role.LICENSE, text),
        layer(None, Role.PARAMETERS, text),
    )
    assert ["model.safetensors"] == paths(layer(None, media_type=SAFETENSORS))


def test_shards_are_numbered() -> None:
    """Shards without names get those by which llama.cpp finds them, in layer order."""

    assert [f"model-{number:05}-of-00003.gguf" for number in (1, 2, 3)] == paths(*[layer(None)] * 3)
    assert ["LICENSE-00001-of-00002", "LICENSE-00002-of-00002"] == paths(
        *[layer(None, Role.LICENSE, MediaType("text/plain"))] * 2
    )


@pytest.mark.parametrize(
    "path",
    [
        "",
        ".",
        "..",
        "/etc/passwd",
        "../x",
        "a/../../x",
        "a/..",
        "a//b",
        "a/",
        "./../x",
        ".//x",
        "a\0b",
        "a\nb",
        "a\x1b[2Jb",
        "..\\x",
        "C:\\x",
        "a/./b",
        "x" * 256,
        "ü" * 128,
        "/".join(["x" * 200] * 6),
        "\ud800",
    ],
)
def test_paths_that_escape_are_refused(path: str) -> None:
    """What is no relative path inside a folder is refused, never repaired."""
    with pytest.raises(InvalidArtifactError, match="no relative path"):
        paths(layer(path))


@pytest.mark.parametrize(
    "pair",
    [
        ("a", "a"),
        ("a", "A"),
        ("a", "a/b"),
        ("a/b", "a"),
        ("A/b", "a"),
        ("ü", "u\u0308"),
        ("x/y", "X/y"),
        ("model.gguf", None),
    ],
)
def test_clashes_are_refused(pair: tuple[str | None, str | None]) -> None:
    """Two layers never share a path, nor is one a folder of another, on any file system."""
    with pytest.raises(InvalidArtifactError, match="Two files"):
        paths(*map(layer, pair))


@given(st.lists(st.text(alphabet="a./\\\0\nÄä", max_size=8), max_size=3))
def test_no_path_leaves_the_folder(names: list[str]) -> None:
    """Whatever paths are let through stay inside, and are as many as the layers."""
    try:
        found = layer_paths([layer(name) for name in names])
    except InvalidArtifactError:
        return
    root = Path("/bundle")

    assert len(names) == len({(root / path).resolve() for path in found})
    assert all((root / path).resolve().is_relative_to(root) for path in found)
    assert root not in {(root / path).resolve() for path in found}

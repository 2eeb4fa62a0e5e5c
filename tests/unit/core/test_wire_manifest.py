"""Tests of `stoker.wire.manifest`."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stoker.digest import Digest
from stoker.errors import InvalidArtifactError
from stoker.manifest import Descriptor, Manifest
from stoker.media_types import DOCKER_MANIFEST, GGUF, OCI_INDEX, OCI_MANIFEST, MediaType
from stoker.wire.manifest import (
    DOCKER_MANIFEST_LIST,
    MAX_MANIFEST_BYTES,
    WireDescriptor,
    WireIndex,
    decode_index,
    decode_manifest,
    encode_index,
    encode_manifest,
    media_type_of,
)

CONFIG = {"mediaType": "application/x.config+json", "digest": str(Digest.of(b"c")), "size": 1}
LAYER = {"mediaType": str(GGUF), "digest": str(Digest.of(b"w")), "size": 7}


def document(**fields: Any) -> bytes:
    """A manifest's bytes: a whole one, with some fields changed."""
    return json.dumps({"schemaVersion": 2, "config": CONFIG, "layers": [LAYER], **fields}).encode()


def test_manifest_is_read() -> None:
    """A manifest's config, layers, types and annotations arrive in the domain."""
    data = document(
        mediaType=str(DOCKER_MANIFEST), artifactType="application/x.model", annotations={"a": "b"}
    )

    manifest = decode_manifest(data)

    assert DOCKER_MANIFEST == manifest.media_type
    assert "application/x.model" == manifest.artifact_type
    assert {"a": "b"} == manifest.annotations
    assert (Digest.of(b"c"), 1) == (manifest.config.digest, manifest.config.size_bytes)
    assert [(GGUF, 7)] == [(layer.media_type, layer.size_bytes) for layer in manifest.layers]


def test_unknown_fields_are_tolerated() -> None:
    """Fields that nobody here knows do no harm, on a manifest and on a descriptor."""
    data = document(subject=CONFIG, layers=[{**LAYER, "from": "/tmp", "name": "x"}])

    assert 1 == len(decode_manifest(data).layers)


@pytest.mark.parametrize("empty", [None, []])
def test_a_manifest_may_have_no_layers(empty: list[Any] | None) -> None:
    """Go programs write null for an empty list; it means the same."""

    assert () == decode_manifest(document(layers=empty, annotations=None)).layers


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null",
        b"[]",
        b"{",
        b"\xff\xfe",
        b"{}",
        b"[" * 100_000,
        b'{"x":' * 100_000,
        document(schemaVersion=1),
        document(config=None),
        document(layers=[{**LAYER, "size": -1}]),
        document(layers=[{**LAYER, "size": 2**64}]),
        document(layers=[{**LAYER, "size": "7"}]),
        document(layers=[{**LAYER, "digest": "sha256:../../etc/passwd"}]),
        document(layers=[{**LAYER, "digest": "md5:" + "0" * 32}]),
        document(layers=[{**LAYER, "mediaType": "gguf"}]),
        document(layers=[{**LAYER, "annotations": {"a": 1}}]),
        document(mediaType="application/vnd.oci.artifact.manifest.v1+json"),
        document(manifests=[]),
    ],
)
def test_malformed_manifests_are_refused(data: bytes) -> None:
    """Whatever is no manifest is an `InvalidArtifactError`, and nothing else."""
    with pytest.raises(InvalidArtifactError):
        decode_manifest(data)


def test_a_gigantic_manifest_is_refused() -> None:
    """Past the size that registries must take, a manifest is not even parsed."""
    with pytest.raises(InvalidArtifactError, match="larger than"):
        decode_manifest(b" " * (MAX_MANIFEST_BYTES + 1))


def test_an_index_is_no_manifest() -> None:
    """An index is told apart, by its fields as well as by its media type."""
    data = encode_index(WireIndex(schema_version=2, manifests=()))

    assert OCI_INDEX == media_type_of(data)
    with pytest.raises(InvalidArtifactError, match="index"):
        decode_manifest(data)


def test_the_declared_type_counts_when_the_document_is_silent() -> None:
    """A document's own media type wins, then the sender's, if it fits the fields."""

    assert DOCKER_MANIFEST == media_type_of(document(), declared=str(DOCKER_MANIFEST))
    assert OCI_MANIFEST == media_type_of(document(), declared="text/plain")
    assert OCI_MANIFEST == media_type_of(document(), declared=str(OCI_INDEX))
    assert OCI_MANIFEST == media_type_of(
        document(mediaType=str(OCI_MANIFEST)), declared=str(DOCKER_MANIFEST)
    )
    assert DOCKER_MANIFEST_LIST == media_type_of(
        b'{"schemaVersion":2,"manifests":[]}', declared=str(DOCKER_MANIFEST_LIST)
    )


def test_index_round_trip() -> None:
    """An index is read as it was written."""
    index = WireIndex(
        schema_version=2,
        manifests=(WireDescriptor(str(OCI_MANIFEST), str(Digest.of(b"m")), 3, {"k": "v"}),),
        media_type=str(OCI_INDEX),
    )

    assert index == decode_index(encode_index(index))
    with pytest.raises(InvalidArtifactError, match="index is malformed"):
        decode_index(b"{}")


DESCRIPTORS = st.builds(
    Descriptor,
    media_type=st.sampled_from([GGUF, MediaType("application/x.config+json")]),
    digest=st.binary(max_size=4).map(Digest.of),
    size_bytes=st.integers(0, 2**63 - 1),
    annotations=st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3),
)
MANIFESTS = st.builds(
    Manifest,
    config=DESCRIPTORS,
    layers=st.lists(DESCRIPTORS, max_size=3).map(tuple),
    media_type=st.sampled_from([OCI_MANIFEST, DOCKER_MANIFEST]),
    artifact_type=st.none() | st.just("application/x.model"),
    annotations=st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3),
)


@given(MANIFESTS)
def test_manifest_round_trip(manifest: Manifest) -> None:
    """A manifest is read as it was written, and written twice it is the same bytes."""
    data = encode_manifest(manifest)

    assert manifest == decode_manifest(data)
    assert data == encode_manifest(decode_manifest(data))


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    """No input makes the decoder raise anything but its own error."""
    with contextlib.suppress(InvalidArtifactError):
        decode_manifest(data)

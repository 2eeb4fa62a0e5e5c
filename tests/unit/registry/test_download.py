"""Tests of how a download is divided among connections."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from stoker.digest import Digest
from stoker.errors import InvalidArtifactError
from stoker.manifest import Descriptor
from stoker.media_types import GGUF
from stoker_registry.client import RepositoryClient
from stoker_registry.fetching import WantedBlob, wanted_blobs
from stoker_registry.options import OciOptions

from .conftest import FakeRegistry, Handler, MakeStore, fetch_blob, ignore

MIB = 1024**2


def ranges(registry: FakeRegistry) -> list[tuple[int, int]]:
    """The ranges that were asked for, in order."""
    found = (
        re.fullmatch(r"bytes=(\d+)-(\d+)", seen.headers.get("Range", "")) for seen in registry.seen
    )
    return [(int(match[1]), int(match[2]) + 1) for match in found if match]


def test_connections_share_a_blob(make_store: MakeStore, registry: FakeRegistry) -> None:
    """The ranges cover the blob, each byte once, and none is shorter than makes sense."""
    registry.add(((str(GGUF), bytes(33 * MIB), "big.gguf"),))
    make_store(connections=4).pull(registry.reference(), ignore)

    found = sorted(ranges(registry))
    assert (0, 33 * MIB) == (found[0][0], found[-1][1])
    assert [end for _, end in found[:-1]] == [start for start, _ in found[1:]]
    assert all(end - start >= 4 * MIB for start, end in found[:-1])
    assert len(found) >= 4


def test_ranges_grow_with_the_wait_for_an_answer(
    make_store: MakeStore, registry: FakeRegistry
) -> None:
    """A registry that lets us wait for each answer is asked for more at once."""
    registry.add(((str(GGUF), bytes(64 * MIB), "big.gguf"),))
    registry.fault("GET", "/blobs/", lambda _handler: time.sleep(0.2) or False)
    make_store(connections=1).pull(registry.reference(), ignore)

    lengths = [end - start for start, end in ranges(registry)]
    assert 8 * MIB == lengths[0]
    assert max(lengths) > 8 * MIB


def test_a_registry_without_ranges_is_read_in_one_stream(
    make_store: MakeStore, registry: FakeRegistry
) -> None:
    """The first answer shows it, and no other connection asks for that blob."""
    data = bytes(20 * MIB)
    manifest = registry.add(((str(GGUF), data, "big.gguf"),))
    digest = str(manifest.layers[0].digest)
    registry.fault("GET", digest, lambda handler: handler.reply(200, data))
    artifact = make_store().pull(registry.reference(), ignore)

    assert data == make_store().open(artifact).weights[0].read_bytes()
    assert 1 == len([seen for seen in registry.seen if digest in seen.path])


def test_small_blobs_are_fetched_side_by_side(
    make_store: MakeStore, registry: FakeRegistry
) -> None:
    """Many small layers keep several connections busy."""
    running = [0, 0]

    def watch(_handler: Handler) -> bool:
        running[0] += 1
        running[1] = max(running)
        time.sleep(0.05)
        running[0] -= 1
        return False

    kind = "application/vnd.docker.ai.model.file"
    registry.add([(kind, f"{number}".encode(), f"{number}.json") for number in range(8)])
    registry.fault("GET", "/blobs/", watch)
    make_store(connections=4).pull(registry.reference(), ignore)

    assert running[1] > 1


def test_an_empty_blob(registry: FakeRegistry, tmp_path: Path) -> None:
    """A blob of no bytes is whole without a request."""
    with_nothing = RepositoryClient(registry.reference(), OciOptions())

    assert b"" == fetch_blob(with_nothing, tmp_path, Descriptor(GGUF, Digest.of(b""), 0))
    assert [] == registry.seen


def test_a_blob_of_several_layers_is_wanted_once() -> None:
    """One digest is one blob, and has one size."""
    layer = Descriptor(GGUF, Digest.of(b"x"), 1)

    assert (WantedBlob(layer, "a"),) == wanted_blobs((layer, layer), ("a", "b"))
    with pytest.raises(InvalidArtifactError, match="several sizes"):
        wanted_blobs((layer, Descriptor(GGUF, Digest.of(b"x"), 2)), ("a", "b"))

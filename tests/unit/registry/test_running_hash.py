"""Tests of the hash of a blob that comes in pieces."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from stoker.digest import Digest
from stoker.manifest import Descriptor
from stoker.media_types import GGUF
from stoker_registry.partials import BLOCK_BYTES, Partial, PartialDirectory
from stoker_registry.running_hash import RunningHash

DATA = random.Random(3).randbytes(3 * BLOCK_BYTES + 1000)
DESCRIPTOR = Descriptor(GGUF, Digest.of(DATA), len(DATA))


@pytest.fixture
def partial(tmp_path: Path) -> Iterator[Partial]:
    """A blob of which nothing is there."""
    opened = PartialDirectory(tmp_path).open(DESCRIPTOR)
    assert opened is not None
    yield opened
    opened.close()


def write(partial: Partial, start: int, end: int) -> memoryview:
    """Write some of it, and give what was written."""
    data = memoryview(DATA)[start:end]
    partial.write(data, start)
    return data


def test_what_comes_in_order_is_hashed_as_it_comes(partial: Partial) -> None:
    """Chunks of any length, none of which is read back."""
    running = RunningHash(partial)
    for start in range(0, len(DATA), 70_001):
        assert running.take(memoryview(DATA)[start : start + 70_001], start)

    assert running.is_done
    assert hashlib.sha256(DATA).hexdigest() == running.hexdigest


def test_what_comes_out_of_order_waits(partial: Partial) -> None:
    """A block whose predecessor is missing is read back when that has come."""
    running = RunningHash(partial)
    middle = write(partial, BLOCK_BYTES, 2 * BLOCK_BYTES)
    assert not running.take(middle, BLOCK_BYTES)
    assert running.take(write(partial, 0, BLOCK_BYTES), 0)
    running.take_block(1)

    assert 2 * BLOCK_BYTES == running.done_bytes
    assert hashlib.sha256(DATA[: 2 * BLOCK_BYTES]).hexdigest() == running.hexdigest


def test_a_connection_catches_up_within_its_block(partial: Partial) -> None:
    """What it wrote of its block before the hash came there is read back first."""
    running = RunningHash(partial)
    begun, rest = BLOCK_BYTES + 300, 2 * BLOCK_BYTES
    assert not running.take(write(partial, BLOCK_BYTES, begun), BLOCK_BYTES)
    running.take(write(partial, 0, BLOCK_BYTES), 0)
    assert running.take(write(partial, begun, rest), begun)

    assert hashlib.sha256(DATA[:rest]).hexdigest() == running.hexdigest


def test_a_file_that_was_cut_has_another_hash(partial: Partial) -> None:
    """The end comes all the same, and nobody waits for what is gone."""
    running = RunningHash(partial)
    write(partial, 0, 10)
    running.take_block(0)

    assert BLOCK_BYTES == running.done_bytes
    assert hashlib.sha256(DATA[:BLOCK_BYTES]).hexdigest() != running.hexdigest

from __future__ import annotations

import contextlib
import struct
from pathlib import Path

import pytest
from gguf_file import gguf_bytes
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from stoker.errors import InvalidArtifactError, InvalidInputError
from stoker.weights.gguf import GgufHeader, read_gguf_header


def read(tmp_path: Path, data: bytes) -> GgufHeader:
    """Read a header from bytes."""
    path = tmp_path / "x.gguf"
    path.write_bytes(data)
    return read_gguf_header(path)


def test_facts_are_read(tmp_path: Path) -> None:
    """Architecture, context length, quantization and parameters come out of the header."""
    header = read(
        tmp_path,
        gguf_bytes(
            {
                "general.architecture": "llama",
                "general.name": "Tiny",
                "general.file_type": 15,
                "llama.context_length": 512,
                "tokenizer.ggml.tokens": ["a", "b", "c"],
            }
        ),
    )

    assert "llama" == header.architecture
    assert 512 == header.context_length
    assert "Q4_K_M" == header.quantization
    assert "Tiny" == header.text("general.name")
    assert (1, 8) == (header.tensor_count, header.parameter_count)
    assert (1, 0) == (header.shard_count, header.shard_index)


def test_all_kinds_of_values_are_read(tmp_path: Path) -> None:
    """Scalars keep their types; arrays are passed over without losing the place."""
    header = read(
        tmp_path,
        gguf_bytes({"a": ["x"] * 1000, "b": 1.5, "c": [1, 2, 3], "d": True, "e": "ü", "f": 7}),
    )

    assert {"b": 1.5, "d": True, "e": "ü", "f": 7} == header.metadata


def test_short_arrays_and_tensors_are_kept(tmp_path: Path) -> None:
    """Settings of layers, lengths of all arrays, and what each tensor takes in the file."""
    header = read(
        tmp_path,
        gguf_bytes(
            {"heads": [4, 2, 0], "long": list(range(2000)), "tokens": ["a", "b"]},
            (("token_embd.weight", (4, 2)), ("blk.0.attn_k.weight", (3, 5, 7))),
        ),
    )

    assert {"heads": (4, 2, 0)} == header.arrays
    assert {"heads": 3, "long": 2000, "tokens": 2} == header.array_lengths
    assert [("token_embd.weight", (4, 2), 0, 32), ("blk.0.attn_k.weight", (3, 5, 7), 0, 32)] == [
        (tensor.name, tensor.shape, tensor.kind, tensor.size_bytes) for tensor in header.tensors
    ]


@pytest.mark.parametrize("version", [2, 3])
def test_both_current_versions_are_read(tmp_path: Path, version: int) -> None:
    """GGUF 2 and 3 have the same layout."""

    assert version == read(tmp_path, gguf_bytes(version=version)).version


def test_missing_and_mistyped_facts_are_none(tmp_path: Path) -> None:
    """A key that is missing, or holds something of another type, says nothing."""
    header = read(tmp_path, gguf_bytes({"general.architecture": 3, "general.file_type": True}))

    assert (None, None, None) == (header.architecture, header.context_length, header.quantization)


def test_an_unknown_quantization_is_none(tmp_path: Path) -> None:
    """A number that llama.cpp has not given out yet is not guessed at."""

    assert None is read(tmp_path, gguf_bytes({"general.file_type": 9999})).quantization


def header_bytes(*, version: int = 3, tensors: int = 0, keys: int = 0, rest: bytes = b"") -> bytes:
    """The start of a GGUF file, claiming what it likes."""
    return b"GGUF" + struct.pack("<IQQ", version, tensors, keys) + rest


KEY = struct.pack("<Q", 1) + b"k"
HUGE = 2**62
HOSTILE = {
    "empty": b"",
    "other file": b"PK\x03\x04" + bytes(100),
    "old version": header_bytes(version=1),
    "big-endian": header_bytes(version=3 << 24),
    "no counts": b"GGUF\x03\x00\x00\x00",
    "keys missing": header_bytes(keys=1),
    "too many keys": header_bytes(keys=HUGE),
    "too many tensors": header_bytes(tensors=HUGE),
    "huge key": header_bytes(keys=1, rest=struct.pack("<Q", HUGE)),
    "unknown type": header_bytes(keys=1, rest=KEY + struct.pack("<I", 99)),
    "huge string": header_bytes(keys=1, rest=KEY + struct.pack("<IQ", 8, HUGE)),
    "huge array": header_bytes(keys=1, rest=KEY + struct.pack("<IIQ", 9, 4, HUGE)),
    "array of too many strings": header_bytes(keys=1, rest=KEY + struct.pack("<IIQ", 9, 8, HUGE)),
    "array ends early": header_bytes(keys=1, rest=KEY + struct.pack("<IIQQ", 9, 8, 2, 0)),
    "huge string in array": header_bytes(keys=1, rest=KEY + struct.pack("<IIQQ", 9, 8, 1, HUGE)),
    "string in array ends early": header_bytes(
        keys=1, rest=KEY + struct.pack("<IIQQ", 9, 8, 1, 100)
    ),
    "array of unknown type": header_bytes(keys=1, rest=KEY + struct.pack("<IIQ", 9, 77, 1)),
    "deep array": header_bytes(
        keys=1, rest=KEY + struct.pack("<I", 9) + struct.pack("<IQ", 9, 1) * 1000
    ),
    "many dimensions": header_bytes(tensors=1, rest=KEY + struct.pack("<I", HUGE % 2**32 + 9)),
    "offset past the end": header_bytes(
        tensors=1, rest=KEY + struct.pack("<IQIQ", 1, 4, 0, 1 << 40)
    ),
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE)
def test_hostile_headers_are_refused(tmp_path: Path, data: bytes) -> None:
    """What claims too much, ends too early or is no GGUF is refused with the file's name."""
    with pytest.raises(InvalidArtifactError, match=r"x\.gguf"):
        read(tmp_path, data)


def test_a_cut_off_download_is_noticed(tmp_path: Path) -> None:
    """A file whose header is whole but whose last tensor is missing is refused."""
    data = gguf_bytes(tensors=[("a", (8,)), ("b", (8,))])

    with pytest.raises(InvalidArtifactError, match="incomplete"):
        read(tmp_path, data[:-64])


def test_texts_of_a_header_are_bounded(tmp_path: Path) -> None:
    """Many long strings together cannot fill the memory."""
    text = "x" * (15 * 1024 * 1024)

    with pytest.raises(InvalidArtifactError, match="too large"):
        read(tmp_path, gguf_bytes({f"k{number}": text for number in range(5)}))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """A path that leads nowhere, or to a folder, is the caller's error."""
    with pytest.raises(InvalidInputError, match="absent"):
        read_gguf_header(tmp_path / "absent.gguf")
    with pytest.raises(InvalidInputError, match="cannot be read"):
        read_gguf_header(tmp_path)


VALID = gguf_bytes({"general.architecture": "llama", "t": ["a", "bc"], "n": 3, "x": [1, 2]})


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(VALID[:101] + b"\x80" + VALID[102:])
@given(
    st.one_of(
        st.binary(max_size=100),
        st.binary(max_size=100).map(lambda rest: header_bytes(tensors=2, keys=2, rest=rest)),
        st.integers(0, len(VALID)).map(lambda length: VALID[:length]),
        st.tuples(st.integers(0, len(VALID) - 1), st.integers(0, 255)).map(
            lambda change: VALID[: change[0]] + bytes([change[1]]) + VALID[change[0] + 1 :]
        ),
    )
)
def test_any_bytes_are_read_or_refused(tmp_path: Path, data: bytes) -> None:
    """No file makes the reader raise anything but its own error."""
    with contextlib.suppress(InvalidArtifactError):
        read(tmp_path, data)

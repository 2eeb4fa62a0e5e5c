"""Layouts for machines without a network: written, read, and read by other tools."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from programs import need

from stoker.digest import Digest
from stoker.errors import (
    ConflictError,
    IntegrityError,
    InvalidArtifactError,
    InvalidInputError,
    ModelNotFoundError,
    OperationCancelledError,
    StokerError,
)
from stoker.media_types import OCI_MANIFEST
from stoker.reference import Reference
from stoker.store import PackageSource, Progress
from stoker_registry.store import OciStore

from .conftest import MakeStore, ignore

NAME = Reference.parse("reg.example:5000/team/tiny:v1")
OTHER = Reference.parse("ai/other")


@pytest.fixture
def filled(make_store: MakeStore, gguf: Path) -> OciStore:
    """A store with one model under two names."""
    store = make_store("filled")
    store.package(NAME, PackageSource((gguf,)), ignore)
    store.tag(NAME, OTHER)
    return store


def is_empty(store: OciStore) -> bool:
    """Whether nothing at all is in a store, visible or not."""
    folders = (store._layout.leases.directory, store._layout.partials.directory)
    return not (
        list(store.list())
        or list(store._layout.blobs.digests())
        or any(path for folder in folders for path in folder.iterdir())
    )


@pytest.mark.parametrize("target", ["out.tar", "out"])
def test_models_travel(
    filled: OciStore, store: OciStore, tmp_path: Path, gguf: Path, target: str
) -> None:
    """What was exported arrives under its names, with its digest and its bytes."""
    filled.export_layout([NAME, OTHER], tmp_path / target, ignore)

    artifacts = store.import_layout(tmp_path / target, ignore)

    assert {NAME, OTHER} == {artifact.reference for artifact in artifacts}
    assert {filled.resolve(NAME).digest} == {artifact.digest for artifact in artifacts}
    assert gguf.read_bytes() == store.open(store.resolve(NAME)).weights[0].read_bytes()
    assert store.verify(None, ignore, repair=False).is_clean
    assert [] == [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_the_same_models_give_the_same_tar(filled: OciStore, tmp_path: Path) -> None:
    """Nothing of the moment goes in."""
    for name in ("one.tar", "two.tar"):
        filled.export_layout([NAME], tmp_path / name, ignore)

    assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "two.tar").read_bytes()


def test_a_new_name(filled: OciStore, store: OciStore, tmp_path: Path) -> None:
    """The only model of a layout can be given another name; several cannot."""
    filled.export_layout([NAME], tmp_path / "one.tar", ignore)
    filled.export_layout([NAME, OTHER], tmp_path / "two.tar", ignore)

    (artifact,) = store.import_layout(
        tmp_path / "one.tar", ignore, name=Reference.parse("ai/renamed")
    )

    assert "ai/renamed" == artifact.reference.familiar
    assert [artifact] == list(store.list())
    with pytest.raises(InvalidInputError, match="2 models"):
        store.import_layout(tmp_path / "two.tar", ignore, name=OTHER)


def test_what_cannot_be_exported(filled: OciStore, tmp_path: Path) -> None:
    """A missing model, a target that is there, and damage: nothing is written."""
    before = set(tmp_path.iterdir())
    with pytest.raises(ModelNotFoundError):
        filled.export_layout([Reference.parse("ai/missing")], tmp_path / "out", ignore)
    with pytest.raises(ConflictError):
        filled.export_layout([NAME], tmp_path / "filled", ignore)
    path = filled._layout.blobs.path(filled.resolve(NAME).manifest.layers[0].digest)
    path.chmod(0o644)
    path.write_bytes(bytes(path.stat().st_size))
    for target in ("out", "out.tar"):
        with pytest.raises(IntegrityError, match="stoker verify --repair"):
            filled.export_layout([NAME], tmp_path / target, ignore)

    assert before == set(tmp_path.iterdir())


def test_both_can_be_given_up(filled: OciStore, store: OciStore, tmp_path: Path) -> None:
    """Nothing stays of an exchange that was given up."""

    def give_up(_progress: Progress) -> None:
        raise OperationCancelledError("Nobody waits any more.")

    with pytest.raises(OperationCancelledError):
        filled.export_layout([NAME], tmp_path / "out.tar", give_up)
    assert not (tmp_path / "out.tar").exists()
    filled.export_layout([NAME], tmp_path / "out.tar", ignore)
    with pytest.raises(OperationCancelledError):
        store.import_layout(tmp_path / "out.tar", give_up)
    assert [] == list(store.list())


# Hostile layouts ----------------------------------------------------------------------------


class Layout:
    """A layout in memory, to be spoiled before it is written."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}'}
        config = self.add_blob(b'{"config":{"format":"gguf"}}')
        layer = self.add_blob(b"weights")
        self.manifest: dict[str, Any] = {
            "schemaVersion": 2,
            "config": {
                "mediaType": "application/vnd.docker.ai.model.config.v0.1+json",
                **config,
            },
            "layers": [
                {
                    "mediaType": "application/vnd.docker.ai.gguf.v3",
                    **layer,
                    "annotations": {"org.cncf.model.filepath": "m.gguf"},
                }
            ],
        }
        self.index: dict[str, Any] = {"schemaVersion": 2, "manifests": []}
        self.annotations = {"org.opencontainers.image.ref.name": "ai/tiny:v1"}
        self.members: list[tarfile.TarInfo] = []

    def add_blob(self, data: bytes) -> dict[str, Any]:
        """Have a blob; returns the half of a descriptor."""
        digest = Digest.of(data)
        self.files[f"blobs/sha256/{digest.encoded}"] = data
        return {"digest": str(digest), "size": len(data)}

    def blob(self, descriptor: dict[str, Any]) -> str:
        """The name of a blob's file."""
        return "blobs/" + descriptor["digest"].replace(":", "/")

    def finish(self) -> None:
        """Add the manifest and the index."""
        entry = self.add_blob(json.dumps(self.manifest).encode())
        entry |= {"mediaType": str(OCI_MANIFEST), "annotations": self.annotations}
        if not self.index["manifests"]:
            self.index["manifests"].append(entry)
        self.files.setdefault("index.json", json.dumps(self.index).encode())

    def write_tar(self, path: Path) -> Path:
        """Write it as a tar."""
        with tarfile.open(path, "w") as archive:
            for name, data in self.files.items():
                member = tarfile.TarInfo(name)
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
            for member in self.members:
                archive.addfile(member, io.BytesIO(bytes(member.size)))
        return path

    def write_folder(self, path: Path) -> Path:
        """Write it as a folder."""
        for name, data in self.files.items():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_bytes(data)
        return path


def wrong_weights(layout: Layout) -> None:
    """A blob has other bytes than its digest says."""
    layout.files[layout.blob(layout.manifest["layers"][0])] = b"WEIGHTS"


def endless_weights(layout: Layout) -> None:
    """A blob is longer than its descriptor says."""
    layout.files[layout.blob(layout.manifest["layers"][0])] = b"weights" * 1000


def short_weights(layout: Layout) -> None:
    """A blob is shorter than its descriptor says."""
    layout.files[layout.blob(layout.manifest["layers"][0])] = b"wei"


def lost_weights(layout: Layout) -> None:
    """A blob is not there."""
    del layout.files[layout.blob(layout.manifest["layers"][0])]


def wrong_config(layout: Layout) -> None:
    """The config has other bytes."""
    layout.files[layout.blob(layout.manifest["config"])] = b'{"config":{"format":"GGUF"}}'


def traversing_digest(layout: Layout) -> None:
    """A digest is a path."""
    layout.manifest["layers"][0]["digest"] = "sha256:../../../../etc/passwd"


def traversing_path(layout: Layout) -> None:
    """A layer wants to be outside of its bundle."""
    layout.manifest["layers"][0]["annotations"]["org.cncf.model.filepath"] = "../../evil"


def gigantic_manifest(layout: Layout) -> None:
    """A manifest is larger than any registry takes."""
    layout.manifest["annotations"] = {"a": "x" * 5 * 1024 * 1024}


def gigantic_index(layout: Layout) -> None:
    """The index is as large."""
    layout.files["index.json"] = b"[" * 5 * 1024 * 1024


def gigantic_config(layout: Layout) -> None:
    """The config would fill the memory."""
    layout.manifest["config"] |= layout.add_blob(b" " * 20 * 1024 * 1024)


def an_index_in_the_index(layout: Layout) -> None:
    """A model is a choice of several."""
    layout.manifest = {"schemaVersion": 2, "manifests": []}


def no_mark(layout: Layout) -> None:
    """It is no layout."""
    del layout.files["oci-layout"]


def other_version(layout: Layout) -> None:
    """It is a layout of another kind."""
    layout.files["oci-layout"] = b'{"imageLayoutVersion":"2.0.0"}'


def no_models(layout: Layout) -> None:
    """It holds nothing."""
    layout.files["index.json"] = b'{"schemaVersion":2}'


def tag_only(layout: Layout) -> None:
    """Its model has no name."""
    layout.annotations["org.opencontainers.image.ref.name"] = "v1"


def pinned_to_another(layout: Layout) -> None:
    """Its model claims the digest of another one."""
    layout.annotations["org.opencontainers.image.ref.name"] = f"ai/tiny@{Digest.of(b'x')}"


SPOILS = [
    wrong_weights,
    endless_weights,
    short_weights,
    lost_weights,
    wrong_config,
    traversing_digest,
    traversing_path,
    gigantic_manifest,
    gigantic_index,
    gigantic_config,
    an_index_in_the_index,
    no_mark,
    other_version,
    no_models,
    tag_only,
    pinned_to_another,
]


@pytest.mark.parametrize("spoil", SPOILS)
@pytest.mark.parametrize("form", ["tar", "folder"])
def test_bad_layouts_are_refused(
    store: OciStore, tmp_path: Path, spoil: Callable[[Layout], None], form: str
) -> None:
    """Whatever is wrong is said, and neither a name nor a wrong blob appears."""
    layout = Layout()
    spoil(layout)
    layout.finish()
    write = layout.write_tar if form == "tar" else layout.write_folder
    source = write(tmp_path / "hostile")

    with pytest.raises((InvalidInputError, InvalidArtifactError)):
        store.import_layout(source, ignore)

    assert [] == list(store.list())
    assert () == store.verify(None, ignore, repair=False).damages
    store.prune(min_age_s=0, dry_run=False)
    assert is_empty(store)
    assert {"hostile", "store"} == {path.name for path in tmp_path.iterdir()} - {"tiny.gguf"}


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE]
)
def test_links_and_devices_in_a_tar_are_refused(
    store: OciStore, tmp_path: Path, kind: bytes
) -> None:
    """Only plain files are in a layout."""
    layout = Layout()
    layout.finish()
    member = tarfile.TarInfo("blobs/sha256/link")
    member.type, member.linkname = kind, "/etc/passwd"
    layout.members.append(member)

    with pytest.raises(InvalidArtifactError, match="link, a device"):
        store.import_layout(layout.write_tar(tmp_path / "hostile.tar"), ignore)

    assert is_empty(store)


def test_a_file_that_is_there_twice_is_refused(store: OciStore, tmp_path: Path) -> None:
    """Two readers could take one each."""
    layout = Layout()
    layout.finish()
    layout.members.append(tarfile.TarInfo("./index.json"))

    with pytest.raises(InvalidArtifactError, match="twice"):
        store.import_layout(layout.write_tar(tmp_path / "hostile.tar"), ignore)


def test_gigantic_notes_in_a_tar_are_refused(store: OciStore, tmp_path: Path) -> None:
    """A long name is not read into memory."""
    member = tarfile.TarInfo("x" * 2_000_000)
    with tarfile.open(tmp_path / "hostile.tar", "w", format=tarfile.GNU_FORMAT) as archive:
        archive.addfile(member)

    with pytest.raises(InvalidArtifactError, match="many megabytes"):
        store.import_layout(tmp_path / "hostile.tar", ignore)


def test_a_pipe_in_a_folder_is_not_waited_for(store: OciStore, tmp_path: Path) -> None:
    """What is no plain file is refused at once."""
    layout = Layout()
    layout.finish()
    folder = layout.write_folder(tmp_path / "hostile")
    blob = folder / layout.blob(layout.manifest["layers"][0])
    blob.unlink()
    os.mkfifo(blob)

    with pytest.raises(InvalidArtifactError, match="no plain file"):
        store.import_layout(folder, ignore)


@pytest.mark.parametrize("data", [b"", b"no tar", b"\x1f\x8b\x08" + bytes(600), bytes(10240)])
def test_files_that_are_no_layout(store: OciStore, tmp_path: Path, data: bytes) -> None:
    """One sentence says so."""
    (tmp_path / "file").write_bytes(data)

    with pytest.raises(StokerError, match="image layout"):
        store.import_layout(tmp_path / "file", ignore)
    with pytest.raises(InvalidInputError, match="cannot be read"):
        store.import_layout(tmp_path / "missing", ignore)


# Other tools --------------------------------------------------------------------------------


def skopeo(*arguments: str) -> bytes:
    """Run skopeo; returns what it printed."""
    command = [need("skopeo"), "--insecure-policy", *arguments]
    done = subprocess.run(command, capture_output=True, timeout=60, check=False)
    assert 0 == done.returncode, done.stderr.decode()
    return done.stdout


@pytest.mark.registry
def test_skopeo_reads_what_was_exported(filled: OciStore, tmp_path: Path) -> None:
    """Both forms, by the whole name."""
    digest = filled.resolve(NAME).digest
    filled.export_layout([NAME, OTHER], tmp_path / "out", ignore)
    filled.export_layout([NAME, OTHER], tmp_path / "out.tar", ignore)

    for source in (f"oci:{tmp_path}/out:{NAME}", f"oci-archive:{tmp_path}/out.tar:{OTHER}"):
        assert digest == Digest.of(skopeo("inspect", "--raw", source))
    skopeo("copy", f"oci:{tmp_path}/out:{NAME}", f"dir:{tmp_path}/copy")


@pytest.mark.registry
@pytest.mark.parametrize("kind", ["oci", "oci-archive"])
def test_what_skopeo_wrote_is_imported(
    filled: OciStore, store: OciStore, tmp_path: Path, kind: str
) -> None:
    """A layout that another tool wrote, with a tag for a name, needs one."""
    source = f"oci:{filled._layout.directory}:{NAME}"
    skopeo("copy", source, f"{kind}:{tmp_path}/theirs:v1")

    with pytest.raises(InvalidInputError, match="--as NAME"):
        store.import_layout(tmp_path / "theirs", ignore)
    (artifact,) = store.import_layout(tmp_path / "theirs", ignore, name=NAME)

    assert filled.resolve(NAME).digest == artifact.digest


def test_memory_does_not_grow_with_the_model(tmp_path: Path) -> None:
    """A model of 192 MiB goes out and comes in within a fraction of that."""
    program = """
import resource, sys
from pathlib import Path
from stoker.formats import FormatTable
from stoker.media_types import MediaType
from stoker.reference import Reference
from stoker.store import PackageSource, StoreContext
from stoker_registry.formats import FORMAT_RULES
from stoker_registry.options import OciOptions
from stoker_registry.store import OciStore

home = Path(sys.argv[1])
weights = home / "weights.bin"
with weights.open("wb") as file:
    file.truncate(192 * 1024**2)
one, two = (
    OciStore(StoreContext(home / name, OciOptions(), FormatTable.of(FORMAT_RULES)))
    for name in ("one", "two")
)
quiet = lambda progress: None
name = Reference.parse("ai/large")
one.package(name, PackageSource((weights,), media_type=MediaType("application/x.test")), quiet)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
one.export_layout([name], home / "out.tar", quiet)
two.import_layout(home / "out.tar", quiet)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert "" == done.stderr
    assert int(done.stdout) < 16

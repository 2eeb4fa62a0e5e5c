"""The bundle view: a model's layers under their real names, for engines.

A bundle costs no space: its files are hard links to the blobs. Where the file system has no hard
links they are symbolic links, and where it has neither, copies. Only what is packed in a tar has to
be written out.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from types import MappingProxyType

import attrs
import msgspec

from stoker.digest import Digest
from stoker.errors import InvalidArtifactError, InvalidDigestError
from stoker.file_lock import FileLock
from stoker.manifest import Descriptor
from stoker.wire.malformed import MALFORMED
from stoker_registry.blobs import BlobDirectory
from stoker_registry.disk import write_atomically
from stoker_registry.layer_paths import refuse_clashes
from stoker_registry.packing import Packing, UnpackedFile

Link = Callable[[Path, Path], None]

Unpacked = Mapping[str, tuple[UnpackedFile, ...]]
"""The files of packed blobs, by the blob's digest."""

_CONTENTS = ".contents.json"
"""Ends the name of the file that lists them, beside the bundle."""

_STALE_S = 24 * 3600.0
"""Past this age an unfinished bundle is one whose maker died; its links would keep blobs alive."""


def _copy(source: Path, target: Path) -> None:
    shutil.copyfile(source, target)
    target.chmod(0o444)


def _symlink(source: Path, target: Path) -> None:
    target.symlink_to(source.absolute())


LINKS: tuple[Link, ...] = (os.link, _symlink, _copy)
"""Ways to give a blob another name, best first."""

FOREIGN_LINKS: tuple[Link, ...] = (_symlink, _copy)
"""Those for blobs of others: a hard link would change their file's count of links, and keep its
space from them when they delete it."""


@attrs.frozen
class Bundle:
    """A bundle on disk."""

    folder: Path
    unpacked: Unpacked


@attrs.frozen
class RemovedBundle:
    """A bundle that was deleted, or would be."""

    name: str
    freed_bytes: int
    """Those of copies, not those of links."""


@attrs.frozen
class BundleDirectory:
    """All bundles of a store, by the digest of their manifest."""

    directory: Path
    blobs: BlobDirectory
    lock: FileLock
    links: tuple[Link, ...] = LINKS

    def path(self, digest: Digest) -> Path:
        """Where a model's bundle is, or would be."""
        return self.directory / f"{digest.algorithm}-{digest.encoded}"

    def lay_out(
        self,
        digest: Digest,
        files: Mapping[PurePosixPath, Descriptor],
        packed: Mapping[Descriptor, Packing] = MappingProxyType({}),
    ) -> Bundle:
        """Make a bundle, or repair it; a whole one is a no-op.

        Args:
            digest: The manifest's digest.
            files: The blobs by their checked paths.
            packed: The blobs whose files belong into the bundle in their place.

        Returns:
            The bundle's folder, and what came out of the packed blobs.

        Raises:
            InvalidArtifactError: A blob is missing, or cannot be unpacked.
            UnavailableError: The disk has no room.
            InUseError: Another process keeps the store locked.
        """
        target = self.path(digest)
        known = self._read_contents(digest) if packed else {}
        if known is not None and _is_whole(target, files, known):
            return Bundle(target, known)
        unpacked: dict[str, tuple[UnpackedFile, ...]] = {}
        # Made aside and renamed, so that nobody ever opens half a bundle.
        if packed:
            from stoker_registry.unpacking import unpack  # noqa: PLC0415 - packed layers are rare
        aside = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=self.directory))
        try:
            aside.chmod(0o755)
            for path, descriptor in files.items():
                self._link(descriptor, aside / path)
            for descriptor, packing in packed.items():
                name = descriptor.file_path or descriptor.digest.short
                blob = self._blob(descriptor)
                unpacked[str(descriptor.digest)] = unpack(blob, packing, aside, name=name)
            everything = [item.path for items in unpacked.values() for item in items]
            refuse_clashes([*files, *everything])
            with self.lock.hold():
                if packed:
                    self._write_contents(digest, unpacked)
                # Somebody else may have been faster; theirs is as good, and may be in use.
                if not _is_whole(target, files, unpacked):
                    if target.exists():
                        target.replace(aside / ".damaged")
                    aside.rename(target)
            shutil.rmtree(target / ".damaged", ignore_errors=True)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
        return Bundle(target, unpacked)

    def _contents_path(self, digest: Digest) -> Path:
        return self.directory / f"{digest.algorithm}-{digest.encoded}{_CONTENTS}"

    def _read_contents(self, digest: Digest) -> Unpacked | None:
        """What came out of the packed blobs before; None when nobody wrote it down."""
        try:
            data = self._contents_path(digest).read_bytes()
            listed = msgspec.json.decode(data, type=dict[str, list[tuple[str, int]]])
        except (OSError, *MALFORMED):
            return None
        return {
            blob: tuple(UnpackedFile(PurePosixPath(path), size) for path, size in items)
            for blob, items in listed.items()
        }

    def _write_contents(self, digest: Digest, unpacked: Unpacked) -> None:
        listed = {
            blob: [(str(item.path), item.size_bytes) for item in items]
            for blob, items in unpacked.items()
        }
        write_atomically(self._contents_path(digest), msgspec.json.encode(listed))

    def _blob(self, descriptor: Descriptor) -> Path:
        if not self.blobs.has(descriptor):
            raise InvalidArtifactError(
                f"The store has lost blob {descriptor.digest}; pull the model again."
            )
        return self.blobs.path(descriptor.digest)

    def _link(self, descriptor: Descriptor, target: Path) -> None:
        source = self._blob(descriptor)
        target.parent.mkdir(parents=True, exist_ok=True)
        for link in self.links[:-1]:
            with contextlib.suppress(OSError, NotImplementedError):
                link(source, target)
                return
        self.links[-1](source, target)

    def remove(self, digest: Digest) -> None:
        """Delete a model's bundle; none is a no-op. The next `lay_out` makes it anew."""
        self._contents_path(digest).unlink(missing_ok=True)
        shutil.rmtree(self.path(digest), ignore_errors=True)

    def clear(
        self, keep: frozenset[Digest], *, min_age_s: float = 0.0, dry_run: bool = False
    ) -> Iterator[RemovedBundle]:
        """Delete the bundles of all manifests but these. Call it under the lock.

        Yields:
            What was deleted, or would be.
        """
        now_s = time.time()
        for folder in sorted(self.directory.iterdir()):
            age_s = now_s - folder.stat().st_mtime
            if folder.name.startswith("."):
                # Somebody may be making it, or has died over it.
                is_wanted = age_s <= max(min_age_s, _STALE_S)
            else:
                is_wanted = self._is_wanted(folder, keep) or age_s < min_age_s
            if is_wanted:
                continue
            files = [folder] if folder.is_file() else list(folder.rglob("*"))
            removed = RemovedBundle(folder.name, sum(map(_own_bytes, files)))
            if not dry_run and folder.is_file():
                folder.unlink()
            elif not dry_run:
                shutil.rmtree(folder)
            if folder.name.endswith(_CONTENTS):
                continue
            yield removed

    @staticmethod
    def _is_wanted(folder: Path, keep: frozenset[Digest]) -> bool:
        algorithm, _, encoded = folder.name.removesuffix(_CONTENTS).partition("-")
        try:
            return Digest(algorithm, encoded) in keep
        except InvalidDigestError:
            # Not ours to judge.
            return True


def _is_whole(folder: Path, files: Mapping[PurePosixPath, Descriptor], unpacked: Unpacked) -> bool:
    sizes = {path: descriptor.size_bytes for path, descriptor in files.items()}
    sizes |= {item.path: item.size_bytes for items in unpacked.values() for item in items}
    try:
        return all((folder / path).stat().st_size == size for path, size in sizes.items())
    except OSError:
        return False


def _own_bytes(file: Path) -> int:
    state = file.lstat()
    is_copy = not file.is_symlink() and file.is_file() and state.st_nlink == 1
    return state.st_size if is_copy else 0

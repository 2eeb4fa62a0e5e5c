"""The bundle view: a model's layers under their real names, for engines.

A bundle costs no space: its files are hard links to the blobs. Where the file system has no hard
links they are symbolic links, and where it has neither, copies.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath

import attrs

from stoker.digest import Digest
from stoker.errors import InvalidArtifactError, InvalidDigestError
from stoker.manifest import Descriptor
from stoker_registry.blobs import BlobDirectory
from stoker_registry.lock import FileLock

Link = Callable[[Path, Path], None]

_STALE_S = 24 * 3600.0
"""Past this age an unfinished bundle is one whose maker died; its links would keep blobs alive."""


def _copy(source: Path, target: Path) -> None:
    shutil.copyfile(source, target)
    target.chmod(0o444)


def _symlink(source: Path, target: Path) -> None:
    target.symlink_to(source.absolute())


LINKS: tuple[Link, ...] = (os.link, _symlink, _copy)
"""Ways to give a blob another name, best first."""


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

    def lay_out(self, digest: Digest, files: Mapping[PurePosixPath, Descriptor]) -> Path:
        """Make a bundle, or repair it; a whole one is a no-op.

        Args:
            digest: The manifest's digest.
            files: The blobs by their checked paths.

        Returns:
            The bundle's folder.

        Raises:
            InvalidArtifactError: A blob is missing.
            InUseError: Another process keeps the store locked.
        """
        target = self.path(digest)
        if _is_whole(target, files):
            return target
        # Made aside and renamed, so that nobody ever opens half a bundle.
        aside = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=self.directory))
        try:
            aside.chmod(0o755)
            for path, descriptor in files.items():
                self._link(descriptor, aside / path)
            with self.lock.hold():
                # Somebody else may have been faster; theirs is as good, and may be in use.
                if not _is_whole(target, files):
                    if target.exists():
                        target.replace(aside / ".damaged")
                    aside.rename(target)
            shutil.rmtree(target / ".damaged", ignore_errors=True)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
        return target

    def _link(self, descriptor: Descriptor, target: Path) -> None:
        source = self.blobs.path(descriptor.digest)
        if not self.blobs.has(descriptor):
            raise InvalidArtifactError(
                f"The store has lost blob {descriptor.digest}; pull the model again."
            )
        target.parent.mkdir(parents=True, exist_ok=True)
        for link in self.links[:-1]:
            with contextlib.suppress(OSError, NotImplementedError):
                link(source, target)
                return
        self.links[-1](source, target)

    def remove_all_but(self, keep: frozenset[Digest]) -> int:
        """Delete the bundles of all other manifests.

        Returns:
            The bytes that this freed: those of copies, not those of links.
        """
        freed_bytes = 0
        for folder in sorted(self.directory.iterdir()):
            if folder.name.startswith(".") and time.time() - folder.stat().st_mtime > _STALE_S:
                shutil.rmtree(folder)
                continue
            algorithm, _, encoded = folder.name.partition("-")
            try:
                digest = Digest(algorithm, encoded)
            except InvalidDigestError:
                continue
            if digest not in keep:
                freed_bytes += sum(_own_bytes(file) for file in folder.rglob("*"))
                shutil.rmtree(folder)
        return freed_bytes


def _is_whole(folder: Path, files: Mapping[PurePosixPath, Descriptor]) -> bool:
    try:
        return all(
            (folder / path).stat().st_size == descriptor.size_bytes
            for path, descriptor in files.items()
        )
    except OSError:
        return False


def _own_bytes(file: Path) -> int:
    state = file.lstat()
    is_copy = not file.is_symlink() and file.is_file() and state.st_nlink == 1
    return state.st_size if is_copy else 0

"""The inbox: blobs that clients sent by themselves, before the model that is made of them.

They lie apart from the blobs of models, for there a blob that no manifest names is deleted at the
next removal.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

import attrs

from stoker.digest import Digest
from stoker.errors import InvalidArtifactError, InvalidInputError, NotFoundError
from stoker.store import PackageSource
from stoker_registry.blobs import BlobDirectory, PartialBlob
from stoker_registry.disk import sync_directory
from stoker_registry.layer_paths import check_path, refuse_clashes
from stoker_registry.packaging import PackagePlan, plan_package

_SCRATCH = ".making."


@attrs.frozen
class LaidOutBlobs:
    """Blobs as files of a folder."""

    folder: Path
    _digests: Mapping[Path, Digest]

    def digest(self, path: Path) -> Digest | None:
        """Which blob a file is; None when it is none."""
        return self._digests.get(path)

    def plan(self) -> PackagePlan:
        """Plan the model that the folder is.

        Raises:
            InvalidInputError: It is none.
            InvalidArtifactError: A file is not what it should be.
        """
        try:
            return plan_package(PackageSource(directory=self.folder))
        except (InvalidInputError, InvalidArtifactError) as exc:
            # The folder is ours, and nobody knows it.
            message = str(exc).replace(str(self.folder), "What was sent")
            raise type(exc)(message) from exc


@attrs.frozen
class Inbox:
    """The folder of the blobs that wait, and the way to those of models."""

    directory: Path
    blobs: BlobDirectory
    """Of the models."""

    @property
    def _waiting(self) -> BlobDirectory:
        return BlobDirectory(self.directory)

    def find(self, digest: Digest) -> Path:
        """Where a blob is, in a model or waiting.

        Raises:
            NotFoundError: It is not here.
        """
        for place in (self.blobs, self._waiting):
            path = place.path(digest)
            if path.is_file():
                return path
        raise NotFoundError(f"There is no blob {digest} here: send it first.")

    def take(self, partial: PartialBlob, digest: Digest) -> None:
        """Keep a blob that has come.

        Raises:
            IntegrityError: It is not the one that was announced.
        """
        partial.check_digest(digest)
        partial.publish(self._waiting)

    @contextlib.contextmanager
    def laid_out(
        self, files: Mapping[PurePosixPath, Digest], licenses: Sequence[str]
    ) -> Iterator[LaidOutBlobs]:
        """Put blobs into a folder while the block runs, under the paths that they are to have.

        Raises:
            NotFoundError: A blob is not here.
            InvalidArtifactError: A path leaves the folder, or two clash.
        """
        names = [f"LICENSE-{number}" for number in range(1, len(licenses) + 1)]
        checked = {check_path(str(path)): digest for path, digest in files.items()}
        refuse_clashes([*map(PurePosixPath, names), *map(check_path, map(str, files))])
        with tempfile.TemporaryDirectory(prefix=_SCRATCH, dir=self.directory) as name:
            folder = Path(name).resolve()
            digests = {}
            for relative, digest in checked.items():
                path = folder / relative
                path.parent.mkdir(parents=True, exist_ok=True)
                _link(self.find(digest), path)
                digests[path] = digest
            for license_name, text in zip(names, licenses, strict=True):
                (folder / license_name).write_text(text, encoding="utf-8")
            yield LaidOutBlobs(folder, digests)

    def publish(self, digest: Digest) -> int:
        """Put a blob among those of models, where a lease protects it.

        Returns:
            Its size in bytes.

        Raises:
            NotFoundError: It is not here.
        """
        source, target = self.find(digest), self.blobs.path(digest)
        if source != target:
            target.parent.mkdir(exist_ok=True)
            with contextlib.suppress(FileExistsError):
                _link(source, target)
            sync_directory(target.parent)
        return target.stat().st_size

    def forget(self, digests: Iterable[Digest]) -> None:
        """Drop blobs that a model has now."""
        for digest in digests:
            self._waiting.path(digest).unlink(missing_ok=True)

    def clear(self, *, min_age_s: float, dry_run: bool) -> Iterator[int]:
        """Delete what has waited too long; gives the sizes in bytes."""
        oldest_s = time.time() - min_age_s
        for digest in tuple(self._waiting.digests()):
            path = self._waiting.path(digest)
            with contextlib.suppress(FileNotFoundError):
                status = path.stat()
                if status.st_mtime <= oldest_s:
                    if not dry_run:
                        path.unlink()
                    yield status.st_size
        for folder in self.directory.glob(f"{_SCRATCH}*"):
            with contextlib.suppress(FileNotFoundError):
                if folder.stat().st_mtime <= oldest_s:
                    if not dry_run:
                        shutil.rmtree(folder, ignore_errors=True)
                    # Links take no room of their own.
                    yield 0


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except FileExistsError:
        raise
    except OSError:
        # Some file systems have no links, and some allow only so many of one file. Nobody shall
        # see half of a copy under a blob's name.
        with tempfile.NamedTemporaryFile(dir=target.parent, delete=False) as copy:
            aside = Path(copy.name)
        try:
            shutil.copyfile(source, aside)
            aside.chmod(0o444)
            aside.replace(target)
        finally:
            aside.unlink(missing_ok=True)

"""Exchange: what a store offers besides for machines that no network joins."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from pathlib import Path

from stoker.artifact import Artifact
from stoker.reference import Reference
from stoker.store import ReportProgress


class LayoutExchange(abc.ABC):
    """A store that writes and reads OCI image layouts. Blocking code, called by any thread.

    https://github.com/opencontainers/image-spec/blob/v1.1.0/image-layout.md
    """

    @abc.abstractmethod
    def export_layout(
        self, references: Sequence[Reference], target: Path, progress: ReportProgress
    ) -> None:
        """Write models that are here into a layout; blobs that several need are in it once.

        Nothing stands under the target's name before it is whole.

        Args:
            references: The models.
            target: A name that ends in `.tar` for a tar of a layout, any other for a folder.
            progress: To be told of every step.

        Raises:
            ModelNotFoundError: One is not here.
            ConflictError: The target is there already.
            IntegrityError: A model is damaged.
            UnavailableError: The disk is full, or not writable.
        """

    @abc.abstractmethod
    def import_layout(
        self, source: Path, progress: ReportProgress, *, name: Reference | None = None
    ) -> Sequence[Artifact]:
        """Take the models of a layout, under the names that they have in it.

        Nothing becomes visible under its name or digest before it was checked.

        Args:
            source: The folder, or the tar, which is not compressed.
            progress: To be told of every step.
            name: The name of the only model in it, instead of its own.

        Raises:
            InvalidInputError: There is no such file, or a name is missing.
            InvalidArtifactError: It is no layout, is malformed or hostile.
            IntegrityError: A blob is not what its digest says; nothing of it is kept.
            UnavailableError: The disk is full, or not writable.
        """

"""Blob keepers: what a store offers besides when models can be made of blobs sent one by one."""

from __future__ import annotations

import abc
import contextlib
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Protocol

from stoker.artifact import Artifact
from stoker.digest import Digest
from stoker.reference import Reference
from stoker.store import ReportProgress


class BlobWriter(Protocol):
    """Takes the bytes of one blob, in order. Used by one thread at a time."""

    def write(self, chunk: bytes, /) -> None:
        """Append bytes."""


class BlobKeeper(abc.ABC):
    """A store that keeps blobs for models to come. Blocking code, called by any thread.

    A blob that was sent waits, for a while, until a model is made of it; tidying deletes one that
    has waited too long.
    """

    @abc.abstractmethod
    def blob_size(self, digest: Digest) -> int:
        """How large a blob is that is here, in a model or waiting.

        Raises:
            NotFoundError: It is not here.
        """

    @abc.abstractmethod
    def keep_blob(self, digest: Digest) -> contextlib.AbstractContextManager[BlobWriter]:
        """Take a blob: the block writes its bytes, and at its end they are checked and kept.

        Nothing is kept when the block raises. It may begin, go on and end in different threads.

        Raises:
            IntegrityError: At the end: the bytes do not hash to the digest.
            UnavailableError: The disk is full, or not writable.
        """

    @abc.abstractmethod
    def make_model(
        self,
        reference: Reference,
        files: Mapping[PurePosixPath, Digest],
        licenses: Sequence[str],
        progress: ReportProgress,
    ) -> Artifact:
        """Make a model of blobs that are here, under a name. The same ones give the same digest.

        Args:
            reference: The name; one that exists moves.
            files: The blobs, by the paths that the files have in the model.
            licenses: Texts of licences that come with it.
            progress: To be told of every step.

        Raises:
            NotFoundError: A blob is not here.
            InvalidInputError: The files are no model, or the name is pinned to a digest.
        """

"""Intake: what a store offers besides when others may push into it (see the distribution API)."""

from __future__ import annotations

import abc

from stoker.digest import Digest
from stoker.media_types import MediaType


class ContentSink(abc.ABC):
    """Takes blobs in pieces, checks them, and gives models that are whole their names.

    Blocking code, called in worker threads, for several uploads at once; one upload is written by
    one caller at a time. An upload lives as long as the process at most. Repositories are named as
    for `ContentSource`.

    https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md#push
    """

    @abc.abstractmethod
    def start_upload(self, repository: str) -> str:
        """Begin to take a blob.

        Returns:
            The upload's id: letters and digits that nobody can guess.

        Raises:
            InvalidReferenceError: The repository's name follows no grammar.
            OverloadedError: There are too many uploads under way.
        """

    @abc.abstractmethod
    def uploaded_bytes(self, repository: str, upload: str) -> int:
        """How many bytes of an upload have come.

        Raises:
            NotFoundError: There is no such upload (any more).
        """

    @abc.abstractmethod
    def write_upload(self, repository: str, upload: str, data: bytes, *, offset: int) -> int:
        """Take the next bytes of an upload.

        Args:
            repository: Where it was begun.
            upload: The upload's id.
            data: The bytes.
            offset: Where they belong: at the end of those that have come.

        Returns:
            How many bytes have come now.

        Raises:
            NotFoundError: There is no such upload.
            ConflictError: The bytes do not follow: somebody else writes to the upload.
            UnavailableError: The disk is full.
        """

    @abc.abstractmethod
    def finish_upload(self, repository: str, upload: str, digest: Digest) -> None:
        """End an upload: the blob is here afterwards, or nothing of it is.

        Raises:
            NotFoundError: There is no such upload.
            IntegrityError: The bytes that came are others.
        """

    @abc.abstractmethod
    def cancel_upload(self, repository: str, upload: str) -> None:
        """Forget an upload.

        Raises:
            NotFoundError: There is no such upload.
        """

    @abc.abstractmethod
    def mount(self, repository: str, digest: Digest, source: str) -> bool:
        """Use a blob of another repository in this one; False when that has none such."""

    @abc.abstractmethod
    def put_manifest(
        self, repository: str, reference: str, media_type: MediaType, data: bytes
    ) -> Digest:
        """Name a model whose blobs have come.

        Args:
            repository: Where.
            reference: A tag, or the manifest's digest.
            media_type: What the sender calls the manifest.
            data: The manifest, byte for byte.

        Returns:
            The manifest's digest.

        Raises:
            InvalidReferenceError: The name follows no grammar.
            InvalidArtifactError: The manifest is malformed, or could not be laid out as files.
            IntegrityError: It is not what the digest says.
            NotFoundError: A blob is not here.
        """

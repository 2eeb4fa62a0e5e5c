"""The client of one repository in a registry: the OCI distribution API, over `requests`.

Not over the `oras` SDK: its transfers are checked against neither size nor digest, it shares a
token among registries and renews none, knows no timeouts, and costs a quarter of the start of a
pull for the schemas that it brings.

https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable
from typing import TypeVar

import requests

from stoker.digest import Digest
from stoker.errors import (
    AccessDeniedError,
    IntegrityError,
    InvalidArtifactError,
    InvalidDigestError,
    ModelNotFoundError,
    TransferError,
)
from stoker.manifest import Descriptor
from stoker.reference import Reference
from stoker.store import StoredManifest
from stoker.wire.manifest import INDEX_TYPES, MANIFEST_TYPES, MAX_MANIFEST_BYTES, media_type_of
from stoker_registry.backoff import Backoff, Heartbeat, no_heartbeat
from stoker_registry.blob_stream import BlobStream
from stoker_registry.credentials import CredentialSource, find_credentials
from stoker_registry.gate import RegistryGate
from stoker_registry.options import OciOptions
from stoker_registry.pace import Pace
from stoker_registry.repository_urls import RepositoryUrls
from stoker_registry.transfer_errors import foreign_errors
from stoker_registry.upload_session import UploadSession, with_query

_ACCEPT = ", ".join((*MANIFEST_TYPES, *INDEX_TYPES))
_T = TypeVar("_T")


class RepositoryClient:
    """Speaks with one registry about one repository.

    Any number of threads may use it: what changes is in the gate.
    """

    def __init__(
        self,
        reference: Reference,
        options: OciOptions,
        *,
        backoff: Backoff | None = None,
        heartbeat: Heartbeat = no_heartbeat,
        find: Callable[[str], CredentialSource] = find_credentials,
    ) -> None:
        """Make a client; nothing is sent yet.

        Args:
            reference: Names the registry and the repository.
            options: Timeouts, authorities, and who may be spoken to in plain http.
            backoff: How failed transfers are tried again.
            heartbeat: Called while the client waits to try again; raises to give up.
            find: Looks up the login, should the registry want one.

        Raises:
            ConfigError: A file of authorities is not there.
        """
        self._gate = RegistryGate(reference.registry, options, find)
        self._registry = self._gate.address.name
        self._reference = reference
        self._backoff = backoff or Backoff()
        self._heartbeat = heartbeat
        self._urls = RepositoryUrls(self._gate.address.origin, reference.repository)

    def close(self) -> None:
        """Close all connections."""
        self._gate.close()

    def check_login(self) -> bool:
        """Ask for nothing but whether we may ask.

        Returns:
            Whether the registry wanted to know who we are.

        Raises:
            TransferError: There is no registry.
            AccessDeniedError: The registry refused.
        """
        response = self._gate.request(self._urls.base)
        self._gate.expect(response, {200}, "the distribution API")
        response.close()
        return self._gate.authorization.header is not None

    def fetch_manifest(self, target: Digest | str) -> StoredManifest:
        """Fetch the manifest or index of a digest or tag.

        Raises:
            ModelNotFoundError: There is none.
            IntegrityError: Its bytes are not those that were asked for.
            InvalidArtifactError: It is too large or malformed.
            TransferError: The transfer failed.
            AccessDeniedError: The registry refused.
        """
        return self._retry(lambda: self._fetch_manifest(target))

    def fetch_bytes(self, descriptor: Descriptor, *, limit_bytes: int) -> bytes:
        """Fetch a small blob into memory, checked.

        Raises:
            InvalidArtifactError: It is larger than the limit.
            IntegrityError: It is not what the descriptor says.
            TransferError: The transfer failed.
            AccessDeniedError: The registry refused.
        """
        if descriptor.size_bytes > limit_bytes:
            raise InvalidArtifactError(
                f"Blob {descriptor.digest} should be small, but has {descriptor.size_bytes} bytes."
            )

        def attempt() -> bytes:
            with self.open_blob(descriptor, 0, descriptor.size_bytes) as stream:
                data = b"".join(iter(stream.read, b""))
            if hashlib.new(descriptor.digest.algorithm, data).hexdigest() != (
                descriptor.digest.encoded
            ):
                raise IntegrityError(
                    f"The bytes that {self._registry} sent for blob {descriptor.digest} are others."
                )
            return data

        return self._retry(attempt)

    def open_blob(self, descriptor: Descriptor, start: int, end: int) -> BlobStream:
        """Ask for a range of a blob, once. Any number of threads may do so at a time.

        Args:
            descriptor: The blob.
            start: Where the range begins.
            end: Where it ends; the byte there is not part of it.

        Raises:
            IntegrityError: The registry has another size than the descriptor, or sends another
                range.
            TransferError: The transfer failed.
            AccessDeniedError: The registry refused.
        """
        # Some registries know no open-ended ranges, so the end is always named.
        asked = {"Range": f"bytes={start}-{end - 1}"} if end - start < descriptor.size_bytes else {}
        url = self._urls.blob(descriptor.digest)
        response = self._gate.request(url, headers=asked)
        if asked and response.status_code == requests.codes.requested_range_not_satisfiable:
            # The whole blob, or the size that the registry has it in.
            response.close()
            response = self._gate.request(url)
        if response.status_code == requests.codes.not_found:
            response.close()
            raise TransferError(
                f"{self._registry} has lost blob {descriptor.digest} of {self._reference.familiar}."
            )
        self._gate.expect(response, {200, 206} if asked else {200}, "a blob")
        try:
            return BlobStream(
                response,
                descriptor,
                (start, end),
                registry=self._registry,
                model=self._reference.familiar,
                window_s=self._gate.timeout_s,
            )
        except BaseException:
            response.close()
            raise

    def has_blob(self, descriptor: Descriptor) -> bool:
        """Whether the registry has a blob in this repository.

        Raises:
            TransferError: The transfer failed.
            AccessDeniedError: The registry refused.
        """
        response = self._gate.request(self._urls.blob(descriptor.digest), "HEAD")
        return bool(response.status_code == requests.codes.ok)

    def start_upload(
        self, descriptor: Descriptor, *, mount_from: str | None = None, data: bytes | None = None
    ) -> UploadSession | None:
        """Start to send a blob, once. Any number of threads may do so at a time.

        Args:
            descriptor: What is sent.
            mount_from: A repository of the same registry that may have the blob.
            data: The blob itself, for registries that take a small one in the first request.

        Returns:
            The upload; None when the registry has the blob now.

        Raises:
            TransferError: The transfer failed.
            AccessDeniedError: The registry refused.
        """
        url = start = self._urls.uploads
        digest = str(descriptor.digest)
        if mount_from is not None:
            start = with_query(url, mount=digest, **{"from": mount_from})
        elif data:
            start = with_query(url, digest=digest)
        headers = {"Content-Type": "application/octet-stream"} if data else {"Content-Length": "0"}
        try:
            response = self._gate.request(start, "POST", data=data or None, headers=headers)
        except AccessDeniedError:
            if mount_from is None:
                raise
            # We may not read the neighbour; that says nothing of this repository.
            return self.start_upload(descriptor)
        self._gate.expect(response, {201, 202}, "an upload")
        response.close()
        if response.status_code == requests.codes.created:
            return None
        location = response.headers.get("Location")
        if not location:
            raise TransferError(f"{self._registry} started an upload, but did not say where.")
        return UploadSession(self._gate.request, self._gate.join(url, location), self._gate.join)

    def upload_manifest(self, stored: StoredManifest, target: Digest | str) -> None:
        """Send a manifest, byte for byte, under a tag or its digest.

        Raises:
            TransferError: The transfer failed, or a blob is missing there.
            AccessDeniedError: The registry refused.
        """

        def attempt() -> None:
            response = self._gate.request(
                self._urls.manifest(target),
                "PUT",
                data=stored.data,
                headers={"Content-Type": str(stored.media_type)},
            )
            self._gate.expect(response, {200, 201, 202}, "the manifest")
            response.close()

        self._retry(attempt)

    def _retry(self, operation: Callable[[], _T]) -> _T:
        return self._backoff.run(operation, self._heartbeat)

    def _fetch_manifest(self, target: Digest | str) -> StoredManifest:
        response = self._gate.request(self._urls.manifest(target), headers={"Accept": _ACCEPT})
        if response.status_code == requests.codes.not_found:
            response.close()
            raise self._not_found()
        self._gate.expect(response, {200}, "the manifest")
        with contextlib.closing(response), foreign_errors(self._registry):
            data = Pace(self._registry, self._gate.timeout_s).read_all(
                lambda size: response.raw.read1(size, decode_content=False),
                limit_bytes=MAX_MANIFEST_BYTES + 1,
            )
        declared = response.headers.get("Content-Type", "").partition(";")[0].strip()
        if len(data) > MAX_MANIFEST_BYTES:
            raise InvalidArtifactError(
                f"The manifest that {self._registry} sends is larger than"
                f" {MAX_MANIFEST_BYTES} bytes; registries allow no more."
            )
        digest = self._check_manifest(data, target, response)
        return StoredManifest(media_type_of(data, declared=declared), digest, data)

    def _check_manifest(
        self, data: bytes, target: Digest | str, response: requests.Response
    ) -> Digest:
        """Compare with the digest that was asked for, else with the one that was announced."""
        expected = target if isinstance(target, Digest) else None
        if expected is None:
            with contextlib.suppress(InvalidDigestError):
                expected = Digest.parse(response.headers.get("Docker-Content-Digest", ""))
        if expected is None:
            return Digest.of(data)
        digest = Digest(expected.algorithm, hashlib.new(expected.algorithm, data).hexdigest())
        if digest != expected:
            raise IntegrityError(
                f"The manifest that {self._registry} sent hashes to {digest}, not to {expected}."
            )
        return digest

    def _not_found(self) -> ModelNotFoundError:
        name = self._reference.familiar
        return ModelNotFoundError(f"{self._registry} has no model {name!r}.", model=name)

"""The client of one repository in a registry: the OCI distribution API, over `requests`.

Not over the `oras` SDK: its transfers are checked against neither size nor digest, it shares a
token among registries and renews none, knows no timeouts, and costs a quarter of the start of a
pull for the schemas that it brings.

https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md
"""

from __future__ import annotations

import contextlib
import hashlib
import http.cookiejar
import threading
from collections.abc import Callable, Mapping
from typing import Any, TypeVar
from urllib.parse import urljoin, urlsplit

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
from stoker.version import __version__
from stoker.wire.manifest import INDEX_TYPES, MANIFEST_TYPES, MAX_MANIFEST_BYTES, media_type_of
from stoker_registry.address import RegistryAddress, host_of, is_loopback
from stoker_registry.authorities import Authorities
from stoker_registry.authorization import Authorization
from stoker_registry.backoff import Backoff, Heartbeat, no_heartbeat
from stoker_registry.blob_stream import BlobStream
from stoker_registry.credentials import CredentialSource, find_credentials
from stoker_registry.options import OciOptions
from stoker_registry.pace import Pace
from stoker_registry.prompt_adapter import PromptAdapter
from stoker_registry.repository_urls import RepositoryUrls
from stoker_registry.transfer_errors import check_status, foreign_errors
from stoker_registry.upload_session import UploadSession, with_query

_ACCEPT = ", ".join((*MANIFEST_TYPES, *INDEX_TYPES))
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MAX_REDIRECTS = 5
# Nobody's proxy is on the way to this very machine, whatever HTTP_PROXY says.
_NO_PROXY = {"no_proxy": "*"}
_T = TypeVar("_T")


def _with_own_headers(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """An `auth` that does nothing, for without one requests sends logins from ~/.netrc."""
    return request


class RepositoryClient:
    """Speaks with one registry about one repository.

    Any number of threads may use it. `_logging_in` guards the login; requests' session keeps no
    cookies, so there is nothing else that changes.
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
        self._authorities = Authorities.of(options)
        self._address = RegistryAddress.of(
            reference.registry, options.insecure_hosts, encrypted=self._authorities.by_host
        )
        # Blobs are wanted as they are: a compressed transfer has neither their size nor digest.
        self._headers = {"Accept-Encoding": "identity", "User-Agent": f"stoker/{__version__}"}
        self._reference = reference
        self._timeout_s = options.timeout_s
        self._backoff = backoff or Backoff()
        self._heartbeat = heartbeat
        self._urls = RepositoryUrls(self._address.origin, reference.repository)
        self._authorization = Authorization(self._address, self._send, find)
        self._logging_in = threading.Lock()
        # Otherwise connections beyond the tenth would be closed after each request.
        adapter = PromptAdapter(pool_maxsize=options.connections)
        self._session = requests.Session()
        self._session.mount("https://", adapter)
        self._session.mount("http://", adapter)
        # Some registries take whoever returns a cookie for a browser, and want CSRF tokens of it.
        nobody = http.cookiejar.DefaultCookiePolicy(allowed_domains=[])
        self._session.cookies.set_policy(nobody)

    def close(self) -> None:
        """Close all connections."""
        self._session.close()

    def check_login(self) -> bool:
        """Ask for nothing but whether we may ask.

        Returns:
            Whether the registry wanted to know who we are.

        Raises:
            TransferError: There is no registry.
            AccessDeniedError: The registry refused.
        """
        response = self.do_request(self._urls.base)
        self._expect(response, {200}, "the distribution API")
        response.close()
        return self._authorization.header is not None

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
                    f"The bytes that {self._address.name} sent for blob {descriptor.digest} are"
                    " others."
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
        response = self.do_request(url, headers=asked)
        if asked and response.status_code == requests.codes.requested_range_not_satisfiable:
            # The whole blob, or the size that the registry has it in.
            response.close()
            response = self.do_request(url)
        if response.status_code == requests.codes.not_found:
            response.close()
            raise TransferError(
                f"{self._address.name} has lost blob {descriptor.digest} of"
                f" {self._reference.familiar}."
            )
        self._expect(response, {200, 206} if asked else {200}, "a blob")
        try:
            return BlobStream(
                response,
                descriptor,
                (start, end),
                registry=self._address.name,
                model=self._reference.familiar,
                window_s=self._timeout_s,
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
        response = self.do_request(self._urls.blob(descriptor.digest), "HEAD")
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
            response = self.do_request(start, "POST", data=data or None, headers=headers)
        except AccessDeniedError:
            if mount_from is None:
                raise
            # We may not read the neighbour; that says nothing of this repository.
            return self.start_upload(descriptor)
        self._expect(response, {201, 202}, "an upload")
        response.close()
        if response.status_code == requests.codes.created:
            return None
        location = response.headers.get("Location")
        if not location:
            raise TransferError(f"{self._address.name} started an upload, but did not say where.")
        return UploadSession(self.do_request, self._join(url, location), self._join)

    def upload_manifest(self, stored: StoredManifest, target: Digest | str) -> None:
        """Send a manifest, byte for byte, under a tag or its digest.

        Raises:
            TransferError: The transfer failed, or a blob is missing there.
            AccessDeniedError: The registry refused.
        """

        def attempt() -> None:
            response = self.do_request(
                self._urls.manifest(target),
                "PUT",
                data=stored.data,
                headers={"Content-Type": str(stored.media_type)},
            )
            self._expect(response, {200, 201, 202}, "the manifest")
            response.close()

        self._retry(attempt)

    def do_request(
        self,
        url: str,
        method: str = "GET",
        data: Any = None,
        headers: Mapping[str, str] | None = None,
        *,
        more_time_s: float = 0.0,
    ) -> requests.Response:
        """The gate that every request to the registry passes.

        A login is sent when the registry asks for one, and once.

        Args:
            url: Where to.
            method: How.
            data: The body.
            headers: Besides the usual ones.
            more_time_s: How much longer than usual the answer may take.

        Returns:
            A success or a 404, its body unread.

        Raises:
            TransferError: Anything else.
            AccessDeniedError: The registry refused.
        """
        is_home = self._address.is_home(url)
        for is_last in (False, True):
            sent_header = self._authorization.header if is_home else None
            response = self._send(
                method,
                url,
                authorization=sent_header,
                headers=headers or {},
                data=data,
                more_time_s=more_time_s,
            )
            if response.status_code != requests.codes.unauthorized:
                break
            if not self._address.is_home(response.url):
                # Whoever we were sent to may ask, but the login is the registry's own.
                response.close()
                raise TransferError(
                    f"{self._address.name} sends us to {host_of(response.url)}, which wants a login"
                    " of its own."
                )
            if is_last:
                response.close()
                raise self._authorization.denied()
            with self._logging_in:
                # Of several threads that were refused, one logs in for all.
                if self._authorization.header == sent_header:
                    self._authorization.answer(response)
            response.close()
        check_status(response, self._address.name)
        if method == "HEAD":
            response.close()
        return response

    def _retry(self, operation: Callable[[], _T]) -> _T:
        return self._backoff.run(operation, self._heartbeat)

    def _send(
        self,
        method: str,
        url: str,
        *,
        authorization: str | None,
        headers: Mapping[str, str],
        params: Mapping[str, Any] | None = None,
        data: Any = None,
        more_time_s: float = 0.0,
    ) -> requests.Response:
        """Send once, and follow the redirects of reads; a login stays with the first host."""
        first_host = host_of(url)
        for _ in range(_MAX_REDIRECTS + 1):
            self._address.check(url)
            sent = {**self._headers, **headers}
            if authorization is not None and host_of(url) == first_host:
                sent["Authorization"] = authorization
            with foreign_errors(self._address.name):
                response: requests.Response = self._session.request(
                    method,
                    url,
                    params=params,
                    data=data,
                    headers=sent,
                    auth=_with_own_headers,
                    timeout=(self._timeout_s, self._timeout_s + more_time_s),
                    verify=self._authorities.of_url(url),
                    proxies=_NO_PROXY if is_loopback(urlsplit(url).netloc) else None,
                    allow_redirects=False,
                    # Read here, for the session would read a body without a bound.
                    stream=True,
                )
            location = response.headers.get("Location")
            if (
                response.status_code not in _REDIRECTS
                or method not in {"GET", "HEAD"}
                or location is None
            ):
                return response
            response.close()
            url, params = self._join(url, location), None
        raise TransferError(f"{self._address.name} redirects in circles.")

    def _join(self, url: str, location: str) -> str:
        try:
            return urljoin(url, location)
        except ValueError as exc:
            raise TransferError(
                f"{self._address.name} sends us to {location[:200]!r}, which is no address."
            ) from exc

    def _fetch_manifest(self, target: Digest | str) -> StoredManifest:
        response = self.do_request(self._urls.manifest(target), headers={"Accept": _ACCEPT})
        if response.status_code == requests.codes.not_found:
            response.close()
            raise self._not_found()
        self._expect(response, {200}, "the manifest")
        with contextlib.closing(response), foreign_errors(self._address.name):
            data = Pace(self._address.name, self._timeout_s).read_all(
                lambda size: response.raw.read1(size, decode_content=False),
                limit_bytes=MAX_MANIFEST_BYTES + 1,
            )
        declared = response.headers.get("Content-Type", "").partition(";")[0].strip()
        if len(data) > MAX_MANIFEST_BYTES:
            raise InvalidArtifactError(
                f"The manifest that {self._address.name} sends is larger than"
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
                f"The manifest that {self._address.name} sent hashes to {digest}, not to"
                f" {expected}."
            )
        return digest

    def _expect(self, response: requests.Response, statuses: set[int], what: str) -> None:
        if response.status_code == requests.codes.not_found and 404 not in statuses:  # noqa: PLR2004
            response.close()
            raise TransferError(f"{self._address.name} knows no such address for {what}.")
        if response.status_code not in statuses:
            response.close()
            raise TransferError(
                f"{self._address.name} answered {response.status_code} where {what} was concerned."
            )

    def _not_found(self) -> ModelNotFoundError:
        name = self._reference.familiar
        return ModelNotFoundError(f"{self._address.name} has no model {name!r}.", model=name)

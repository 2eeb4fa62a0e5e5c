"""The gate to one registry: every request passes here, gets its login, and is followed.

https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md
"""

from __future__ import annotations

import http.cookiejar
import threading
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests

from stoker.errors import TransferError
from stoker.version import __version__
from stoker_registry.address import RegistryAddress, host_of, is_loopback
from stoker_registry.authorities import Authorities
from stoker_registry.authorization import Authorization
from stoker_registry.credentials import CredentialSource
from stoker_registry.options import OciOptions
from stoker_registry.prompt_adapter import PromptAdapter
from stoker_registry.transfer_errors import check_status, foreign_errors

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MAX_REDIRECTS = 5
# Nobody's proxy is on the way to this very machine, whatever HTTP_PROXY says.
_NO_PROXY = {"no_proxy": "*"}


def _with_own_headers(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """An `auth` that does nothing, for without one requests sends logins from ~/.netrc."""
    return request


class RegistryGate:
    """Sends requests to one registry, and to whom it redirects.

    Any number of threads may use it. `_logging_in` guards the login; requests' session keeps no
    cookies, so there is nothing else that changes.
    """

    def __init__(
        self, registry: str, options: OciOptions, find: Callable[[str], CredentialSource]
    ) -> None:
        """Make it; nothing is sent yet.

        Args:
            registry: Its name.
            options: Timeouts, authorities, and who may be spoken to in plain http.
            find: Looks up the login, should the registry want one.

        Raises:
            ConfigError: A file of authorities is not there.
        """
        self._authorities = Authorities.of(options)
        self.address = RegistryAddress.of(
            registry, options.insecure_hosts, encrypted=self._authorities.by_host
        )
        self.authorization = Authorization(self.address, self._send, find)
        self.timeout_s = options.timeout_s
        # Blobs are wanted as they are: a compressed transfer has neither their size nor digest.
        self._headers = {"Accept-Encoding": "identity", "User-Agent": f"stoker/{__version__}"}
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

    def request(
        self,
        url: str,
        method: str = "GET",
        data: Any = None,
        headers: Mapping[str, str] | None = None,
        *,
        more_time_s: float = 0.0,
    ) -> requests.Response:
        """Send a request.

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
        is_home = self.address.is_home(url)
        for is_last in (False, True):
            sent_header = self.authorization.header if is_home else None
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
            if not self.address.is_home(response.url):
                # Whoever we were sent to may ask, but the login is the registry's own.
                response.close()
                raise TransferError(
                    f"{self.address.name} sends us to {host_of(response.url)}, which wants a login"
                    " of its own."
                )
            if is_last:
                response.close()
                raise self.authorization.denied()
            with self._logging_in:
                # Of several threads that were refused, one logs in for all.
                if self.authorization.header == sent_header:
                    self.authorization.answer(response)
            response.close()
        check_status(response, self.address.name)
        if method == "HEAD":
            response.close()
        return response

    def expect(self, response: requests.Response, statuses: set[int], what: str) -> None:
        """See that an answer is one of those that make sense; any other one is closed.

        Raises:
            TransferError: It is not.
        """
        if response.status_code == requests.codes.not_found and 404 not in statuses:  # noqa: PLR2004
            response.close()
            raise TransferError(f"{self.address.name} knows no such address for {what}.")
        if response.status_code not in statuses:
            response.close()
            raise TransferError(
                f"{self.address.name} answered {response.status_code} where {what} was concerned."
            )

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
            self.address.check(url)
            sent = {**self._headers, **headers}
            if authorization is not None and host_of(url) == first_host:
                sent["Authorization"] = authorization
            with foreign_errors(self.address.name):
                response: requests.Response = self._session.request(
                    method,
                    url,
                    params=params,
                    data=data,
                    headers=sent,
                    auth=_with_own_headers,
                    timeout=(self.timeout_s, self.timeout_s + more_time_s),
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
            url, params = self.join(url, location), None
        raise TransferError(f"{self.address.name} redirects in circles.")

    def join(self, url: str, location: str) -> str:
        """Make an address of one, and what is relative to it.

        Raises:
            TransferError: It is none.
        """
        try:
            return urljoin(url, location)
        except ValueError as exc:
            raise TransferError(
                f"{self.address.name} sends us to {location[:200]!r}, which is no address."
            ) from exc

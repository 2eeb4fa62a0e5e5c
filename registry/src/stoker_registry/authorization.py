"""Answers to a registry's question who we are: Basic, and tokens for Bearer.

https://distribution.github.io/distribution/spec/auth/token/
https://distribution.github.io/distribution/spec/auth/oauth/
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import attrs
import msgspec
import requests

from stoker.errors import AccessDeniedError, TransferError
from stoker.wire.malformed import MALFORMED
from stoker_registry.address import RegistryAddress
from stoker_registry.credentials import CredentialSource, find_credentials
from stoker_registry.login import Credentials
from stoker_registry.pace import Pace
from stoker_registry.transfer_errors import check_status

_MAX_TOKEN_BYTES = 1024 * 1024
_PATIENCE_S = 30.0

# scheme SP key=value, key="quoted value", ...: https://www.rfc-editor.org/rfc/rfc9110#section-11.2
_PARAMETER = re.compile(
    r'(?:(?P<scheme>[A-Za-z][A-Za-z0-9-]*)\s+)?(?P<key>[A-Za-z_-]+)\s*=\s*'
    r'(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<token>[^\s,"]+))'
)  # fmt: skip


@attrs.frozen
class Challenge:
    """One way to log in that a registry offers."""

    scheme: str
    """Lower case."""
    parameters: Mapping[str, str]


def parse_challenges(header: str) -> tuple[Challenge, ...]:
    """Read a `WWW-Authenticate` header; what is not understood is left out."""
    found: list[tuple[str, dict[str, str]]] = []
    for match in _PARAMETER.finditer(header):
        if match["scheme"]:
            found.append((match["scheme"].lower(), {}))
        if found:
            quoted = match["quoted"]
            value = match["token"] if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
            found[-1][1][match["key"].lower()] = value
    if not found and header.strip():
        found.append((header.split(maxsplit=1)[0].rstrip(",").lower(), {}))
    return tuple(Challenge(scheme, parameters) for scheme, parameters in found)


class Send(Protocol):
    """Sends a request to wherever a token comes from, without any retry."""

    def __call__(
        self,
        method: str,
        url: str,
        *,
        authorization: str | None,
        headers: Mapping[str, str],
        params: Mapping[str, Any] | None = None,
        data: Mapping[str, str] | None = None,
    ) -> requests.Response:
        """Send it."""


class _Token(msgspec.Struct, frozen=True):
    token: str = ""
    access_token: str = ""


class Authorization:
    """What one repository of one registry is told about us.

    Nothing is sent before the registry asks. The header belongs to the registry's own host, a
    password to that host and to the token server that the host names, and neither to anyone else.
    Used by one thread.
    """

    def __init__(
        self,
        address: RegistryAddress,
        send: Send,
        find: Callable[[str], CredentialSource] = find_credentials,
    ) -> None:
        self._address = address
        self._send = send
        self._find = find
        self._source: CredentialSource | None = None
        self.header: str | None = None
        """The value of `Authorization`; None until the registry asked."""

    def answer(self, response: requests.Response) -> None:
        """Set the header after a 401. Whoever is refused with it again gives up.

        Raises:
            AccessDeniedError: There is no answer, or the token server refused.
            TransferError: The token server cannot be reached, or answers nonsense.
            ConfigError: Docker's config cannot be read.
        """
        challenges = parse_challenges(response.headers.get("WWW-Authenticate", ""))
        response.close()
        by_scheme = {challenge.scheme: challenge for challenge in reversed(challenges)}
        if "bearer" in by_scheme and self._registry_token:
            self.header = f"Bearer {self._registry_token}"
        elif "bearer" in by_scheme:
            self.header = f"Bearer {self._token(by_scheme['bearer'])}"
        elif "basic" in by_scheme:
            credentials = self._credentials()
            if credentials is None or not credentials.password:
                raise self.denied()
            self.header = _basic(credentials)
        else:
            offered = ", ".join(by_scheme) or "none"
            raise AccessDeniedError(
                f"{self._address.name} wants a login of a kind that stoker does not know"
                f" (offered: {offered}; known: bearer, basic)."
            )

    def denied(self) -> AccessDeniedError:
        """The error for whoever was refused, saying what they can do."""
        name = self._address.name
        source = self._known()
        if source.credentials is not None:
            return AccessDeniedError(
                f"{name} refused the login of {source.credentials.username or 'the token'!r} from"
                f" {source.place}, or that login may not do this: run `stoker login {name}` again."
            )
        reason = "" if source.problem is None else f" ({source.problem.rstrip('.')})"
        return AccessDeniedError(
            f"{name} wants a login{reason}, or has no such model: run `stoker login {name}`, or"
            " check the name."
        )

    def _known(self) -> CredentialSource:
        if self._source is None:
            self._source = self._find(self._address.name)
        return self._source

    def _credentials(self) -> Credentials | None:
        return self._known().credentials

    @property
    def _registry_token(self) -> str:
        credentials = self._credentials()
        return "" if credentials is None else credentials.registry_token

    def _token(self, challenge: Challenge) -> str:
        realm = challenge.parameters.get("realm", "")
        self._address.check(realm)
        credentials = self._credentials()
        service = challenge.parameters.get("service", "")
        scope = challenge.parameters.get("scope", "")
        if credentials is not None and credentials.identity_token:
            response = self._send(
                "POST",
                realm,
                authorization=None,
                headers={"Accept": "application/json"},
                data={
                    "grant_type": "refresh_token",
                    "refresh_token": credentials.identity_token,
                    "client_id": "stoker",
                    "service": service,
                    "scope": scope,
                },
            )
        else:
            response = self._send(
                "GET",
                realm,
                authorization=None if credentials is None else _basic(credentials),
                headers={"Accept": "application/json"},
                params={"service": service, "scope": scope.split()},
            )
        if response.status_code in {400, 401, 403}:
            response.close()
            raise self.denied()
        check_status(response, self._address.name)
        try:
            data = Pace(self._address.name, _PATIENCE_S).read_all(
                lambda size: response.raw.read1(size, decode_content=True),
                limit_bytes=_MAX_TOKEN_BYTES,
            )
            token = msgspec.json.decode(data, type=_Token)
        except MALFORMED as exc:
            raise TransferError(
                f"The token server of {self._address.name} answered nonsense: {exc}"
            ) from exc
        finally:
            response.close()
        text = token.token or token.access_token
        # A line break would let the token server write headers of its own.
        if not text or not text.isprintable() or not text.isascii():
            raise TransferError(f"The token server of {self._address.name} sent no token.")
        return text


def _basic(credentials: Credentials) -> str:
    text = f"{credentials.username}:{credentials.password}"
    return f"Basic {base64.b64encode(text.encode()).decode()}"

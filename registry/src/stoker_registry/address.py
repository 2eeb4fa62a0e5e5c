"""Where a registry's API is, and whether it may be spoken to in plain http."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection
from urllib.parse import urlsplit

import attrs

from stoker.errors import TransferError

# Some answer under another host than their name says:
# https://github.com/distribution/reference/blob/v0.6.0/normalize.go and
# https://github.com/moby/moby/blob/v27.0.0/registry/config.go
_API_HOSTS = {"docker.io": "registry-1.docker.io", "hf.co": "huggingface.co"}

_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


@attrs.frozen
class RegistryAddress:
    """A registry's name, and the address of its API."""

    name: str
    """As references spell it."""
    insecure: frozenset[str] = frozenset()
    """Hosts besides loopback that are spoken to over plain http."""
    encrypted: frozenset[str] = frozenset()
    """Hosts that never are, loopback or not: those with authorities of their own."""

    @classmethod
    def of(
        cls, name: str, insecure: Collection[str] = (), *, encrypted: Collection[str] = ()
    ) -> RegistryAddress:
        """The address of a registry."""
        return cls(name, frozenset(insecure), frozenset(encrypted))

    @property
    def host(self) -> str:
        """Host and, where it is given, port of the API."""
        return _API_HOSTS.get(self.name, self.name)

    @property
    def is_plain(self) -> bool:
        """Whether the API is spoken to over plain http."""
        return self._may_be_plain(self.host)

    @property
    def origin(self) -> str:
        """Scheme and host of the API."""
        return f"{'http' if self.is_plain else 'https'}://{self.host}"

    def is_home(self, url: str) -> bool:
        """Whether a URL is one of this very API: the only place for its authorization."""
        return host_of(url) == host_of(self.origin)

    def check(self, url: str) -> None:
        """Refuse what nobody agreed to: another scheme, plain http to a distant host, this machine.

        Raises:
            TransferError: The registry sent us to such a URL.
        """
        scheme, _, host = host_of(url).partition("://")
        if is_loopback(host) and not is_loopback(self.host) and host not in self.insecure:
            # What listens here trusts this machine, and a stranger must not make use of that.
            raise TransferError(
                f"{self.name} wants stoker to go on at {url[:200]!r}, which is this very machine;"
                " if that is as it should be, add the host to `insecure_hosts` in [stores.oci]."
            )
        if host and (scheme == "https" or (scheme == "http" and self._may_be_plain(host))):
            return
        raise TransferError(
            f"{self.name} wants stoker to go on at {url[:200]!r}, which is not encrypted;"
            " if that is as it should be, add the host to `insecure_hosts` in [stores.oci]."
        )

    def _may_be_plain(self, host: str) -> bool:
        return host not in self.encrypted and (host in self.insecure or is_loopback(host))


def host_of(url: str) -> str:
    """Scheme, host and port of a URL, a default port left out; `://` of what is no URL."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "://"
    host = parts.netloc.lower().removesuffix(_DEFAULT_PORTS.get(parts.scheme, ""))
    return f"{parts.scheme}://{host}"


def is_loopback(netloc: str) -> bool:
    """Whether a host, with or without a port, is this very machine."""
    try:
        host = urlsplit(f"//{netloc}").hostname or ""
    except ValueError:
        return False
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False

"""The options of the store: the table `[stores.oci]` of the config."""

from __future__ import annotations

from typing import Annotated

import msgspec

from stoker.reference import parse_registry
from stoker_registry.bandwidth import parse_bandwidth


class HostOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an operator may set for one registry: the table `[stores.oci.hosts."HOST"]`."""

    ca_file: str | None = None
    """A PEM file with the certificate authorities to trust for this host alone.

    A loopback address with one is spoken to over TLS.
    """
    mirrors: tuple[str, ...] = ()
    """Registries to read from instead, `host` or `host/prefix`, tried in this order.

    The registry itself comes last. What is pushed goes to the registry alone.
    """


class OciOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an operator may set."""

    insecure_hosts: tuple[str, ...] = ()
    """Registries, `host` or `host:port`, that are spoken to over plain http.

    Loopback addresses always are.
    """
    timeout_s: Annotated[float, msgspec.Meta(gt=0, le=3600)] = 30.0
    """How long a connect may take, and how long a connection may stand still."""
    ca_file: str | None = None
    """A PEM file with the certificate authorities to trust instead of the system's."""
    hosts: dict[str, HostOptions] = {}
    """Settings of single registries, by `host` or `host:port`."""
    connections: Annotated[int, msgspec.Meta(ge=1, le=64)] = 8
    """How many connections one pull or push uses at most, for all its layers together."""
    max_bandwidth: str | None = None
    """A cap on what one pull or push moves, like `20 MB/s`; unset for none."""

    shared: tuple[str, ...] = ()
    """Folders with image layouts of others, in order: their models are used where they are, and
    nothing is ever written there."""

    def __post_init__(self) -> None:
        """Refuse a bandwidth that is none, and folders that depend on where stoker was started.

        Raises:
            ValueError: The bandwidth does not read like `20 MB/s`, or a folder is relative.
        """
        for folder in self.shared:
            if not folder.startswith(("/", "~/")):
                raise ValueError(f"`shared` names a folder {folder!r} that is not absolute")
        if self.max_bandwidth is not None:
            parse_bandwidth(self.max_bandwidth)

    @property
    def max_bytes_per_s(self) -> float | None:
        """The cap in bytes per second."""
        return None if self.max_bandwidth is None else parse_bandwidth(self.max_bandwidth)

    def host(self, registry: str) -> HostOptions:
        """The settings of one registry, by its one name; those of nobody when it has none.

        Raises:
            InvalidReferenceError: A name in the table is no registry's.
        """
        found = (item for name, item in self.hosts.items() if parse_registry(name) == registry)
        return next(found, HostOptions())


class HfCacheOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an operator may set for models in Hugging Face's cache."""

    directory: str | None = None
    """The cache; unset for where Hugging Face's own tools have it, which `HF_HUB_CACHE` and
    `HF_HOME` can move."""

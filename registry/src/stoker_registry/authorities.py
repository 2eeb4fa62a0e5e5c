"""Certificate authorities: whom the store believes that a host is who it says."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import attrs

from stoker.errors import ConfigError
from stoker.reference import parse_registry
from stoker_registry.address import RegistryAddress
from stoker_registry.options import OciOptions


@attrs.frozen
class Authorities:
    """Files of authorities, in PEM: one for some hosts, perhaps another one for all others."""

    general: str | None
    by_host: Mapping[str, str]

    @classmethod
    def of(cls, options: OciOptions) -> Authorities:
        """Take them from the options.

        Raises:
            ConfigError: A file is not there.
            InvalidReferenceError: A name in the table of hosts is no registry's.
        """
        by_host = {
            host: item.ca_file for host, item in options.hosts.items() if item.ca_file is not None
        }
        named = {"ca_file": options.ca_file}
        named |= {f'hosts."{host}".ca_file': path for host, path in by_host.items()}
        for key, path in named.items():
            if path is not None and not Path(path).is_file():
                raise ConfigError(source="[stores.oci]", key=key, problem=f"there is no {path}")
        hosts = {RegistryAddress.of(parse_registry(name)).host: name for name in by_host}
        return cls(options.ca_file, {host: by_host[name] for host, name in hosts.items()})

    def of_url(self, url: str) -> str | bool:
        """The file for a URL's host; True for those of the system."""
        host = urlsplit(url).netloc.lower()
        return self.by_host.get(host) or self.general or True

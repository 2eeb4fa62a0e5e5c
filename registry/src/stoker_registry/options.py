"""The options of the store: the table `[stores.oci]` of the config."""

from __future__ import annotations

from typing import Annotated

import msgspec


class OciOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an operator may set."""

    insecure: tuple[str, ...] = ()
    """Registries, `host` or `host:port`, that are spoken to over plain http.

    Loopback addresses always are.
    """
    timeout_s: Annotated[float, msgspec.Meta(gt=0, le=3600)] = 30.0
    """How long one connect or one read may take."""
    ca_file: str | None = None
    """A PEM file with the certificate authorities to trust instead of the system's."""

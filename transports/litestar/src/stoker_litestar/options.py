"""The settings of the HTTP transport, as they stand in `[transports.http]`."""

from __future__ import annotations

from typing import Annotated

import msgspec

Seconds = Annotated[float, msgspec.Meta(gt=0)]


class HttpOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[transports.http]`."""

    host: str = "127.0.0.1"
    """The address or host name to listen at."""
    port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 12434
    """The port to listen at; 0 takes any that is free."""
    insecure: bool = False
    """Listen at an address that other machines reach, although there are no API keys."""
    allowed_hosts: tuple[str, ...] = ()
    """Further names that clients may call the server by, besides its addresses and `localhost`."""
    allowed_origins: tuple[str, ...] = ()
    """Web pages that may use the server from a browser, like `https://chat.example.com`; `*` lets
    every page in. Pages that this server serves itself need not be listed."""
    tls_certificate_file: str | None = None
    """The certificate (and chain) in PEM; with it the server speaks https only."""
    tls_key_file: str | None = None
    """The certificate's private key in PEM; unset when it is in the certificate's file."""
    max_body_bytes: Annotated[int, msgspec.Meta(ge=1)] = 64 * 1024 * 1024
    """The largest request body; images and audio travel inside it."""
    registry_writes: bool = False
    """Let clients with a key of the scope `admin` push models to `/v2/`."""
    read_timeout_s: Seconds = 60.0
    """How long a client may take to send a request's body."""
    write_timeout_s: Seconds = 60.0
    """How long a client may leave an answer unread before its request is given up."""
    drain_timeout_s: Annotated[int, msgspec.Meta(ge=1)] = 3
    """How long running requests may go on when the server stops."""

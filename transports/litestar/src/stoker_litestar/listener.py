"""The listening socket."""

from __future__ import annotations

import errno
import os
import socket

from stoker.caller import Scope
from stoker.errors import AddressInUseError, ConfigError
from stoker.keys import KeyRing, is_loopback
from stoker_litestar.options import HttpOptions

_SOURCE = "transports.http"


def check_exposure(options: HttpOptions, keys: KeyRing) -> None:
    """Let an address through that only this machine reaches, or one that is meant to be open.

    Raises:
        ConfigError: Other machines could reach the address, and nothing would ask them for a key.
    """
    if options.insecure or keys or is_loopback(options.host):
        return
    raise ConfigError(
        source=_SOURCE,
        key="host",
        problem=(
            f"other machines could reach {options.host} and use it freely, because there are no"
            " API keys: make one with `stoker keys new NAME`, listen at 127.0.0.1, or set"
            " insecure = true if a firewall or a proxy guards it"
        ),
    )


def check_writes(options: HttpOptions, keys: KeyRing) -> None:
    """See that pushing is for somebody, and not for everybody.

    Raises:
        ConfigError: No key may push.
    """
    if options.registry_writes and not any(Scope.ADMIN in key.scopes for key in keys.keys):
        raise ConfigError(
            source=_SOURCE,
            key="registry_writes",
            problem=(
                "nobody could push, because no key has the scope admin: make one with"
                " `stoker keys new NAME --scope infer --scope admin`"
            ),
        )


def bind(options: HttpOptions) -> socket.socket:
    """Bind and listen; connections wait in the backlog until the server takes them.

    Raises:
        AddressInUseError: Another process listens there.
        ConfigError: The host has no address, or this process may not listen there.
    """
    address = f"{options.host}:{options.port}"
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(
            options.host, options.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError as exc:
        raise ConfigError(
            source=_SOURCE, key="host", problem=f"{options.host} has no address: {exc.strerror}"
        ) from exc
    # With the protocol's number: without it asyncio leaves Nagle's algorithm on, and every answer
    # waits 40 ms for the client's delayed acknowledgement between its headers and its body.
    listener = socket.socket(family, kind, protocol)
    try:
        if os.name == "posix":
            # Elsewhere this would let two servers share the port.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setblocking(False)  # noqa: FBT003 - its only form
        listener.bind(where)
        listener.listen()
    except OSError as exc:
        listener.close()
        if exc.errno == errno.EADDRINUSE:
            raise AddressInUseError(
                f"Another program listens at {address} already:"
                " stop it, or choose another port (--port, transports.http.port)."
            ) from exc
        key = "host" if exc.errno == errno.EADDRNOTAVAIL else "port"
        raise ConfigError(
            source=_SOURCE, key=key, problem=f"cannot listen at {address}: {exc.strerror}"
        ) from exc
    return listener


def url(listener: socket.socket, *, scheme: str = "http") -> str:
    """The address that clients use, for people."""
    host, port = listener.getsockname()[:2]
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"

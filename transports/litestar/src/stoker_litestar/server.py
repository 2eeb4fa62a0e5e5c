"""The HTTP transport: the application on uvicorn, inside the event loop that is there already."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Sequence
from socket import socket
from typing import Any

from uvicorn import Config, Server

from stoker.dialect import Dialect
from stoker.host import Host
from stoker.keys import NO_KEYS, KeyRing
from stoker.transport import Started, Transport
from stoker_litestar import listener as listening
from stoker_litestar.app import build_app
from stoker_litestar.gathered_writes import GatheringProtocol
from stoker_litestar.options import HttpOptions
from stoker_litestar.tls import check_tls

KEEP_ALIVE_S = 75
"""How long an idle connection stays open; longer than clients keep theirs in a pool."""

LAST_GRACE_S = 2.0
"""How long cancelled requests may take to clean up when the server stops."""


class HttpTransport(Transport):
    """Serves dialects and the distribution API over HTTP."""

    def __init__(
        self, options: HttpOptions, dialects: Sequence[Dialect], keys: KeyRing = NO_KEYS
    ) -> None:
        """Check the options.

        Raises:
            ConfigError: The host is one that other machines reach, without keys; models may be
                pushed, but with no key; or the files for TLS are none.
        """
        listening.check_exposure(options, keys)
        listening.check_writes(options, keys)
        check_tls(options)
        self._options = options
        self._keys = keys
        self._dialects = dialects

    async def serve(self, host: Host, started: Started) -> None:
        """Serve until cancelled; then requests that run have `drain_timeout_s` to end.

        Raises:
            AddressInUseError: Another process listens at the address.
            ConfigError: The address cannot be listened at.
        """
        listener = await asyncio.to_thread(listening.bind, self._options)
        with listener:
            scheme = "https" if self._options.tls_certificate_file else "http"
            address = listening.url(listener, scheme=scheme)
            app = build_app(host, self._dialects, self._options, self._keys)
            config = _config(app, self._options)
            server = _EmbeddedServer(config, lambda: started(address))
            await _run(server, listener)


async def _run(server: _EmbeddedServer, listener: socket) -> None:
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        await asyncio.shield(serving)
    finally:
        server.should_exit = True
        # uvicorn bounds this by its own timeout_graceful_shutdown.
        await serving
        if server.server_state.tasks:
            await asyncio.wait(set(server.server_state.tasks), timeout=LAST_GRACE_S)


def _config(app: Any, options: HttpOptions) -> Config:
    return Config(
        app,
        interface="asgi3",
        http=GatheringProtocol,
        lifespan="off",
        ws="none",
        log_config=None,
        # Requests log their own failures; what uvicorn says at lower levels is that a drained
        # request was cancelled and the like.
        log_level="critical",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ssl_certfile=options.tls_certificate_file,
        ssl_keyfile=options.tls_key_file,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=options.drain_timeout_s,
    )


class _EmbeddedServer(Server):
    """A uvicorn server that leaves the process's signals alone and says when it listens."""

    def __init__(self, config: Config, announce: Callable[[], None]) -> None:
        super().__init__(config)
        self._announce = announce

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield

    async def startup(self, sockets: list[socket] | None = None) -> None:
        """Start, then tell."""
        await super().startup(sockets=sockets)
        self._announce()

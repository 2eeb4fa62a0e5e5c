"""The listening socket."""

from __future__ import annotations

import socket

import pytest

from stoker.caller import Scope
from stoker.errors import AddressInUseError, ConfigError
from stoker.keys import ApiKey, KeyRing, hash_of
from stoker_litestar import listener
from stoker_litestar.options import HttpOptions

KEY = ApiKey("ann", hash_of("secret"), frozenset({Scope.INFER}))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_addresses_of_this_machine_alone_are_fine(host: str) -> None:
    """Nothing is needed to listen where only this machine can connect."""
    listener.check_exposure(HttpOptions(host=host), KeyRing())


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "stoker.example"])
def test_addresses_that_others_reach_must_be_meant(host: str) -> None:
    """Without API keys, an open address needs a word of its own."""
    with pytest.raises(ConfigError, match="no API keys: make one with `stoker keys new"):
        listener.check_exposure(HttpOptions(host=host), KeyRing())

    listener.check_exposure(HttpOptions(host=host, insecure=True), KeyRing())
    listener.check_exposure(HttpOptions(host=host), KeyRing([KEY]))


def test_a_port_in_use_names_the_address_and_the_way_out() -> None:
    """The error says where, and what to do."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(AddressInUseError, match=rf"127\.0\.0\.1:{port}.*--port"):
            listener.bind(HttpOptions(port=port))


@pytest.mark.parametrize("host", ["192.0.2.1", "nobody.invalid"])
def test_a_host_that_is_not_here_is_a_wrong_setting(host: str) -> None:
    """An address of another machine, or none at all, names the setting."""
    with pytest.raises(ConfigError) as caught:
        listener.bind(HttpOptions(host=host))

    assert ("transports.http", "host") == (caught.value.source, caught.value.key)


def test_the_url_is_complete() -> None:
    """A free port is known once it is bound."""
    with listener.bind(HttpOptions(port=0)) as bound:
        assert f"http://127.0.0.1:{bound.getsockname()[1]}" == listener.url(bound)


def test_asyncio_sees_that_it_is_tcp() -> None:
    """Only then does it send small pieces at once."""
    with listener.bind(HttpOptions(port=0)) as bound:
        assert socket.IPPROTO_TCP == bound.proto


def test_an_ipv6_url_has_brackets() -> None:
    """Clients can use the address as it stands."""
    with socket.socket(socket.AF_INET6) as bound:
        bound.bind(("::1", 0))
        assert f"http://[::1]:{bound.getsockname()[1]}" == listener.url(bound)

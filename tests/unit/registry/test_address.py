"""Tests of `stoker_registry.address`."""

from __future__ import annotations

import pytest

from stoker.errors import TransferError
from stoker_registry.address import RegistryAddress


@pytest.mark.parametrize(
    ("name", "origin"),
    [
        ("docker.io", "https://registry-1.docker.io"),
        ("ghcr.io", "https://ghcr.io"),
        ("reg.example:5000", "https://reg.example:5000"),
        ("localhost", "http://localhost"),
        ("localhost:5000", "http://localhost:5000"),
        ("127.0.0.1:5000", "http://127.0.0.1:5000"),
        ("127.9.9.9", "http://127.9.9.9"),
        ("[::1]:5000", "http://[::1]:5000"),
        ("10.0.0.1:5000", "https://10.0.0.1:5000"),
        ("localhost.example", "https://localhost.example"),
        ("plain.example", "http://plain.example"),
        ("plain.example:1", "https://plain.example:1"),
    ],
)
def test_origin(name: str, origin: str) -> None:
    """Docker Hub answers elsewhere; loopback and named hosts speak plain http, others TLS."""

    assert origin == RegistryAddress.of(name, ["plain.example"]).origin


@pytest.mark.parametrize(
    ("url", "is_home"),
    [
        ("https://ghcr.io/v2/", True),
        ("https://GHCR.io:443/v2/", True),
        ("http://ghcr.io/v2/", False),
        ("http://ghcr.io:443/v2/", False),
        ("https://ghcr.io:444/v2/", False),
        ("https://ghcr.io.evil.example/", False),
        ("https://ghcr.io@evil.example/", False),
    ],
)
def test_home(url: str, is_home: bool) -> None:
    """Only scheme, host and port of the API itself are home."""

    assert is_home is RegistryAddress.of("ghcr.io").is_home(url)


def test_an_address_that_is_none() -> None:
    """A registry's name that is no host is nowhere at home, and is not taken for loopback."""

    assert not RegistryAddress.of("[::1").is_plain
    assert not RegistryAddress.of("ghcr.io").is_home("https://[::1")


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1/x", "https://127.0.0.1/x", "https://localhost/", "http://[::1]:80/"]
)
def test_strangers_do_not_lead_to_this_machine(url: str) -> None:
    """A distant registry cannot make us ask what listens here; one that is here may."""
    with pytest.raises(TransferError, match="this very machine"):
        RegistryAddress.of("ghcr.io", ["plain.example"]).check(url)
    RegistryAddress.of("127.0.0.1:5000").check(url)
    RegistryAddress.of("ghcr.io", ["127.0.0.1:1", "127.0.0.1", "localhost", "[::1]"]).check(url)


def test_check() -> None:
    """TLS may go anywhere, plain http only where it was allowed, and other schemes nowhere."""
    address = RegistryAddress.of("ghcr.io", ["plain.example"])
    address.check("https://cdn.example/x")
    address.check("http://plain.example/x")

    for url in (
        "http://cdn.example/x",
        "ftp://cdn.example",
        "https:///x",
        "",
        "file:///etc/passwd",
    ):
        with pytest.raises(TransferError, match="insecure_hosts"):
            address.check(url)

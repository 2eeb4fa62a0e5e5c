"""The server over TLS."""

from __future__ import annotations

import ssl
from pathlib import Path

import httpx
import pytest
import trustme

from stoker.errors import ConfigError
from stoker.host import Host
from stoker_litestar.options import HttpOptions
from stoker_litestar.server import HttpTransport

from .conftest import WAIT_S, serving


@pytest.fixture
def authority() -> trustme.CA:
    """Who signs the certificates."""
    return trustme.CA()


@pytest.fixture
def pem(authority: trustme.CA, tmp_path: Path) -> tuple[str, str]:
    """A certificate's file and its key's."""
    certificate = authority.issue_cert("127.0.0.1")
    paths = tmp_path / "server.pem", tmp_path / "server.key"
    certificate.cert_chain_pems[0].write_to_path(paths[0])
    certificate.private_key_pem.write_to_path(paths[1])
    return str(paths[0]), str(paths[1])


async def test_it_serves_with_a_certificate(
    host: Host, authority: trustme.CA, pem: tuple[str, str]
) -> None:
    """The address says https, and a client that trusts the authority gets its answer."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    options = HttpOptions(
        port=0, drain_timeout_s=1, tls_certificate_file=pem[0], tls_key_file=pem[1]
    )
    async with serving(host, options) as server:
        assert server.url.startswith("https://127.0.0.1:")
        async with httpx.AsyncClient(verify=context, timeout=WAIT_S) as client:
            response = await client.get(f"{server.url}/v1/models")

    assert 200 == response.status_code


@pytest.mark.parametrize(
    ("certificate", "key", "problem"),
    [
        (None, "KEY", "tls_key_file: it needs tls_certificate_file"),
        ("nowhere.pem", None, "cannot be read: No such file"),
        ("KEY", None, "no certificate with its unencrypted key"),
        ("CERT", None, "no certificate with its unencrypted key"),
    ],
)
def test_wrong_files_are_wrong_settings(
    pem: tuple[str, str], certificate: str | None, key: str | None, problem: str
) -> None:
    """They are found before anything listens."""
    files = {"CERT": pem[0], "KEY": pem[1]}
    options = HttpOptions(
        tls_certificate_file=files.get(certificate or "", certificate),
        tls_key_file=files.get(key or "", key),
    )

    with pytest.raises(ConfigError, match=problem):
        HttpTransport(options, [])

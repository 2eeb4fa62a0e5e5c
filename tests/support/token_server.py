"""A token server that `docker-registry` believes: signed tokens with the scope that was asked for.

https://distribution.github.io/distribution/spec/auth/jwt/
"""

from __future__ import annotations

import base64
import datetime as dt
import http.server
import json
import threading
import time
import uuid
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import attrs
import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

ISSUER = "test-issuer"
SERVICE = "test-registry"
LEEWAY_S = 60
"""The registry takes a token for so long after it has expired."""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        """Keep quiet."""

    def do_GET(self) -> None:
        """Give a token to whoever has the password; without one, to read what is public."""
        tokens = self.server.tokens
        query = parse_qs(urlsplit(self.path).query)
        given = (self.headers.get("Authorization") or "").removeprefix("Basic ")
        login = base64.b64decode(given).decode()
        self._answer("token", query.get("scope", []), None if not given else login == tokens.login)

    def do_POST(self) -> None:
        """Exchange a refresh token."""
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        is_right = form["refresh_token"] == [self.server.tokens.refresh_token]
        self._answer("access_token", form.get("scope", [""])[0].split(), is_right)

    def _answer(self, key: str, scopes: list[str], is_right: bool | None) -> None:
        self.server.tokens.asked.append((self.command, tuple(scopes)))
        if is_right is False:
            self._send(401, {"details": "incorrect username or password"})
            return
        self._send(200, {key: self.server.tokens.token(scopes, is_known=bool(is_right))})

    def _send(self, status: int, document: Any) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    tokens: TokenServer


@attrs.define
class TokenServer:
    """A token server on loopback; `stop` ends it."""

    certificate: Path
    """Whose signature the registry is to believe."""
    login: str = "alice:s3cret"
    refresh_token: str = "refresh me"
    lifetime_s: float = 300
    """Of the tokens; negative for ones that have expired."""
    asked: list[tuple[str, tuple[str, ...]]] = attrs.field(factory=list)
    """Methods and scopes of all requests."""
    _key: Any = None
    _server: Any = None

    @classmethod
    def start(cls, folder: Path) -> TokenServer:
        """Start one."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "token-signer")])
        now = dt.datetime.now(dt.UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(1)
            .not_valid_before(now - dt.timedelta(days=1))
            .not_valid_after(now + dt.timedelta(days=1))
            .sign(key, hashes.SHA256())
        )
        path = folder / "token.pem"
        path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        tokens = cls(path)
        tokens._key = key
        tokens._server = _Server(("127.0.0.1", 0), _Handler)
        tokens._server.tokens = tokens
        threading.Thread(target=tokens._server.serve_forever, args=(0.02,), daemon=True).start()
        return tokens

    @property
    def registry_config(self) -> dict[str, Any]:
        """The registry's table `auth`."""
        return {
            "token": {
                "realm": f"http://127.0.0.1:{self._server.server_port}/token",
                "service": SERVICE,
                "issuer": ISSUER,
                "rootcertbundle": str(self.certificate),
            }
        }

    def token(self, scopes: list[str], *, is_known: bool) -> str:
        """A token for what was asked; whoever is not known may only read."""
        access = []
        for scope in scopes:
            kind, _, rest = scope.partition(":")
            name, _, actions = rest.rpartition(":")
            granted = [item for item in actions.split(",") if is_known or item == "pull"]
            access.append({"type": kind, "name": name, "actions": granted})
        now = int(time.time())
        claims = {
            "iss": ISSUER,
            "sub": "alice",
            "aud": SERVICE,
            "iat": now,
            "nbf": now - 600,
            "exp": int(now + self.lifetime_s),
            "jti": uuid.uuid4().hex,
            "access": access,
        }
        data = x509.load_pem_x509_certificate(self.certificate.read_bytes()).public_bytes(
            serialization.Encoding.DER
        )
        headers = {"x5c": [base64.b64encode(data).decode()]}
        return jwt.encode(claims, self._key, algorithm="ES256", headers=headers)

    def stop(self) -> None:
        """End it."""
        self._server.shutdown()
        self._server.server_close()

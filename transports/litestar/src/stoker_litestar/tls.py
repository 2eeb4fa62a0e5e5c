"""TLS: the certificate files of the settings, checked before the server listens."""

from __future__ import annotations

import ssl

from stoker.errors import ConfigError
from stoker_litestar.options import HttpOptions

_SOURCE = "transports.http"


def check_tls(options: HttpOptions) -> None:
    """Let settings through whose files are a certificate and its key, or that have none.

    Raises:
        ConfigError: A file cannot be read, is no certificate or key, or they do not belong
            together.
    """
    if options.tls_certificate_file is None:
        if options.tls_key_file is not None:
            raise ConfigError(
                source=_SOURCE, key="tls_key_file", problem="it needs tls_certificate_file"
            )
        return
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        # The empty password keeps OpenSSL from asking for one in the terminal.
        context.load_cert_chain(
            options.tls_certificate_file, options.tls_key_file, password=lambda: ""
        )
    except ssl.SSLError as exc:
        raise ConfigError(
            source=_SOURCE,
            key="tls_certificate_file",
            problem="this and tls_key_file are no certificate with its unencrypted key, in PEM"
            f" ({exc.reason or 'unreadable'})",
        ) from exc
    except OSError as exc:
        raise ConfigError(
            source=_SOURCE,
            key="tls_certificate_file",
            problem=f"this or tls_key_file cannot be read: {exc.strerror}",
        ) from exc

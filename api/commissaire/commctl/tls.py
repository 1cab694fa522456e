"""TLS towards the server: whom we trust, and the certificate we show."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

import httpx

from commissaire.commctl.errors import CommctlError

if TYPE_CHECKING:
    from commissaire.commctl.config import Settings


def context(settings: Settings) -> ssl.SSLContext:
    """Return what an https connection is made with. Raises CommctlError for certificates and keys that are none."""
    if settings.authorities:
        try:
            made = ssl.create_default_context(cadata=settings.authorities)
        except (ssl.SSLError, ValueError) as error:
            raise CommctlError(f"certificate-authority holds no certificate in PEM: {error}") from None
    else:
        made = httpx.create_ssl_context()
    if settings.credentials.certificate:
        _show(made, settings.credentials.certificate, settings.credentials.key)
    return made


def _show(context: ssl.SSLContext, certificate: str, key: str) -> None:
    import tempfile

    with tempfile.NamedTemporaryFile("w", encoding="utf-8") as file:  # OpenSSL takes them from a file only; mode 0600
        file.write(f"{certificate}\n{key}\n")
        file.flush()
        try:
            context.load_cert_chain(file.name)
        except ssl.SSLError as error:
            raise CommctlError(f"client-certificate and client-key are no pair in PEM: {error}") from None

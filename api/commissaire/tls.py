"""TLS client certificates, handed to the application as ASGI's TLS extension has it; uvicorn leaves that out.

https://asgi.readthedocs.io/en/latest/specs/tls.html
"""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.auto import AutoHTTPProtocol


class ClientCertificateProtocol(AutoHTTPProtocol):  # type: ignore[misc, valid-type]  # which class is found at run time
    """Adds the verified certificate of a connection's client to the scope of its requests."""

    def connection_made(self, transport: asyncio.Transport) -> None:
        """See `asyncio.Protocol.connection_made`: the handshake is over."""
        super().connection_made(transport)
        connection: ssl.SSLObject | None = transport.get_extra_info("ssl_object")
        certificate = connection.getpeercert(binary_form=True) if connection else None
        if certificate is None:
            return
        tls: dict[str, Any] = {"client_cert_chain": [ssl.DER_cert_to_PEM_cert(certificate)]}
        app: ASGIApp = self.app  # type: ignore[has-type]

        async def app_with_certificate(scope: Scope, receive: Receive, send: Send) -> None:
            scope.setdefault("extensions", {})["tls"] = tls
            await app(scope, receive, send)

        self.app = app_with_certificate

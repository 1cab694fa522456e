"""A web server for tests of the plugins."""

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from unit.commctl.certificates import Authority, Pair


class Handler(BaseHTTPRequestHandler):
    """Answers /503 with 503, a redirection to /200 for /302, and so on."""

    def do_GET(self) -> None:
        self.send_response(int(self.path[1:]))
        self.send_header("Location", "/200")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@contextmanager
def serving(pair: Pair | None) -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        if pair:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(pair.certificate, pair.key)
            server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http{'s' if pair else ''}://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def url() -> Iterator[str]:
    with serving(None) as found:
        yield found


@pytest.fixture
def tls_url(tmp_path) -> Iterator[tuple[str, str]]:
    """The URL of such a server with TLS, and the file of the authority that signed its certificate."""
    authority = Authority(tmp_path)
    with serving(authority.sign("127.0.0.1")) as found:
        yield found, str(authority.path)

"""A web server in the network of a lab."""

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from .laboratory import Lab


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def served(lab: Lab, directory: Path) -> Iterator[str]:
    """Serve what is in `directory` on the lab's gateway; give the URL."""
    handler = functools.partial(_Quiet, directory=str(directory))
    server = lab.inside(ThreadingHTTPServer, (lab.gateway, 0), handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://{lab.gateway}:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

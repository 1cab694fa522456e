"""The guest agent as the one file that is installed, in versions of our choice, and a web server to fetch it from."""

from __future__ import annotations

import functools
import hashlib
import shutil
import zipapp
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from .agent_daemon import SOURCE

VERSION = '__version__ = "1.0.0"'


def program(path: Path, version: str = "1.0.0", main: str = "") -> Path:
    """Make the agent's program at `path`, as that version. `main` is code to run in place of the agent's."""
    tree = path.with_suffix(".tree")
    shutil.copytree(SOURCE, tree, ignore=shutil.ignore_patterns("__pycache__"))
    init = tree / "singularity/__init__.py"
    text = init.read_text()
    assert VERSION in text
    init.write_text(text.replace(VERSION, f'__version__ = "{version}"'))
    (tree / "__main__.py").write_text(main or "import sys\n\nfrom singularity.cli import main\n\nsys.exit(main())\n")
    zipapp.create_archive(tree, path, interpreter="/usr/bin/env python3")
    shutil.rmtree(tree)
    return path


def md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


@contextmanager
def served(directory: Path) -> Iterator[str]:
    """Serve what is in `directory` on this computer's loopback; give the URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=str(directory)))
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""

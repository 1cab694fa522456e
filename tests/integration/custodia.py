"""Debian's Custodia, with a configuration like that of CPD-101, but a SQLite file in the place of etcd."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import time
from pathlib import Path

import pytest

PROGRAM = Path("/usr/sbin/custodia")
_CONFIGURATION = """
[DEFAULT]
libdir = {folder}
logdir = {folder}
rundir = {folder}

[global]
debug = false
server_socket = ${{rundir}}/custodia.sock
auditlog = ${{logdir}}/custodia-audit.log

[store:sqlite]
handler = SqliteStore
dburi = ${{libdir}}/secrets.db
table = secrets

[store:encrypted]
handler = EncryptedOverlay
backing_store = sqlite
master_key = ${{libdir}}/secrets.key
master_enctype = A256CBC-HS512
autogen_master_key = true

[auth:creds]
handler = SimpleAuthKeys
id_header = CUSTODIA_AUTH_ID
key_header = {key_header}
store = sqlite
store_namespace = custodia_commissaire_api

[authz:paths]
handler = SimplePathAuthz
paths = /. /secrets

[/]
handler = Root

[/secrets]
handler = Secrets
store = encrypted
"""


class Custodia:
    """A Custodia of a test's own, on a Unix socket."""

    def __init__(self, folder: Path, key_header: str = "CUSTODIA_KEY_ID") -> None:
        if not PROGRAM.exists() or shutil.which("custodia", path=str(PROGRAM.parent)) is None:
            pytest.skip("needs Debian's package custodia: make packages")
        self.socket = folder / "custodia.sock"
        self.database = folder / "secrets.db"
        self._log = folder / "log"
        self._configuration = folder / "custodia.conf"
        self._configuration.write_text(_CONFIGURATION.format(folder=folder, key_header=key_header))
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it listens."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen([PROGRAM, self._configuration], stdout=log, stderr=log)
        deadline = time.monotonic() + 20
        while not self.socket.is_socket():
            assert self._process.poll() is None, self._log.read_text()
            assert time.monotonic() < deadline, self._log.read_text()
            time.sleep(0.05)

    def stop(self) -> None:
        """Stop it."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(20)
            self._process = None
            self.socket.unlink(missing_ok=True)

    def allow(self, api_id: str, key: str) -> None:
        """Give an API id a key, as its administrator does: in the store that SimpleAuthKeys reads."""
        connection = sqlite3.connect(self.database)
        with connection:
            connection.execute("INSERT INTO secrets VALUES (?, ?)", (f"custodia_commissaire_api/{api_id}", key))
        connection.close()

    def names(self) -> list[str]:
        """Return what it keeps, but containers."""
        connection = sqlite3.connect(self.database)
        found = connection.execute("SELECT key FROM secrets WHERE key LIKE 'keys/%' AND value != '' ORDER BY key")
        names = [key.removeprefix("keys/") for (key,) in found]
        connection.close()
        return names

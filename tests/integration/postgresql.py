"""A PostgreSQL server of a test's own, on a Unix socket only."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

_FOLDER = Path("/run/commissaire-postgresql")
_ENVIRON = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}


class PostgreSQL:
    """Made and started by `with`; `stop` and `start` in between keep what is in it."""

    url = f"postgresql://postgres@/postgres?host={_FOLDER}"

    def __enter__(self) -> PostgreSQL:
        programs = max(Path("/usr/lib/postgresql").glob("*/bin"), default=None)
        if programs is None or os.geteuid() != 0:
            pytest.skip("needs Debian's package postgresql, and root to run it as user postgres: make test as root")
        self._pg_ctl = str(programs / "pg_ctl")
        shutil.rmtree(_FOLDER, ignore_errors=True)
        _FOLDER.mkdir(mode=0o700)
        shutil.chown(_FOLDER, "postgres", "postgres")
        self._control("--options", "--no-locale --encoding=UTF8 --auth=trust --no-sync", "initdb")
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(_FOLDER, ignore_errors=True)

    def start(self) -> None:
        """Start it, and wait until it takes connections."""
        options = f"-c listen_addresses='' -c unix_socket_directories='{_FOLDER}' -c fsync=off"
        self._control("--options", options, "--log", str(_FOLDER / "log"), "start")

    def stop(self) -> None:
        """Stop it at once, as a crash does."""
        self._control("--mode=immediate", "stop")

    def _control(self, *arguments: str) -> None:
        as_postgres = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
        command = [*as_postgres, self._pg_ctl, "--pgdata", str(_FOLDER / "data"), "--silent", "--wait", *arguments]
        subprocess.run(command, check=True, env=_ENVIRON, cwd="/", stdout=subprocess.DEVNULL)

"""A real Keystone on loopback: from PyPI in an environment of its own that is kept, with SQLite, over TLS."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from lab.image import CACHE
from ports import free_port
from unit.commctl.certificates import Authority

REQUIREMENTS = Path(__file__).with_name("keystone-requirements.txt")
PASSWORD = "secret of the administrator"
_CONFIGURATION = """
[DEFAULT]
log_file = {folder}/keystone.log
[database]
connection = sqlite:///{folder}/keystone.db
[fernet_tokens]
key_repository = {folder}/fernet
[credential]
key_repository = {folder}/credential
[identity]
password_hash_rounds = 4
"""
_SERVE = """
import sys
from werkzeug.serving import run_simple
from keystone.server.wsgi import initialize_public_application
port, certificate, key = sys.argv[1:]
sys.argv[1:] = []
run_simple("127.0.0.1", int(port), initialize_public_application(), threaded=True, ssl_context=(certificate, key))
"""


@dataclass
class Keystone:
    """A Keystone that answers at `url`; `process` may be stopped and gone on with."""

    url: str
    process: subprocess.Popen[bytes]
    client: httpx.Client

    def token(self, user: str, password: str, domain: str = "Default", project: str | None = None) -> str:
        """Return a new token, for a project of the domain Default if one is given."""
        who = {"name": user, "password": password, "domain": {"name": domain}}
        auth: dict[str, Any] = {"identity": {"methods": ["password"], "password": {"user": who}}}
        if project:
            auth["scope"] = {"project": {"name": project, "domain": {"name": "Default"}}}
        return self.client.post("/v3/auth/tokens", json={"auth": auth}).raise_for_status().headers["X-Subject-Token"]

    def make(self, kind: str, **fields: Any) -> str:
        """Make a user, a project, a role, a domain; return its id."""
        answer = self.client.post(f"/v3/{kind}s", json={kind: fields}).raise_for_status()
        made: str = answer.json()[kind]["id"]
        return made

    def grant(self, role: str, user: str, project: str) -> None:
        """Let a user have a role in a project, all by their ids."""
        self.client.put(f"/v3/projects/{project}/users/{user}/roles/{role}").raise_for_status()


def environment() -> Path:
    """Return the environment's folder, made at the first time.

    Raises:
        subprocess.CalledProcessError: it can't be made.
    """
    wanted = REQUIREMENTS.read_bytes() + sys.version.encode()
    folder = CACHE / f"keystone-{hashlib.sha256(wanted).hexdigest()[:12]}"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "keystone.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            made = folder.with_suffix(".new")
            shutil.rmtree(made, ignore_errors=True)
            uv = Path(sys.executable).with_name("uv")
            subprocess.run([uv, "venv", "--quiet", "--relocatable", "--python", sys.executable, made], check=True)
            install = [uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", made / "bin/python"]
            subprocess.run([*install, "--requirement", REQUIREMENTS], check=True)
            made.rename(folder)
    return folder


@contextmanager
def running_keystone(programs: Path, folder: Path, authority: Authority) -> Iterator[Keystone]:
    """Set one up in *folder*, with a certificate of *authority*, and serve it."""
    for name in ("fernet", "credential"):
        (folder / name).mkdir(mode=0o700)
    (folder / "keystone.conf").write_text(_CONFIGURATION.format(folder=folder))
    variables = {"PATH": os.environ["PATH"], "HOME": str(folder), "OS_KEYSTONE_CONFIG_FILES": f"{folder}/keystone.conf"}
    manage = [programs / "bin/python", programs / "bin/keystone-manage", "--config-file", folder / "keystone.conf"]
    owner = ["--keystone-user", str(os.geteuid()), "--keystone-group", str(os.getegid())]
    # two seconds each on an idle machine, nearly all of it imports, so what can be done at the same time is
    steps = [[*manage, "fernet_setup", *owner], [*manage, "credential_setup", *owner], [*manage, "db_sync"]]
    with (folder / "log").open("wb") as log:
        running = [subprocess.Popen(step, env=variables, stdout=log, stderr=log, cwd=folder) for step in steps]
        done = [process.wait(300) for process in running]
        assert done == [0, 0, 0], (folder / "log").read_text()
        bootstrap = [*manage, "bootstrap", "--bootstrap-password", PASSWORD]
        subprocess.run(bootstrap, env=variables, stdout=log, stderr=log, cwd=folder, check=True)
        port = free_port()
        pair = authority.sign("keystone")
        serve = [programs / "bin/python", "-c", _SERVE, str(port), pair.certificate, pair.key]
        process = subprocess.Popen(serve, env=variables, stdout=log, stderr=log, cwd=folder)
    url = f"https://127.0.0.1:{port}"
    context = ssl.create_default_context(cafile=str(authority.path))
    try:
        with httpx.Client(base_url=url, verify=context, trust_env=False, timeout=30) as client:
            made = Keystone(url, process, client)
            _wait_until_ready(made, folder / "log")
            client.headers["X-Auth-Token"] = made.token("admin", PASSWORD, project="admin")
            yield made
    finally:
        process.kill()
        process.wait()


def _wait_until_ready(keystone: Keystone, log: Path) -> None:
    deadline = time.monotonic() + 120
    while True:
        try:
            if keystone.client.get("/v3").is_success:
                return
        except httpx.TransportError:
            assert keystone.process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)

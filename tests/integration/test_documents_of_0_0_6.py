"""The configuration file and the command of Commissaire 0.0.6's documents, chapter 3, with nobody at the bus."""

from __future__ import annotations

import json
import shlex
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from commissaire.auth.httpbasicauth import hash_password
from integration.etcd import Authority
from ports import free_port

pytestmark = pytest.mark.integration
SERVER = Path(sys.executable).parent / "commissaire-server"
FILE = """
{
  "listen-interface": "127.0.0.1",
  "listen-port": 8000,
  "tls-pemfile": "/path/to/server.pem",
  "bus-uri": "redis://127.0.0.1:6379/",
  "authentication-plugins": [{
    "name": "commissaire_http.authentication.httpbasicauth",
    "filepath": "conf/users.json"
  }],
  "self-auths": ["/api/v0/secrets"]
}
"""
COMMAND = r"""
commissaire-server --no-config \
  --bus-uri redis://127.0.0.1:6379/ \
  --bus-exchange commissaire \
  --tls-pemfile /path/to/server.pem \
  --listen-interface 8000 \
  --authentication-plugin commissaire_http.authentication.httpbasicauth:filepath=conf/users.json \
  --self-auth /api/v0/secrets
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder with server.pem and conf/users.json."""
    authority = Authority(tmp_path)
    certificate, key = authority.issue("server")
    (tmp_path / "server.pem").write_bytes(certificate.read_bytes() + key.read_bytes())
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf/users.json").write_text(json.dumps({"a": {"hash": hash_password("a", rounds=4)}}))
    return tmp_path


def here(text: str, site: Path, port: int) -> str:
    """Put the test's own places into an example; nobody is at the bus."""
    text = text.replace("/path/to", str(site)).replace(":6379", f":{free_port()}")
    return text.replace('"listen-port": 8000', f'"listen-port": {port}')


@contextmanager
def running(words: list[str], site: Path) -> Iterator[None]:
    environ = {"HOME": str(site), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    options = ["--data-dir", str(site / "data"), "--workers", "0"]
    with (site / "server.log").open("wb") as log:
        process = subprocess.Popen([str(SERVER), *words, *options], cwd=site, env=environ, stdout=log, stderr=log)
    try:
        yield
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0, (site / "server.log").read_text()
    finally:
        process.kill()
        process.wait()


def names(site: Path, port: int) -> list[str]:
    """Sign in by TLS, and return the clusters' names."""
    url = f"https://127.0.0.1:{port}/api/v0/clusters"
    context = ssl.create_default_context(cafile=site / "authority.pem")
    deadline = time.monotonic() + 60
    while True:
        try:
            answer = httpx.get(url, auth=("a", "a"), verify=context, trust_env=False)
            assert answer.status_code == 200, answer.text
            found: list[str] = answer.json()
            return found
        except httpx.TransportError:
            assert time.monotonic() < deadline, (site / "server.log").read_text()
            time.sleep(0.1)


def test_the_configuration_file_starts_as_it_is(site: Path) -> None:
    port = free_port()
    (site / "commissaire.conf").write_text(here(FILE, site, port))
    with running(["-c", "commissaire.conf"], site):
        assert names(site, port) == []
    assert "bus_lost" in (site / "server.log").read_text()


def test_the_commands_slip_is_explained_and_without_it_the_command_starts(site: Path) -> None:
    port = free_port()
    words = shlex.split(here(COMMAND.replace("\\\n", ""), site, port))[1:]
    done = subprocess.run([str(SERVER), *words], cwd=site, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "8000 is a port, not an address; say --listen-port 8000" in done.stderr
    place = words.index("--listen-interface")
    words[place : place + 2] = ["--listen-port", str(port)]
    with running(words, site):
        assert names(site, port) == []

"""A real server over TLS, and clients with certificates of an authority that the test makes."""

from __future__ import annotations

import json
import os
import re
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from commissaire.auth.httpbasicauth import hash_password
from ports import free_port
from unit.commctl.certificates import Authority, Pair

pytestmark = pytest.mark.integration

SERVER = Path(sys.executable).with_name("commissaire-server")
BASIC = {"name": "httpbasicauth", "users": {"bob": {"hash": hash_password("secret", rounds=4), "role": "viewer"}}}
CERTIFICATE = {"name": "httpauthclientcert", "roles": {"carol": "registrar", "group:ops": "operator"}}


class Clients:
    """An authority, the server's certificate, and clients of it and of another authority."""

    def __init__(self, folder: Path) -> None:
        self.authority = Authority(folder)
        pair = self.authority.sign("server")
        self.server = folder / "server-both.pem"
        self.server.write_bytes(pair.certificate.read_bytes() + pair.key.read_bytes())
        self.alice = self.authority.sign("alice", "ops")
        self.carol = self.authority.sign("carol", "ops")
        self.expired = self.authority.sign("dave", "ops", expired=True)
        others = folder / "others"
        others.mkdir()
        self.stranger = Authority(others).sign("alice", "ops")

    def get(self, url: str, path: str, pair: Pair | None = None, **kwargs: Any) -> httpx.Response:
        """Send a request; *pair* is the client's certificate."""
        context = ssl.create_default_context(cafile=str(self.authority.path))
        if pair is not None:
            context.load_cert_chain(pair.certificate, pair.key)
        with httpx.Client(verify=context, trust_env=False, timeout=30) as client:
            return client.request(kwargs.pop("method", "GET"), url + path, **kwargs)


@pytest.fixture(scope="module")
def clients(tmp_path_factory: pytest.TempPathFactory) -> Clients:
    return Clients(tmp_path_factory.mktemp("authority"))


@contextmanager
def running(folder: Path, *plugins: dict[str, Any], server: Path, authority: Path | None) -> Iterator[str]:
    """Run a server with these plugins on loopback, and yield its URL; it contacts nobody (`--workers 0`).

    *server* is its certificate with its key, *authority* that of clients.
    """
    port = free_port()
    document = {"tls-pemfile": str(server), "authentication-plugins": plugins, "workers": 0}
    if authority is not None:
        document["tls-clientverifyfile"] = str(authority)
    (folder / "conf.json").write_text(json.dumps(document))
    words = ["-c", str(folder / "conf.json"), "--data-dir", str(folder / "data"), "-p", str(port)]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([SERVER, *words], stderr=log, env={**os.environ, "HOME": str(folder)})
    try:
        deadline = time.monotonic() + 60
        while not answers(f"https://127.0.0.1:{port}/readyz"):
            assert process.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < deadline, (folder / "log").read_text()
            time.sleep(0.1)
        yield f"https://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)


def answers(url: str) -> bool:
    try:
        httpx.get(url, verify=False, trust_env=False)  # noqa: S501
    except httpx.TransportError:
        return False
    return True


@pytest.fixture(scope="module")
def url(clients: Clients, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the URL of a server that believes certificates first, and passwords then."""
    authority = clients.authority.path
    with running(
        tmp_path_factory.mktemp("server"), CERTIFICATE, BASIC, server=clients.server, authority=authority
    ) as url:
        yield url


def test_a_certificate_of_the_authority_signs_in_and_its_units_are_groups(url: str, clients: Clients) -> None:
    assert clients.get(url, "/api/v0/clusters", clients.alice).status_code == 200
    refused = clients.get(url, "/api/v0/cluster/web", clients.alice, method="PUT", json={})
    assert refused.json()["detail"].startswith("alice has the role operator; PUT /api/v0/cluster/web needs administ")
    refused = clients.get(url, "/api/v0/clusters", clients.carol)
    assert refused.json()["detail"].startswith("carol has the role registrar; ")  # her name comes before her unit
    # without a certificate: the next plugin
    assert clients.get(url, "/api/v0/clusters").status_code == 403
    assert clients.get(url, "/api/v1/hosts").status_code == 401
    assert clients.get(url, "/api/v0/clusters", auth=("bob", "secret")).status_code == 200
    # with both, the first plugin's answer counts, also when the other one's was remembered
    both = clients.get(url, "/api/v0/clusters", clients.carol, auth=("bob", "secret"))
    assert both.json()["detail"].startswith("carol ")


@pytest.mark.parametrize("who", ["stranger", "expired"])
def test_a_certificate_that_is_not_good_ends_the_handshake(url: str, clients: Clients, who: str) -> None:
    with pytest.raises(httpx.TransportError):
        clients.get(url, "/api/v0/clusters", getattr(clients, who))
    assert clients.get(url, "/api/v0/clusters", clients.alice).status_code == 200


def test_with_cn_only_that_name_signs_in(clients: Clients, tmp_path: Path) -> None:
    plugin = {"name": "commissaire_http.authentication.httpauthclientcert", "cn": "alice"}
    with running(tmp_path, plugin, BASIC, server=clients.server, authority=clients.authority.path) as url:
        assert clients.get(url, "/api/v0/clusters", clients.alice).status_code == 200
        assert clients.get(url, "/api/v0/clusters", clients.carol).status_code == 403
        assert clients.get(url, "/api/v0/clusters", clients.carol, auth=("bob", "secret")).status_code == 200


def test_a_client_can_not_make_up_a_certificate_by_headers(url: str, clients: Clients) -> None:
    pem = clients.alice.certificate.read_text().replace("\n", "%0A")
    for header in ("X-SSL-Client-Cert", "X-Forwarded-Client-Cert", "SSL_CLIENT_CERT", "X-Client-Cert"):
        assert clients.get(url, "/api/v0/clusters", headers={header: pem}).status_code == 403


def test_without_an_authority_for_clients_tls_and_passwords_work(clients: Clients, tmp_path: Path) -> None:
    with running(tmp_path, BASIC, server=clients.server, authority=None) as url:
        assert clients.get(url, "/api/v0/clusters", auth=("bob", "secret")).status_code == 200
        assert clients.get(url, "/api/v0/clusters", clients.alice).status_code == 403
        with pytest.raises(httpx.TransportError):
            httpx.get(url.replace("https", "http"), trust_env=False, timeout=10)


def test_client_certificates_without_an_authority_are_told_at_the_start(clients: Clients, tmp_path: Path) -> None:
    words = ["--no-config-file", "--data-dir", str(tmp_path), "--tls-pemfile", str(clients.server)]
    command = [SERVER, *words, "--authentication-plugin", "httpauthclientcert:cn=alice"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "httpauthclientcert needs tls_clientverifyfile" in done.stderr


def test_the_documents_commands_make_certificates_that_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (Path(__file__).parents[2] / "docs/server.md").read_text()
    commands = re.findall(r"^\$ ((?:openssl|cat server).*)$", text, re.MULTILINE)
    assert len(commands) == 4
    monkeypatch.chdir(tmp_path)
    for command in commands:
        subprocess.run(["sh", "-c", command], check=True, capture_output=True)
    plugin = {"name": "httpauthclientcert", "role": "operator"}
    with running(tmp_path, plugin, server=tmp_path / "server.pem", authority=tmp_path / "ca.pem") as url:
        context = ssl.create_default_context(cafile="ca.pem")
        context.load_cert_chain("alice.crt", "alice.key")
        with httpx.Client(verify=context, trust_env=False, timeout=30) as client:
            assert client.get(f"{url}/api/v0/clusters").status_code == 200
            detail = client.put(f"{url}/api/v0/cluster/web", json={}).json()["detail"]
    assert detail.startswith("alice has the role operator; ")

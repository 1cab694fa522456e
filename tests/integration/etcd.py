"""A real etcd on a loopback port, and a certificate authority for it."""

from __future__ import annotations

import base64
import shutil
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ports import free_port


@dataclass
class Etcd:
    """A running etcd at `url`; `client` may talk to it."""

    url: str
    client: httpx.Client

    def put(self, key: str, value: bytes) -> None:
        """Set a key."""
        self._post("kv/put", key=_base64(key.encode()), value=_base64(value))

    def require_password(self, user: str, password: str) -> None:
        """From now on *user* may read, a stranger may sign in, and nobody may do anything else."""
        self._post("auth/user/add", name="root", password="root")
        self._post("auth/user/grant", user="root", role="root")
        self._post("auth/user/add", name=user, password=password)
        self._post("auth/role/add", name="reader")
        everything = {"key": _base64(b"/commissaire/"), "range_end": _base64(b"/commissaire0"), "permType": "READ"}
        self._post("auth/role/grant", name="reader", perm=everything)
        self._post("auth/user/grant", user=user, role="reader")
        self._post("auth/user/add", name="stranger", password="stranger")
        self._post("auth/enable")

    def _post(self, path: str, **body: Any) -> None:
        answer = self.client.post(f"{self.url}/v3/{path}", json=body)
        assert answer.status_code == 200, answer.text


@contextmanager
def running_etcd(folder: Path, tls: Authority | None = None) -> Iterator[Etcd]:
    """Run etcd with its data in *folder* until the block ends; with *tls* it wants client certificates."""
    if shutil.which("etcd") is None:
        pytest.skip("needs etcd: apt-get install etcd-server")
    scheme = "https" if tls else "http"
    url, peer = (f"{scheme}://127.0.0.1:{free_port()}" for _ in range(2))
    command = ["etcd", "--data-dir", str(folder / "etcd"), "--listen-client-urls", url, "--advertise-client-urls", url]
    command += [
        "--listen-peer-urls",
        peer,
        "--initial-advertise-peer-urls",
        peer,
        "--initial-cluster",
        f"default={peer}",
    ]
    client = httpx.Client(trust_env=False)
    if tls:
        certificate, key = tls.issue("server")
        command += ["--cert-file", str(certificate), "--key-file", str(key), "--client-cert-auth"]
        command += ["--trusted-ca-file", str(tls.certificate), "--peer-cert-file", str(certificate)]
        command += ["--peer-key-file", str(key), "--peer-trusted-ca-file", str(tls.certificate)]
        context = ssl.create_default_context(cafile=tls.certificate)
        context.load_cert_chain(*tls.issue("admin"))
        client = httpx.Client(verify=context, trust_env=False)
    with (folder / "etcd.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        _wait_until_healthy(client, url, folder / "etcd.log")
        yield Etcd(url, client)
    finally:
        client.close()
        process.terminate()
        process.wait(30)


class Authority:
    """A certificate authority with its files in *folder*."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "an authority of the tests")])
        self.certificate = folder / "authority.pem"
        made = self._builder(self._name, self._key).add_extension(x509.BasicConstraints(True, None), critical=True)
        self._write(self.certificate, made)

    def issue(self, name: str) -> tuple[Path, Path]:
        """Return the files of a certificate for 127.0.0.1 and of its private key."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate, key_file = self._folder / f"{name}.pem", self._folder / f"{name}.key"
        addresses = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
        self._write(certificate, self._builder(x509.Name([]), key).add_extension(addresses, critical=True))
        key_file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return certificate, key_file

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(hours=1))
        )

    def _write(self, path: Path, builder: x509.CertificateBuilder) -> None:
        path.write_bytes(builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))


def _wait_until_healthy(client: httpx.Client, url: str, log: Path) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            if client.get(f"{url}/health").json()["health"] == "true":
                return
        except httpx.TransportError:
            pass
        time.sleep(0.05)
    raise AssertionError(f"etcd does not start\n{log.read_text()[-3000:]}")


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode()

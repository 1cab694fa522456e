"""Reading one key from etcd, by the JSON gateway that every etcd v3 serves.

Where etcd is and who asks is in the environment variables of Commissaire 0.0.6, chapter 8. The gateway is described in
etcd's documentation, "gRPC gateway".
"""

from __future__ import annotations

import base64
import ssl
from collections.abc import Mapping
from typing import Any

import httpx

_TIMEOUT_SECONDS = 5.0


class EtcdError(Exception):
    """No etcd gave an answer; the message says what each of them did."""


def read_key(key: str, environ: Mapping[str, str]) -> str | None:
    """Return the value of *key*, or None when there is no such key. Machines are tried in order.

    *environ* has `ETCD_MACHINES`, URLs separated by commas, and may have `ETCD_TLSPEM`, `ETCD_TLSKEY`, `ETCD_CACERT`,
    `ETCD_USERNAME` and `ETCD_PASSWORD`.

    Raises:
        EtcdError: no machine answered, the certificates can't be read, or the value is not UTF-8.
    """
    machines = [_checked(machine.strip()) for machine in environ["ETCD_MACHINES"].split(",") if machine.strip()]
    if not machines:
        raise EtcdError("ETCD_MACHINES names no machine; it is a list such as https://etcd1:2379,https://etcd2:2379")
    reasons = []
    # trust_env would send passwords for etcd to a proxy that is meant for the internet
    with httpx.Client(verify=_tls(environ), timeout=_TIMEOUT_SECONDS, trust_env=False) as client:
        for machine in machines:
            try:
                value = _read(client, machine, key, environ)
                return None if value is None else value.decode()
            except UnicodeDecodeError as error:
                raise EtcdError(f"etcd's {key} is not UTF-8: {error}") from error
            except (httpx.HTTPError, _Refused) as error:
                reasons.append(f"{machine}: {error or type(error).__name__}")
    raise EtcdError(f"no etcd gave the configuration {key}: {'; '.join(reasons)}; check ETCD_MACHINES and its kin")


class _Refused(Exception):
    """A machine answered, but not what it was asked for."""


def _checked(machine: str) -> httpx.URL:
    try:
        url = httpx.URL(machine)
    except httpx.InvalidURL:
        url = httpx.URL()
    if url.scheme not in ("http", "https") or not url.host or url.userinfo:
        shown = machine.rpartition("@")[2]
        raise EtcdError(
            f"ETCD_MACHINES: {shown!r} is no URL such as https://etcd1:2379"
            + ("; user and password belong in ETCD_USERNAME and ETCD_PASSWORD" if shown != machine else "")
        )
    return url


def _tls(environ: Mapping[str, str]) -> ssl.SSLContext:
    authorities, certificate, key = (environ.get(f"ETCD_{name}") or None for name in ("CACERT", "TLSPEM", "TLSKEY"))
    try:
        context = ssl.create_default_context(cafile=authorities)
    except OSError as error:  # ssl.SSLError is one
        raise EtcdError(f"ETCD_CACERT: can't read the authorities in {authorities}: {error}") from error
    if key and not certificate:
        raise EtcdError("ETCD_TLSKEY is of no use without ETCD_TLSPEM, the certificate it belongs to")
    if certificate:
        try:
            context.load_cert_chain(certificate, key, password=_no_password)
        except OSError as error:
            files = certificate if key is None else f"{certificate} and {key}"
            raise EtcdError(
                f"ETCD_TLSPEM, ETCD_TLSKEY: can't use the certificate and key in {files}: {error}"
            ) from error
    return context


def _no_password() -> str:
    raise ssl.SSLError("the key needs a passphrase, and nobody is there to type it; give one without")


def _read(client: httpx.Client, machine: httpx.URL, key: str, environ: Mapping[str, str]) -> bytes | None:
    headers = {}
    user = environ.get("ETCD_USERNAME")
    if user:
        credentials = {"name": user, "password": environ.get("ETCD_PASSWORD", "")}
        headers["Authorization"] = _post(client, machine.join("/v3/auth/authenticate"), credentials, {})["token"]
    wanted = {"key": base64.b64encode(key.encode()).decode()}
    found = _post(client, machine.join("/v3/kv/range"), wanted, headers).get("kvs", [])
    return base64.b64decode(found[0]["value"]) if found else None


def _post(client: httpx.Client, url: httpx.URL, body: dict[str, str], headers: dict[str, str]) -> dict[str, Any]:
    answer = client.post(url, json=body, headers=headers)
    try:
        document: dict[str, Any] = answer.json()
        if answer.is_success and isinstance(document, dict):
            return document
        reason = str(document["error"])
    except (ValueError, KeyError, TypeError):
        raise _Refused(f"HTTP {answer.status_code}, and no answer of etcd v3's JSON gateway") from None
    raise _Refused(reason)

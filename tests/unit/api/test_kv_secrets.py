"""Secrets in Vault or OpenBao, against a double of their HTTP interfaces (KV version 2, AppRole): none can be had."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from commissaire.records import Secret
from commissaire.secrets.errors import SecretError, StoreUnavailable
from commissaire.secrets.kv import KvBackend
from commissaire.secrets.settings import SecretSettings

CANARY = "CANARY-in-a-coal-mine"


class Vault(ThreadingHTTPServer):
    """What the interface does for one mount, `kv`, as its documentation says."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.values: dict[str, Any] = {}
        self.tokens = {"good"}
        self.deleted: set[str] = set()
        self.mounts = {"kv/", "auth/approle/"}
        self.sealed = False
        self.sign_ins = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def answer(self, method: str, path: str, token: str, body: Any) -> tuple[int, Any]:
        if self.sealed:
            return 503, {"errors": ["Vault is sealed"]}
        if not path.startswith(tuple(self.mounts)):
            return 404, {"errors": [f'no handler for route "{path}". route entry not found.']}
        if path == "auth/approle/login":
            self.sign_ins += 1
            if body != {"role_id": "role", "secret_id": "right"}:
                return 400, {"errors": ["invalid role or secret ID"]}
            self.tokens.add(f"given-{self.sign_ins}")
            return 200, {"auth": {"client_token": f"given-{self.sign_ins}"}}
        if token not in self.tokens:
            return 403, {"errors": ["permission denied"]}
        if path.startswith("kv/data/"):
            return self._data(method, path.removeprefix("kv/data/"), body)
        name = path.removeprefix("kv/metadata/")
        if method == "LIST":
            folder = name.rstrip("/") + "/"
            keys = [key.removeprefix(folder) for key in self.values if key.startswith(folder)]
            return (200, {"data": {"keys": keys}}) if keys else (404, {"errors": []})
        self.values.pop(name, None)
        return 204, None

    def _data(self, method: str, name: str, body: Any) -> tuple[int, Any]:
        if method == "GET":
            if name in self.deleted:
                return 404, {"data": {"data": None, "metadata": {"deletion_time": "2026-11-21T09:00:00Z"}}}
            found = self.values.get(name)
            return (200, {"data": {"data": found, "metadata": {}}}) if found else (404, {"errors": []})
        if body["options"] == {"cas": 0} and name in self.values:
            return 400, {"errors": ["check-and-set parameter did not match the current version"]}
        self.values[name] = body["data"]
        return 200, {"data": {"version": 1}}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Vault

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = self.path.removeprefix("/v1/").partition("?")[0]
        token = self.headers.get("X-Vault-Token", "")
        status, document = self.server.answer(self.command, path, token, json.loads(body) if body else None)
        data = b"" if document is None else json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/html" if isinstance(document, str) else "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_PUT = do_DELETE = do_LIST = _answer  # noqa: N815  the names that the standard library asks for

    def log_message(self, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def vault() -> Iterator[Vault]:
    with Vault() as vault:
        thread = threading.Thread(target=vault.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield vault
        vault.shutdown()
        thread.join()


def backend_for(vault: Vault, **settings: Any) -> KvBackend:
    given = settings or {"vault_token": "good"}
    return KvBackend(SecretSettings(secret_store="vault", vault_url=vault.url, vault_mount="kv", **given))


@pytest.fixture
def backend(vault: Vault) -> Iterator[KvBackend]:
    backend = backend_for(vault)
    yield backend
    backend.close()


def kept(backend: KvBackend, value: str = CANARY) -> Secret:
    secret = Secret(owner="host/1", field="ssh_priv_key")
    backend.seal(secret, value)
    return secret


def test_values_are_kept_read_and_deleted(vault: Vault, backend: KvBackend) -> None:
    secrets = [kept(backend, value) for value in (CANARY, "", *(str(number) for number in range(50)))]
    assert backend.open(secrets) == [CANARY, "", *(str(number) for number in range(50))]
    assert {name.partition("/")[0] for name in vault.values} == {"commissaire"}
    assert CANARY.encode() not in secrets[0].sealed + secrets[0].wrapped_key
    backend.delete(secret.sealed for secret in secrets[1:])
    assert list(vault.values) == [f"commissaire/{secrets[0].sealed.decode()}"]
    lost, found = backend.open([secrets[1], secrets[0]])
    assert found == CANARY
    assert isinstance(lost, SecretError)
    assert "ssh_priv_key of host/1 is not in" in str(lost)


def test_what_no_record_refers_to_is_found_when_it_is_old(vault: Vault, backend: KvBackend) -> None:
    assert backend.unused(set()) == []
    young = kept(backend).sealed
    old = f"00000001-{'a' * 32}".encode()
    vault.values |= {f"commissaire/{old.decode()}": {"value": "x"}, "commissaire/somebody-elses": {"value": "x"}}
    assert backend.unused({young}) == backend.unused(set()) == [old]
    assert backend.unused({old}) == []


def test_a_role_signs_in_and_again_when_its_token_has_ended(vault: Vault, tmp_path: Path) -> None:
    file = tmp_path / "secret-id"
    file.write_text("right\n")
    backend = backend_for(vault, vault_role_id="role", vault_secret_id_file=file)
    secret = kept(backend)
    assert vault.sign_ins == 1
    vault.tokens.clear()
    assert backend.open([secret]) == [CANARY]
    assert vault.sign_ins == 2
    backend.close()


def test_a_token_is_read_again_from_its_file(vault: Vault, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("good\n")
    backend = backend_for(vault, vault_token_file=file)
    secret = kept(backend)
    vault.tokens = {"renewed"}
    file.write_text("renewed")
    assert backend.open([secret]) == [CANARY]
    file.unlink()
    vault.tokens = set()
    with pytest.raises(StoreUnavailable, match="can't read"):
        backend.open([secret])
    backend.close()


def test_what_is_wrong_is_told_without_secrets(vault: Vault, backend: KvBackend) -> None:
    secret = kept(backend)
    vault.tokens = set()
    with pytest.raises(StoreUnavailable, match="refuses: permission denied; see the vault_ settings") as refused:
        kept(backend)
    wrong = backend_for(vault, vault_role_id="role", vault_secret_id="CANARY-of-a-role")
    with pytest.raises(StoreUnavailable, match="answers: invalid role or secret ID") as role:
        wrong.open([secret])
    wrong.close()
    vault.sealed = True
    with pytest.raises(
        StoreUnavailable, match="answers: Vault is sealed; see its log, and that it is unsealed"
    ) as down:
        kept(backend)
    assert not any("CANARY" in str(each.value) for each in (refused, role, down))
    for path in ("https://127.0.0.1:1", vault.url.replace("http://", "https://")):
        settings = SecretSettings(vault_url=path, vault_token="CANARY")
        assert "CANARY" not in repr(settings)
        unreachable = KvBackend(settings)
        with pytest.raises(StoreUnavailable, match=r"does not answer: \w+; see vault_url and vault_ca_file"):
            kept(unreachable)
        unreachable.close()


def test_a_version_that_was_deleted_there_is_gone(vault: Vault, backend: KvBackend) -> None:
    secret = kept(backend)
    vault.deleted = set(vault.values)
    (gone,) = backend.open([secret])
    assert "is not in" in str(gone)
    assert "undelete or restore it there" in str(gone)


def test_a_mount_that_is_none_is_told_and_no_secret_called_gone(vault: Vault, backend: KvBackend) -> None:
    secret = kept(backend)
    vault.mounts.remove("kv/")
    for ask in (
        lambda: kept(backend),
        lambda: backend.open([secret]),
        lambda: backend.unused(set()),
        lambda: backend.delete([secret.sealed]),
    ):
        with pytest.raises(StoreUnavailable, match=r"has no KV engine, version 2, at kv \(no handler.*see vault_mount"):
            ask()


def test_an_engine_that_is_none_for_values_keeps_none(
    vault: Vault, backend: KvBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vault, "_data", lambda *_: (404, {"errors": []}))
    with pytest.raises(StoreUnavailable, match="has no KV engine, version 2, at kv"):
        kept(backend)


def test_a_404_that_is_not_the_engines_calls_no_secret_gone(
    vault: Vault, backend: KvBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = kept(backend)
    monkeypatch.setattr(vault, "_data", lambda *_: (404, "a proxy's page"))
    with pytest.raises(StoreUnavailable, match="has no KV engine"):
        backend.open([secret])


def test_what_is_deleted_twice_is_deleted(vault: Vault, backend: KvBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = kept(backend)
    monkeypatch.setattr(vault, "answer", lambda *_: (404, {"errors": []}))
    backend.delete([secret.sealed])


def test_a_role_where_approle_is_not_enabled_calls_no_secret_gone(vault: Vault, backend: KvBackend) -> None:
    secret = kept(backend)
    vault.mounts.remove("auth/approle/")
    of_a_role = backend_for(vault, vault_role_id="role", vault_secret_id="right")
    with pytest.raises(StoreUnavailable, match=r"has no AppRole at auth/approle \(no handler.*enable it"):
        of_a_role.open([secret])
    of_a_role.close()

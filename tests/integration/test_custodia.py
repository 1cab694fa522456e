"""Secrets kept by Custodia: Debian's own, on its Unix socket."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from httpx2 import Response
from sqlmodel import select
from starlette.testclient import TestClient

from commissaire.app import create_app
from commissaire.auth.httpbasicauth import hash_password
from commissaire.records import Host, Secret
from commissaire.secrets.errors import StoreUnavailable
from commissaire.secrets.migration import count, migrate
from commissaire.secrets.store import SecretStore
from commissaire.services import Services
from commissaire.settings import Settings

from .custodia import Custodia

pytestmark = pytest.mark.integration
KEY = "Q0FOQVJZLWluLWEtY29hbC1taW5l"
OURS = "storage_service"


@pytest.fixture(scope="module")
def custodia(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Custodia]:
    with running(Custodia(tmp_path_factory.mktemp("custodia"))) as custodia:
        yield custodia


@contextmanager
def running(custodia: Custodia) -> Iterator[Custodia]:
    custodia.start()
    try:
        for api_id in (OURS, "one", "two"):
            custodia.allow(api_id, f"key of {api_id}")
        yield custodia
    finally:
        custodia.stop()


def settings_for(custodia: Custodia, data_dir: Path, **others: Any) -> Settings:
    values: dict[str, Any] = {
        "data_dir": data_dir,
        "workers": 0,
        "refusal_delay_seconds": 0,
        "authentication_plugins": [{"name": "httpbasicauth", "users": {"a": {"hash": hash_password("p", rounds=4)}}}],
        "secret_store": "custodia",
        "custodia_socket_path": custodia.socket,
        "custodia_api_id": OURS,
        "custodia_api_key": f"key of {OURS}",
    }
    return Settings(**values | others)


@pytest.fixture
def client(custodia: Custodia, tmp_path: Path) -> Iterator[TestClient]:
    with TestClient(create_app(settings_for(custodia, tmp_path / "data")), raise_server_exceptions=False) as client:
        client.auth = ("a", "p")
        yield client


@pytest.fixture
def services(client: TestClient) -> Services:
    found: Services = client.app.state.services  # type: ignore[attr-defined]
    return found


def ask(client: TestClient, api_id: str, method: str, path: str, value: str | None = None) -> Response:
    headers = {"CUSTODIA_AUTH_ID": api_id, "CUSTODIA_AUTH_KEY": f"key of {api_id}"}
    options: dict[str, Any] = {} if value is None else {"json": {"type": "simple", "value": value}}
    return client.request(method, f"/api/v0/secrets{path}", headers=headers, auth=lambda request: request, **options)


def test_a_hosts_key_lies_in_custodia_alone(client: TestClient, services: Services, custodia: Custodia) -> None:
    before = custodia.names()
    assert client.put("/api/v0/host/10.0.0.1", json={"ssh_priv_key": KEY}).status_code == 201
    (name,) = set(custodia.names()) - set(before)
    assert name.startswith(f"{OURS}/")
    assert client.get("/api/v0/host/10.0.0.1/creds").json()["ssh_priv_key"] == KEY
    assert client.put("/api/v0/host/10.0.0.1", json={"ssh_priv_key": KEY}).status_code == 201, "the same again"
    assert client.put("/api/v0/host/10.0.0.1", json={"ssh_priv_key": "b3RoZXI="}).status_code == 409
    assert set(custodia.names()) - set(before) == {name}
    for path in (*services.settings.data_dir.glob("commissaire.db*"), custodia.database):
        assert KEY.encode() not in path.read_bytes()
    assert client.delete("/api/v0/host/10.0.0.1").status_code == 200
    assert custodia.names() == before


def test_a_custodia_that_takes_keys_by_the_other_header_keeps_and_gives(tmp_path: Path) -> None:
    with (
        running(Custodia(tmp_path, "CUSTODIA_AUTH_KEY")) as custodia,
        TestClient(create_app(settings_for(custodia, tmp_path / "data")), raise_server_exceptions=False) as client,
    ):
        body = {"ssh_priv_key": KEY}
        assert client.put("/api/v0/host/10.0.0.1", json=body, auth=("a", "p")).status_code == 201
        assert client.get("/api/v0/host/10.0.0.1/creds", auth=("a", "p")).json()["ssh_priv_key"] == KEY
        assert len(custodia.names()) == 1
        assert ask(client, "one", "PUT", "/one/key", KEY).status_code == 201
        assert ask(client, "one", "GET", "/one/key").json() == {"type": "simple", "value": KEY}


def test_an_empty_key_is_kept_as_such(client: TestClient) -> None:
    assert client.put("/api/v0/host/10.0.0.1", json={"ssh_priv_key": ""}).status_code == 201
    assert client.get("/api/v0/host/10.0.0.1/creds").json()["ssh_priv_key"] == ""


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # httpcore forgets to close the socket
def test_without_custodia_nothing_is_half_done(client: TestClient, services: Services, custodia: Custodia) -> None:
    client.put("/api/v0/host/10.0.0.1", json={"ssh_priv_key": KEY})
    (name,) = [each for each in custodia.names() if each.startswith(f"{OURS}/")]
    custodia.stop()
    try:
        for answer in (
            client.put("/api/v0/host/10.0.0.2", json={"ssh_priv_key": KEY}),
            client.get("/api/v0/host/10.0.0.1/creds"),
            ask(client, "one", "GET", "/"),
        ):
            assert answer.status_code == 503, answer.text
            assert "Custodia does not answer on" in answer.json()["detail"]
            assert KEY not in answer.text
        assert client.delete("/api/v0/host/10.0.0.1").status_code == 200, "the host is gone; its value is left behind"
    finally:
        custodia.start()
    with services.database.read() as session:
        assert session.exec(select(Host)).all() == session.exec(select(Secret)).all() == []
    backend = services.secrets.backends["custodia"]
    assert backend.unused(set()) == [], "too young to be called unused"
    with pytest.MonkeyPatch.context() as patch:
        later = time.time() + 7200
        patch.setattr(time, "time", lambda: later)
        reference = name.partition("/")[2].encode()
        assert backend.unused(set()) == [reference]
        assert backend.unused({reference}) == []
    backend.delete([reference])
    assert f"{OURS}/{reference.decode()}" not in custodia.names()
    assert client.put("/api/v0/host/10.0.0.2", json={"ssh_priv_key": KEY}).status_code == 201
    client.delete("/api/v0/host/10.0.0.2")


def test_a_transaction_that_fails_leaves_the_old_value(services: Services) -> None:
    store = services.secrets
    with services.database.write() as session:
        store.put(session, "host/1", "ssh_priv_key", "old")

    def fail() -> None:
        with services.database.write() as session:
            store.put(session, "host/1", "ssh_priv_key", "new")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    with services.database.write() as session:
        assert store.get(session, "host/1", "ssh_priv_key") == "old"
        store.put(session, "host/1", "ssh_priv_key", "new")
    with services.database.write() as session:
        assert store.get(session, "host/1", "ssh_priv_key") == "new"
        store.forget(session, "host/1")


def test_many_are_read_at_the_same_time(services: Services) -> None:
    store, owners = services.secrets, [f"host/{number}" for number in range(40)]
    with services.database.write() as session:
        for owner in owners:
            store.put(session, owner, "ssh_priv_key", f"key of {owner}")
    with services.database.write() as session:
        assert store.get_many(session, [*owners, "host/9999"], "ssh_priv_key") == {
            owner: f"key of {owner}" for owner in owners
        }
        for owner in owners:
            store.forget(session, owner)


def test_a_wrong_key_of_ours_is_told(custodia: Custodia, tmp_path: Path) -> None:
    settings = settings_for(custodia, tmp_path / "data", custodia_api_key="CANARY")
    assert "CANARY" not in repr(settings)
    with TestClient(create_app(settings), raise_server_exceptions=False) as client:
        answer = client.put("/api/v0/host/10.0.0.1", json={"ssh_priv_key": KEY}, auth=("a", "p"))
        assert answer.status_code == 503
        assert "Custodia refuses API id storage_service; see custodia_api_id" in answer.json()["detail"]
        assert "CANARY" not in answer.text
        backend = client.app.state.services.secrets.backends["custodia"]  # type: ignore[attr-defined]
        with pytest.raises(StoreUnavailable):
            backend.delete([b"x"])


def test_programs_use_custodia_through_us(client: TestClient) -> None:
    assert ask(client, "one", "GET", "/").json() == []
    assert ask(client, "one", "PUT", "/app/key", "v").status_code == 404
    assert ask(client, "one", "POST", "/app/").status_code == 201
    assert ask(client, "one", "POST", "/app/").status_code == 200
    assert ask(client, "one", "PUT", "/app/key", KEY).status_code == 201
    assert ask(client, "one", "PUT", "/app/key", KEY).status_code == 409
    assert ask(client, "one", "PUT", "/one/key", "v").status_code == 201
    answer = ask(client, "one", "GET", "/app/key")
    assert (answer.json(), answer.headers["Cache-Control"]) == ({"type": "simple", "value": KEY}, "no-store")
    assert ask(client, "one", "GET", "/app/").json() == ["key"]
    assert ask(client, "one", "GET", "/").json() == ["app/", "app/key", "one/", "one/key"]
    assert ask(client, "one", "GET", "/nothing").status_code == 404
    assert ask(client, "one", "DELETE", "/app/").status_code == 409
    for path in ("/app/key", "/app/", "/one/key", "/one/"):
        assert ask(client, "one", "DELETE", path).status_code == 204
        assert ask(client, "one", "DELETE", path).status_code == 404


def test_somebody_elses_secrets_are_not_there_though_custodia_would_show_them(client: TestClient) -> None:
    assert ask(client, "one", "PUT", "/one/key", KEY).status_code == 201
    for path in ("/one/key", "/key", "/%2e%2e/one/one/key", "/..%2Fone/one/key", "/%2Fsecrets%2Fone%2Fone%2Fkey"):
        answer = ask(client, "two", "GET", path)
        assert answer.status_code in (400, 404), path
        assert KEY not in answer.text
        assert ask(client, "two", "DELETE", path).status_code in (400, 404)
    assert ask(client, "two", "GET", "/").json() == []
    for path in ("/one/key", "/one/"):
        assert ask(client, "one", "DELETE", path).status_code == 204


@pytest.mark.parametrize(
    ("api_id", "key"),
    [("one", "key of two"), ("one", ""), ("", "key of one"), ("nobody", "x"), ("../one", "x")],
)
def test_whom_custodia_does_not_know_is_refused(client: TestClient, api_id: str, key: str) -> None:
    for method in ("GET", "PUT", "POST", "DELETE"):
        headers = {"CUSTODIA_AUTH_ID": api_id, "CUSTODIA_AUTH_KEY": key}
        assert client.request(method, "/api/v0/secrets/one/key", headers=headers).status_code == 403


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # httpcore forgets to close the socket
def test_secrets_are_brought_to_custodia_and_back(services: Services, custodia: Custodia) -> None:
    database, store = services.database, services.secrets
    owners = [f"host/{number}" for number in range(5)]
    with database.write() as session:
        for owner in owners:
            SecretStore(store.backends, "embedded").put(session, owner, "ssh_priv_key", f"key of {owner}")
    before = len(custodia.names())
    for to, at_custodia in (("custodia", 5), ("custodia", 5), ("embedded", 0)):
        list(migrate(database, store, to))
        assert count(database) == {to: 5}
        assert len(custodia.names()) == before + at_custodia
        with database.read() as session:
            assert store.get_many(session, owners, "ssh_priv_key") == {owner: f"key of {owner}" for owner in owners}
    custodia.stop()
    try:
        with pytest.raises(StoreUnavailable):
            list(migrate(database, store, "custodia"))
    finally:
        custodia.start()
    assert count(database) == {"embedded": 5}

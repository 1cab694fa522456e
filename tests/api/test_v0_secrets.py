"""`/api/v0/secrets`: Custodia's interface, for API ids and their keys alone."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from httpx2 import Response
from sqlmodel import select
from starlette.testclient import TestClient

from api.conftest import KEY, PASSWORD, USER, Fleet, settings_in
from commissaire.app import create_app
from commissaire.auth.throttle import FREE, WAITING_AT_MOST, Throttle
from commissaire.configuration import SettingsError
from commissaire.records import AuditEntry, Secret
from commissaire.secrets import factory
from commissaire.secrets.api_keys import create_api_key, delete_api_key, list_api_ids
from commissaire.secrets.custodia import CustodiaClient

CANARY = "CANARY-in-a-coal-mine"


@dataclass
class Program:
    """A client with an API id."""

    client: TestClient
    api_id: str
    key: str
    key_header: str = "CUSTODIA_AUTH_KEY"

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> Response:
        given = {"CUSTODIA_AUTH_ID": self.api_id, self.key_header: self.key}
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        sent = {name: value.encode() for name, value in given.items()}
        options: dict[str, Any] = {"content": body} if isinstance(body, bytes) else {"json": body} if body else {}
        return self.client.request(
            method, f"/api/v0/secrets{path}", headers=sent, auth=lambda request: request, **options
        )


def simple(value: str) -> dict[str, str]:
    return {"type": "simple", "value": value}


@pytest.fixture
def program(fleet: Fleet) -> Program:
    return make(fleet, "storage_service")


def make(fleet: Fleet, name: str) -> Program:
    with fleet.services.database.write() as session:
        return Program(fleet.client, name, create_api_key(session, name))


def check_problem(answer: Response, status: int) -> str:
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    return str(answer.json()["detail"])


def test_a_secret_is_kept_read_listed_and_deleted(program: Program) -> None:
    assert program("GET", "/").json() == []
    check_problem(program("PUT", "/app/key", simple("v")), 404)
    assert program("POST", "/app/").status_code == 201
    assert program("POST", "/app/").status_code == 200
    assert program("GET", "/app/").json() == []
    answer = program("PUT", "/app/key", simple(CANARY))
    assert (answer.status_code, answer.text) == (201, "")
    answer = program("GET", "/app/key")
    assert answer.json() == simple(CANARY)
    assert answer.headers["Cache-Control"] == "no-store"
    assert "delete it first" in check_problem(program("PUT", "/app/key", simple("other")), 409)
    assert program("POST", "/app/deep/").status_code == 201
    assert program("PUT", "/app/deep/key", simple("")).status_code == 201
    assert program("GET", "/app/deep/key").json() == simple("")
    assert program("GET", "/app/").json() == ["deep/", "deep/key", "key"]
    assert program("GET", "/").json() == program("GET", "").json() == ["app/", "app/deep/", "app/deep/key", "app/key"]
    check_problem(program("DELETE", "/app/"), 409)
    for path in ("/app/deep/key", "/app/deep/", "/app/key", "/app/"):
        answer = program("DELETE", path)
        assert (answer.status_code, answer.text) == (204, "")
        check_problem(program("DELETE", path), 404)
        check_problem(program("GET", path), 404)


def test_the_container_called_as_the_api_id_needs_no_making(program: Program) -> None:
    assert program("PUT", "/storage_service/key", simple("v")).status_code == 201
    assert program("GET", "/storage_service/").json() == ["key"]
    check_problem(program("PUT", "/storage_service/deep/key", simple("v")), 404)
    assert program("PUT", "/key", simple("v")).status_code == 201


def test_bytes_come_and_go_as_they_are(program: Program) -> None:
    data = bytes(range(256))
    assert program("PUT", "/bytes", data, content_type="application/octet-stream").status_code == 201
    answer = program("GET", "/bytes", accept="application/octet-stream")
    assert (answer.content, answer.headers["Content-Type"]) == (data, "application/octet-stream")
    assert program("GET", "/bytes", accept="application/json, application/octet-stream").json()["type"] == "simple"
    program("PUT", "/text", simple("no base64!"))
    check_problem(program("GET", "/text", accept="application/octet-stream"), 406)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("PUT", "/c/", 405), ("POST", "/c", 405), ("DELETE", "/", 405), ("PUT", "/", 405), ("PATCH", "/c", 405),
        ("GET", "/nothing", 404), ("GET", "/nothing/", 404), ("DELETE", "/nothing", 404), ("POST", "/a/b/", 404),
        ("GET", "/a//b", 400), ("GET", "//a", 400), ("GET", "/a/%2e%2e/b", 400), ("GET", "/%2e", 400),
        ("GET", "/a%2Fb", 400), ("GET", "/a%00b", 400), ("GET", "/a%0Ab", 404), ("GET", "/%ff", 400),
        ("GET", f"/{'x' * 256}", 400), ("PUT", "/" + "x/" * 600, 400), ("POST", f"/{'x' * 300}/", 400),
    ],
)  # fmt: skip
def test_what_can_not_be_is_told(program: Program, method: str, path: str, status: int) -> None:
    answer = program(method, path, simple("v") if method == "PUT" else None)
    assert check_problem(answer, status)
    assert ("Allow" in answer.headers) is (status == 405)


@pytest.mark.parametrize(
    ("body", "media", "status"),
    [
        (b"", "application/json", 400), (b"null", "application/json", 400), (b"[]", "application/json", 400),
        (b'{"type": "simple"}', "application/json", 400), (b'{"value": "v"}', "application/json", 400),
        (b'{"type": "simple", "value": 5}', "application/json", 400), (b"\xff", "application/json", 400),
        (b'{"type": "kem", "value": "CANARY"}', "application/json", 406), (b"CANARY", "text/plain", 400),
        (b'{"type": "simple", "value": ["CANARY"]}', "application/json", 400), (b"CANARY", "", 400),
        (b'{"type": "simple", "value": "\\ud800CANARY"}', "application/json", 400),
    ],
)  # fmt: skip
def test_a_body_that_is_no_secret_is_refused(program: Program, body: bytes, media: str, status: int) -> None:
    answer = program("PUT", "/key", body, content_type=media)
    assert "CANARY" not in check_problem(answer, status)
    check_problem(program("GET", "/key"), 404)


@pytest.mark.parametrize("header", ["CUSTODIA_AUTH_KEY", "CUSTODIA_KEY_ID", "custodia_key_id"])
def test_the_keys_header_has_either_name(program: Program, header: str) -> None:
    program.key_header = header
    assert program("PUT", "/key", simple("v")).status_code == 201
    assert program("GET", "/key").json() == simple("v")


WRONG = {
    "no key": ("storage_service", ""), "another key": ("storage_service", "x" * 43), "no id": ("", "{key}"),
    "another id": ("somebody", "{key}"), "nothing": ("", ""), "an id that can be none": ("../x", "{key}"),
    "the key's hash": ("storage_service", "{hash}"), "no ASCII": ("storage_service", "ä"), "long": ("x" * 5000, "x"),
}  # fmt: skip


@pytest.mark.parametrize("why", WRONG)
@pytest.mark.parametrize("method", ["GET", "PUT", "POST", "DELETE"])
def test_wrong_keys_are_refused_before_anything_is_looked_at(program: Program, why: str, method: str) -> None:
    program("PUT", "/key", simple(CANARY))
    api_id, key = WRONG[why]
    key = key.replace("{key}", program.key)
    stranger = Program(program.client, api_id, key)
    for path in ("/key", "/nothing", "/c/", "/%2e%2e/x"):
        answer = stranger(method, path, b"nonsense" if method == "PUT" else None)
        assert CANARY not in check_problem(answer, 403)
    assert program("GET", "/key").json() == simple(CANARY)


@pytest.mark.parametrize("method", ["GET", "PUT", "POST", "DELETE"])
def test_an_administrators_password_is_of_no_use_here(program: Program, method: str) -> None:
    program("PUT", "/key", simple(CANARY))
    answer = program.client.request(method, "/api/v0/secrets/key", auth=(USER, PASSWORD))
    check_problem(answer, 403)


@pytest.mark.parametrize("path", ["/key", "/app/key", "/one/key", "/app/", "/one/"])
@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_somebody_elses_secrets_are_not_there(fleet: Fleet, method: str, path: str) -> None:
    one, two = make(fleet, "one"), make(fleet, "two")
    one("POST", "/app/")
    for each in ("/key", "/app/key", "/one/key"):
        assert one("PUT", each, simple(CANARY)).status_code == 201
    answer = two(method, path)
    assert CANARY not in check_problem(answer, 404)
    assert two("GET", "/").json() == []
    two("POST", "/app/")
    assert two("PUT", "/app/key", simple("mine")).status_code == 201
    assert one("GET", "/app/key").json() == simple(CANARY)


def test_no_key_is_looked_at_from_where_many_wrong_ones_come(
    program: Program, fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    busy = Throttle(3)
    monkeypatch.setattr(fleet.services, "key_throttle", busy)
    with ExitStack() as waiting:
        for _ in range(FREE + WAITING_AT_MOST):
            waiting.enter_context(busy.refusal("10.9.9.9", ""))
        answer = program("GET", "")
        assert "too many wrong keys come from 10.9.9.9" in check_problem(answer, 429)
        assert answer.headers["Retry-After"] == "2"
    assert program("GET", "").status_code == 200


def test_a_key_opens_nothing_but_the_secrets(program: Program) -> None:
    headers = {"CUSTODIA_AUTH_ID": program.api_id, "CUSTODIA_AUTH_KEY": program.key}
    for path in ("/api/v0/hosts", "/api/v0/secretsx", "/api/v0/secret", "/api/v0//secrets"):
        answer = program.client.get(path, headers=headers, auth=lambda request: request)
        check_problem(answer, 403)


def test_a_name_with_wildcards_lists_its_own_container_alone(program: Program) -> None:
    for name in ("a%25", "a_", "ab"):
        program("POST", f"/{name}/")
        program("PUT", f"/{name}/key", simple("v"))
    assert program("GET", "/a%25/").json() == program("GET", "/a_/").json() == ["key"]
    program("POST", "/AB/")
    assert program("GET", "/AB/").json() == []


def test_who_asked_is_in_the_audit_trail_and_no_value_is(program: Program, fleet: Fleet) -> None:
    program("PUT", "/key", simple(CANARY))
    program("GET", "/key")
    program("DELETE", "/key")
    fleet.host("10.0.0.1")
    fleet.client.get("/api/v0/host/10.0.0.1/creds")
    with fleet.services.database.read() as session:
        entries = session.exec(select(AuditEntry)).all()
    assert [(entry.who, entry.what, entry.outcome) for entry in entries] == [
        ("api:storage_service", "PUT /api/v0/secrets/key", 201),
        ("api:storage_service", "GET /api/v0/secrets/key", 200),
        ("api:storage_service", "DELETE /api/v0/secrets/key", 204),
        ("admin", "PUT /api/v0/host/10.0.0.1", 201),
        ("admin", "GET /api/v0/host/10.0.0.1/creds", 200),
    ]
    assert not any(CANARY in str(entry) for entry in entries)


def test_keys_and_values_are_not_readable_in_a_dump(program: Program, fleet: Fleet) -> None:
    program("PUT", "/key", simple(CANARY))
    path = fleet.services.settings.data_dir / "commissaire.db"
    with sqlite3.connect(path) as connection:
        dump = "\n".join(connection.iterdump())
    connection.close()
    assert "storage_service" in dump
    for needle in (CANARY, program.key, program.key.encode().hex(), CANARY.encode().hex()):
        assert needle.upper() not in dump.upper()
        assert not any(needle.encode() in each.read_bytes() for each in path.parent.glob("commissaire.db*"))


def test_an_api_id_goes_with_everything_it_keeps(program: Program, fleet: Fleet) -> None:
    program("POST", "/app/")
    program("PUT", "/app/key", simple("v"))
    with fleet.services.database.write() as session:
        assert list_api_ids(session) == ["storage_service"]
        assert delete_api_key(session, fleet.services.secrets, "storage_service") == 1
    check_problem(program("GET", "/app/key"), 403)
    again = make(fleet, "storage_service")
    assert again("GET", "/").json() == []
    with fleet.services.database.read() as session:
        assert session.exec(select(Secret)).all() == []


@pytest.fixture
def gated(tmp_path: Any, empty_database: Any) -> Iterator[TestClient]:
    with TestClient(create_app(settings_in(tmp_path, empty_database, self_auths=[]))) as client:
        yield client


def test_where_no_path_is_left_to_itself_both_credentials_are_wanted(gated: TestClient) -> None:
    with gated.app.state.services.database.write() as session:  # type: ignore[attr-defined]
        key = create_api_key(session, "one")
    headers = {"CUSTODIA_AUTH_ID": "one", "CUSTODIA_AUTH_KEY": key}
    assert gated.get("/api/v0/secrets", headers=headers).status_code == 403
    assert gated.get("/api/v0/secrets", headers=headers, auth=(USER, PASSWORD)).status_code == 200
    assert gated.get("/api/v0/secrets", auth=(USER, PASSWORD)).status_code == 403


def test_the_server_does_not_start_with_a_path_that_would_be_open(tmp_path: Any, empty_database: Any) -> None:
    with pytest.raises(SettingsError, match="open to everybody"):
        create_app(settings_in(tmp_path, empty_database, self_auths=["/api/v0/hosts"]))


def test_no_client_of_custodias_is_left_open(
    tmp_path: Path, empty_database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, closed = [], []

    class Noted(CustodiaClient):
        def __init__(self, socket_path: Path) -> None:
            super().__init__(socket_path)
            made.append(self)

        def close(self) -> None:
            super().close()
            closed.append(self)

    monkeypatch.setattr(factory, "CustodiaClient", Noted)
    custodia = {"secret_store": "custodia", "custodia_api_id": "commissaire", "custodia_api_key": "key"}
    with TestClient(create_app(settings_in(tmp_path, empty_database, **custodia))):
        assert (len(made), closed) == (2, [])
    assert set(closed) == set(made)


def test_a_hosts_credentials_are_shown(fleet: Fleet) -> None:
    fleet.host("10.0.0.1", ssh_priv_key=KEY, remote_user="operator")
    fleet.host("10.0.0.2")
    answer = fleet.client.get("/api/v0/host/10.0.0.1/creds")
    assert answer.json() == {"address": "10.0.0.1", "ssh_priv_key": KEY, "remote_user": "operator"}
    assert answer.headers["Cache-Control"] == "no-store"
    answer = fleet.client.get("/api/v0/host/10.0.0.2/creds")
    assert answer.json() == {"address": "10.0.0.2", "ssh_priv_key": "", "remote_user": "root"}
    check_problem(fleet.client.get("/api/v0/host/10.0.0.3/creds"), 404)

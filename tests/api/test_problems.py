"""Errors are RFC 9457 problems, whatever goes wrong and wherever."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from httpx2 import Response
from sqlalchemy.exc import DataError, IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlmodel import select
from starlette.testclient import TestClient

from api.conftest import KEY, PASSWORD, USER, Fleet
from commissaire.app import create_app
from commissaire.records import AuditEntry, Secret
from commissaire.requests import MAX_BODY_BYTES
from commissaire.settings import Settings

PUTS = ["/api/v0/cluster/web", "/api/v0/cluster/web/hosts", "/api/v0/cluster/web/restart", "/api/v0/host/10.0.0.1",
        "/api/v0/host", "/api/v1/hosts/10.0.0.1/host-key"]  # fmt: skip


def check(answer: Response, status: int) -> dict[str, Any]:
    """Return a problem document after checking its form."""
    document: dict[str, Any] = answer.json()
    assert (answer.status_code, document["status"]) == (status, status), answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert len(answer.headers["X-Request-Id"]) == 32
    assert document.keys() - {"errors"} == {"type", "title", "status", "detail"}
    assert document["title"]
    assert document["detail"]
    return document


@pytest.mark.parametrize(
    "path",
    ["/api/v0/nothing", "/api/v1/nothing", "/nothing", "/", "/api/v0/clusters//", "/docs", "/healthz/x",
     "/api/v0/cluster/web/upgrade/x", "/api/v0/../v0/clusters/x"],
)  # fmt: skip
def test_what_is_not_there_is_not_found(client: TestClient, path: str) -> None:
    assert path.rstrip("/")[-6:] in check(client.get(path), 404)["detail"]


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", "/api/v0/clusters", "GET"),
        ("POST", "/api/v0/cluster/web", "GET, PUT, DELETE"),
        ("DELETE", "/api/v0/cluster/web/hosts", "GET, PUT"),
        ("PATCH", "/api/v0/cluster/web/hosts/10.0.0.1", "GET, PUT, DELETE"),
        ("DELETE", "/api/v0/cluster/web/restart", "GET, PUT"),
        ("PUT", "/api/v0/hosts", "GET"),
        ("POST", "/api/v0/host/10.0.0.1", "GET, PUT, DELETE"),
        ("GET", "/api/v0/host", "PUT"),
        ("DELETE", "/api/v0/host/10.0.0.1/status", "GET"),
        ("PUT", "/api/v1/operations", "GET, POST"),
        ("DELETE", "/api/v1/operations/1", "GET"),
        ("GET", "/api/v1/operations/1/cancel", "POST"),
        ("DELETE", "/api/v1/hosts/10.0.0.1", "GET"),
        ("GET", "/api/v1/hosts/10.0.0.1/host-key", "PUT"),
        ("POST", "/api/v1/inventory", "GET"),
        ("POST", "/healthz", "GET"),
        ("OPTIONS", "/api/v0/clusters/", "GET"),
        ("BREW", "/metrics", "GET"),
    ],
)
def test_another_verb_is_told_which_ones_there_are(client: TestClient, method: str, path: str, allowed: str) -> None:
    answer = client.request(method, path)
    check(answer, 405)
    assert answer.headers["Allow"] == allowed


@pytest.mark.parametrize("path", PUTS)
@pytest.mark.parametrize(
    "body",
    [b"{", b"[]", b"null", b" null\n", b'"x"', b"1", b"true", b"nul", b"\xff\xfe", b'{"a":1}}', b"{'a': 1}",
     b"[" * 100_000, b'{"x":' * 100_000, b"9" * 5000, b"a=b", b"\x00", b"NaN",
     b'{"name": "\\ud800", "host_key": "\\ud800", "source": "\\ud800", "max_failures": "\\ud800"}'],
)  # fmt: skip
def test_a_body_that_is_no_object_or_holds_what_it_must_not_is_a_bad_request(
    client: TestClient, path: str, body: bytes
) -> None:
    client.put("/api/v0/cluster/web")
    check(client.put(path, content=body, headers={"Content-Type": "application/json"}), 400)


@pytest.mark.parametrize("content", [b"null", b"[]", b"5", b"{", b"\xff", b"[" * 100_000])
def test_where_none_is_needed_a_body_is_an_object_all_the_same(fleet: Fleet, content: bytes) -> None:
    fleet.cluster("web", "10.0.0.1")
    member = "/api/v0/cluster/web/hosts/10.0.0.1"
    for method, path in (("PUT", member), ("DELETE", member), ("DELETE", "/api/v0/host/10.0.0.1"),
                         ("DELETE", "/api/v0/cluster/web"), ("DELETE", "/api/v0/network/web"),
                         ("DELETE", "/api/v0/containermanager/web")):  # fmt: skip
        check(fleet.client.request(method, path, content=content), 400)
    assert fleet.client.get("/api/v0/cluster/web/hosts").json() == ["10.0.0.1"]


@pytest.mark.parametrize("content_type", [None, "", "text/plain", "application/x-www-form-urlencoded", "x; y=\xff"])
def test_under_v0_a_body_is_json_whatever_its_type_says(client: TestClient, content_type: str | None) -> None:
    headers = {} if content_type is None else {"Content-Type": content_type.encode("latin-1")}
    answer = client.put("/api/v0/cluster/web", content=b'{"network": "none"}', headers=headers)
    check(answer, 409)


@pytest.mark.parametrize("path", PUTS)
def test_a_body_over_the_limit_is_too_large(client: TestClient, path: str) -> None:
    json = {"Content-Type": "application/json"}
    check(client.put(path, content=b" " * (MAX_BODY_BYTES + 1), headers=json), 413)
    chunks = iter([b" " * MAX_BODY_BYTES, b"{", b"}"])
    check(client.put(path, content=chunks, headers=json), 413)
    check(client.put(path, content=b"{}", headers={**json, "Content-Length": "9" * 50}), 413)


def test_a_body_at_the_limit_is_not(client: TestClient) -> None:
    assert client.put("/api/v0/cluster/web", content=b"{}" + b" " * (MAX_BODY_BYTES - 2)).status_code == 201


def test_who_may_not_come_in_is_refused_whatever_the_body(client: TestClient) -> None:
    answer = client.put("/api/v0/cluster/web", content=b" " * (MAX_BODY_BYTES + 1), auth=("admin", "wrong"))
    check(answer, 403)


def test_wrong_input_is_told_place_by_place(client: TestClient) -> None:
    errors = check(client.put("/api/v0/cluster/web/hosts", json={"old": "x", "new": [1]}), 400)["errors"]
    assert [error["location"] for error in errors] == ["body.old", "body.new.0"]
    broken = check(client.put("/api/v0/cluster/web", content=b'{"network": }'), 400)["errors"]
    assert broken == [{"location": "body", "message": "no JSON: Expecting value (character 12)"}]


@pytest.fixture
def breaking(settings: Settings) -> Iterator[TestClient]:
    """An application with routes that break."""
    app = create_app(settings)

    def raising(error: Exception) -> Any:
        def route() -> None:
            raise error

        return route

    for name, error in {
        "unexpected": RuntimeError("CANARY"),
        "operational": OperationalError("CANARY", {"key": "CANARY"}, Exception("disk I/O error")),
        "pool": PoolTimeoutError("CANARY"),
        "integrity": IntegrityError("CANARY", {}, Exception("CANARY")),
        "data": DataError("CANARY", {}, Exception("CANARY")),
    }.items():
        app.add_api_route(f"/{name}", raising(error))
    with TestClient(app, raise_server_exceptions=False) as client:
        client.auth = (USER, PASSWORD)
        yield client


@pytest.mark.parametrize(
    ("path", "status"),
    [("/unexpected", 500), ("/operational", 503), ("/pool", 503), ("/integrity", 409), ("/data", 400)],
)
def test_what_breaks_inside_is_answered_without_its_details(breaking: TestClient, path: str, status: int) -> None:
    answer = breaking.get(path)
    check(answer, status)
    assert "CANARY" not in answer.text
    assert ("Retry-After" in answer.headers) is (status == 503)


def test_a_key_sealed_with_another_master_key_is_told(fleet: Fleet) -> None:
    fleet.client.put("/api/v0/host/10.0.0.1", json={"ssh_priv_key": KEY})
    with fleet.services.database.write() as session:
        secret = session.exec(select(Secret)).one()
        secret.key_id = "another"
        session.add(secret)
    answer = fleet.client.put("/api/v0/host/10.0.0.1", json={"ssh_priv_key": KEY})
    assert "restore the master key" in check(answer, 500)["detail"]


@pytest.mark.parametrize(
    ("given", "kept"),
    [("abc-1.2_3", True), ("x" * 64, True), ("x" * 65, False), ("a b", False), ("", False), ("ä", False)],
)
def test_a_requests_id_is_the_clients_or_a_new_one(client: TestClient, given: str, kept: bool) -> None:
    shown = client.get("/healthz", headers={"X-Request-Id": given.encode()}).headers["X-Request-Id"]
    assert (shown == given) is kept
    assert shown.isascii()


def test_changes_are_audited_with_who_what_and_outcome(fleet: Fleet) -> None:
    fleet.client.put("/api/v0/cluster/web", headers={"X-Request-Id": "one"})
    fleet.client.delete("/api/v0/cluster/a%00b%0a/")
    fleet.client.get("/api/v0/clusters")
    fleet.client.put("/api/v0/cluster/web", auth=("admin", "wrong"))
    with fleet.services.database.read() as session:
        entries = session.exec(select(AuditEntry)).all()
    assert [(entry.who, entry.what, entry.client, entry.outcome) for entry in entries] == [
        ("admin", "PUT /api/v0/cluster/web", "10.9.9.9", 201),
        ("admin", "DELETE /api/v0/cluster/a%00b%0A", "10.9.9.9", 404),
    ]
    assert entries[0].request_id == "one"


def test_ready_means_that_the_database_answers(settings: Settings) -> None:
    with TestClient(create_app(settings), raise_server_exceptions=False) as client:
        assert client.get("/readyz").json() == {"status": "ok"}
        services = client.app.state.services  # type: ignore[attr-defined]
        with services.database.write() as session:
            session.connection().exec_driver_sql("ALTER TABLE network RENAME TO elsewhere")
        check(client.get("/readyz"), 503)
        assert client.get("/healthz").status_code == 200


@pytest.mark.parametrize(
    "path",
    ["/api/v0/clusters", "/api/v0/hosts", "/api/v1/operations", "/api/v1/hosts", "/api/v1/inventory", "/metrics",
     "/healthz", "/readyz", "/openapi.json", "/api/v0/cluster/web", "/api/v0/cluster/web/hosts"],
)  # fmt: skip
def test_every_path_answers_with_and_without_one_slash_at_its_end(client: TestClient, path: str) -> None:
    client.put("/api/v0/cluster/web/")
    for slash in ("", "/"):
        assert client.get(path + slash, follow_redirects=False).status_code == 200
    assert client.get(path + "//", follow_redirects=False).status_code == 404


def test_a_query_parameter_that_is_not_there_is_refused_under_v1(client: TestClient) -> None:
    for path in ("/api/v1/hosts?clutser=web", "/api/v1/operations?limit=1&=", "/api/v1/hosts?_=1"):
        answer = client.get(path)
        assert (answer.status_code, "there is no query parameter" in answer.json()["detail"]) == (400, True), path
    assert client.get("/api/v1/hosts?limit=1&after=").status_code == 200
    assert client.get("/api/v0/hosts?clutser=web").status_code == 200

"""REST v1: the console of a machine over a WebSocket, to which the test driver has none: a double speaks for it."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient, WebSocketDenialResponse
from starlette.websockets import WebSocketDisconnect

from api.conftest import PASSWORD, USER, USERS, settings_in
from api.consoles import Echo
from api.hypervisors import node, record
from commissaire.app import create_app
from commissaire.routes import machine_access

pytest.importorskip("libvirt", reason="no libvirt-python: install libvirt-dev, then run make setup")
PATH = "/api/v1/machines/west/web1/console"
HASH = USERS[USER]["hash"]


@pytest.fixture
def echo(monkeypatch: pytest.MonkeyPatch) -> type[Echo]:
    monkeypatch.setattr(Echo, "opened", [], raising=False)
    monkeypatch.setattr(machine_access, "open_console", Echo)
    return Echo


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Iterator[TestClient]:
    folder = tmp_path_factory.mktemp("console")
    users = {role: {"hash": HASH, "role": role} for role in ("administrator", "operator", "viewer", "registrar")}
    plugin = {"name": "httpbasicauth", "users": users}
    app = create_app(settings_in(folder, empty_database, authentication_plugins=[plugin]))
    with TestClient(app) as client:
        client.auth = ("administrator", PASSWORD)
        record(client, "west", node(folder, "web1"))
        yield client


def sign_in(user: str, password: str = PASSWORD) -> dict[str, str]:
    return {"Authorization": f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"}


def refusal(client: TestClient, headers: dict[str, str], path: str = f"{PATH}/attach") -> tuple[int, str]:
    bare = TestClient(client.app)
    with pytest.raises(WebSocketDenialResponse) as refused, bare.websocket_connect(path, headers=headers):
        pass
    return refused.value.status_code, refused.value.json()["detail"]


def test_what_is_typed_and_said_goes_both_ways(console: TestClient, echo: type[Echo]) -> None:
    with TestClient(console.app).websocket_connect(f"{PATH}/attach", headers=sign_in("operator")) as socket:
        assert socket.receive_bytes() == b"login: "
        socket.send_bytes(b"root\r")
        assert socket.receive_bytes() == b"ROOT\r"
    assert [each.closed for each in echo.opened] == [True]
    entry = console.get("/api/v1/audit", params={"what": "/attach"}).json()["items"][0]
    assert (entry["who"], entry["what"], entry["outcome"]) == ("operator", f"WebSocket {PATH}/attach", 101)


def test_the_end_of_the_machine_ends_the_connection(console: TestClient, echo: type[Echo]) -> None:
    with TestClient(console.app).websocket_connect(f"{PATH}/attach", headers=sign_in("operator")) as socket:
        socket.send_bytes(b"halt\r")
        assert (socket.receive_bytes(), socket.receive_bytes()) == (b"login: ", b"HALT\r")
        with pytest.raises(WebSocketDisconnect) as end:
            socket.receive_bytes()
        assert end.value.code == 1000
    assert echo.opened[0].closed


@pytest.mark.parametrize("headers", [{}, sign_in("operator", "wrong"), sign_in("nobody")])
def test_strangers_get_no_console(console: TestClient, echo: type[Echo], headers: dict[str, str]) -> None:
    assert refusal(console, headers) == (401, "the credentials are missing or wrong")
    assert refusal(console, headers, "/healthz")[0] == 401
    assert echo.opened == []


@pytest.mark.parametrize("role", ["viewer", "registrar"])
def test_who_only_reads_gets_no_console(console: TestClient, echo: type[Echo], role: str) -> None:
    status, detail = refusal(console, sign_in(role))
    assert status == 403
    assert detail.startswith(f"{role} has the role {role}; WebSocket {PATH}/attach needs operator")
    assert echo.opened == []


def test_a_page_of_another_site_gets_no_console(console: TestClient, echo: type[Echo]) -> None:
    assert refusal(console, {**sign_in("operator"), "Origin": "https://evil.example.com"})[0] == 403
    assert echo.opened == []


def test_what_has_no_console_is_refused_with_the_reason(console: TestClient) -> None:
    status, detail = refusal(console, sign_in("operator"))
    assert status == 409
    assert "virDomainOpenConsole" in detail
    assert refusal(console, sign_in("operator"), PATH.replace("web1", "nobody") + "/attach")[0] == 404


def test_what_is_said_within_some_seconds_is_text(console: TestClient, echo: type[Echo]) -> None:
    answer = console.get(PATH, params={"seconds": 1})
    assert answer.text == "login: "
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert echo.opened[0].closed
    assert console.get("/api/v1/audit", params={"what": "/console"}).json()["items"][0]["what"] == f"GET {PATH}"
    assert console.get(PATH, params={"seconds": 61}).status_code == 400

"""Who may do what: every route of the OpenAPI document, in every role."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from api.conftest import PASSWORD, USERS, settings_in
from commissaire.app import create_app
from commissaire.auth.self_auth import SelfAuths

HASH = next(iter(USERS.values()))["hash"]
ROLES = ("administrator", "operator", "viewer", "registrar")
READERS = {"administrator", "operator", "viewer"}
RUNNERS = {"administrator", "operator"}
NOT_BY_DEFAULT = {
    "GET /api/v0/host/{address}/creds": {"administrator"},
    "GET /api/v1/audit": {"administrator"},
    "PUT /api/v0/host": {"administrator", "registrar"},
    "PUT /api/v0/host/{address}": {"administrator", "registrar"},
    "PUT /api/v0/cluster/{name}/restart": RUNNERS,
    "PUT /api/v0/cluster/{name}/upgrade": RUNNERS,
    "PUT /api/v0/cluster/{name}/deploy": RUNNERS,
    "POST /api/v1/operations": RUNNERS,
    "POST /api/v1/operations/{operation_id}/cancel": RUNNERS,
    "POST /api/v1/operations/{operation_id}/pause": RUNNERS,
    "POST /api/v1/operations/{operation_id}/resume": RUNNERS,
    "POST /api/v1/operations/{operation_id}/retry": RUNNERS,
    "POST /api/v1/hosts/{address}/bootstrap": RUNNERS,
    "POST /api/v1/hosts/{address}/check": RUNNERS,
    "POST /api/v1/hosts/{address}/uncordon": RUNNERS,
    "POST /api/v1/sources/{name}/refresh": RUNNERS,
    "POST /host/{hostname}": RUNNERS,
    "POST /host/{hostname}/network/{networkname}": RUNNERS,
    "POST /hosts/{hostname}": RUNNERS,
    "PUT /hosts/{hostname}/start": RUNNERS,
    "DELETE /hosts/{hostname}": RUNNERS,
    "POST /networks/{networkname}": RUNNERS,
    "DELETE /networks/{networkname}": RUNNERS,
    "POST /api/v1/schedules": RUNNERS,
    "PUT /api/v1/schedules/{name}": RUNNERS,
    "DELETE /api/v1/schedules/{name}": RUNNERS,
    "POST /api/v1/schedules/{name}/enable": RUNNERS,
    "POST /api/v1/schedules/{name}/disable": RUNNERS,
    "POST /api/v1/schedules/{name}/run": RUNNERS,
    "POST /api/v1/machines/{hypervisor}/{name}": RUNNERS,
    "DELETE /api/v1/machines/{hypervisor}/{name}": RUNNERS,
    "POST /api/v1/machines/{hypervisor}/{name}/{action}": RUNNERS,
    "GET /api/v1/machines/{hypervisor}/{name}/console": RUNNERS,
    "GET /api/v1/machines/{hypervisor}/{name}/screenshot": RUNNERS,
    "POST /api/v1/machines/{hypervisor}/{name}/snapshots": RUNNERS,
    "POST /api/v1/machines/{hypervisor}/{name}/snapshots/{snapshot}/revert": RUNNERS,
    "DELETE /api/v1/machines/{hypervisor}/{name}/snapshots/{snapshot}": RUNNERS,
    "POST /api/v1/vm-networks/{hypervisor}/{name}": RUNNERS,
    "DELETE /api/v1/vm-networks/{hypervisor}/{name}": RUNNERS,
    "GET /api/v1/guests/{vm}/files": RUNNERS,
    "PUT /api/v1/guests/{vm}/files": RUNNERS,
    "PUT /api/v1/guests/{vm}/password": RUNNERS,
    "POST /api/v1/guests/{vm}/network": RUNNERS,
    "POST /api/v1/guests/{vm}/command": RUNNERS,
    "POST /api/v1/guests/{vm}/agent": RUNNERS,
    "POST /api/v1/hypervisors/{name}/probe": RUNNERS,
    "POST /virt/{client}/{vm}/{command}": RUNNERS,
}
"""What is decided here and nowhere else: a route that gets another mark fails below."""


@pytest.fixture(scope="module")
def signed_in(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Iterator[dict[str, TestClient]]:
    """A client a role, of one application that has a user of each."""
    users = {role: {"hash": HASH, "role": role} for role in ROLES}
    plugin = {"name": "httpbasicauth", "users": users}
    app = create_app(settings_in(tmp_path_factory.mktemp("roles"), empty_database, authentication_plugins=[plugin]))
    with TestClient(app) as client:
        clients = {role: TestClient(app, raise_server_exceptions=False) for role in ROLES}
        for role, each in clients.items():
            each.auth = (role, PASSWORD)
        assert client.get("/healthz").status_code == 200
        yield clients


@pytest.fixture(scope="module")
def routes(signed_in: dict[str, TestClient]) -> list[str]:
    paths: dict[str, Any] = signed_in["viewer"].get("/openapi.json").json()["paths"]
    of_their_own = SelfAuths(["/api/v0/secrets"])
    return [
        f"{method.upper()} {path}"
        for path, operations in paths.items()
        for method, operation in operations.items()
        if operation.get("security") != [] and not of_their_own.cover(path)
    ]


def allowed(route: str) -> set[str]:
    return NOT_BY_DEFAULT.get(route, READERS if route.startswith("GET ") else {"administrator"})


def ask(client: TestClient, route: str) -> tuple[int, str]:
    """Send a request that a route refuses or finds nothing for, rather than do something."""
    method, path = route.split()
    filled = path.replace("{operation_id}", "999").replace("{address}", "10.0.0.9")
    query = {"seconds": 1} if path == "/api/v1/machines/events" else None  # else it would not end
    answer = client.request(method, re.sub(r"{\w+}", "nowhere", filled), params=query, json=[])
    is_problem = answer.headers["Content-Type"] == "application/problem+json"
    return answer.status_code, answer.json()["detail"] if is_problem else ""


@pytest.mark.parametrize("role", ROLES)
def test_a_role_may_what_it_may_and_nothing_else(
    signed_in: dict[str, TestClient], routes: list[str], role: str
) -> None:
    assert len(routes) > 25
    for route in routes:
        status, detail = ask(signed_in[role], route)
        if role in allowed(route):
            assert "has the role" not in detail, route
            assert status not in (401, 403, 429, 500), (route, detail)
        else:
            method = route.split()[0]
            assert status == 403, route
            assert detail.startswith(f"{role} has the role {role}; {method} "), route
            assert re.search(r" needs \w+: sign in", detail), route


def test_the_document_tells_the_least_role(signed_in: dict[str, TestClient], routes: list[str]) -> None:
    paths = signed_in["viewer"].get("/openapi.json").json()["paths"]
    for route in routes:
        method, path = route.split()
        least = {
            frozenset(READERS): "viewer", frozenset(RUNNERS): "operator", frozenset({"administrator"}): "administrator",
        }.get(frozenset(allowed(route)), "registrar")  # fmt: skip
        assert paths[path][method.lower()]["x-role"] == least, route


def test_what_is_not_there_is_not_found_in_any_role(signed_in: dict[str, TestClient]) -> None:
    for client in signed_in.values():
        assert client.get("/api/v0/nothing").status_code == 404
        assert client.delete("/api/v0/clusters").status_code == 405


def test_the_role_is_remembered_with_the_credentials(signed_in: dict[str, TestClient]) -> None:
    for _ in range(2):
        assert signed_in["viewer"].put("/api/v0/cluster/web", json={}).status_code == 403
        assert signed_in["registrar"].get("/api/v0/clusters").status_code == 403
        assert signed_in["administrator"].put("/api/v0/cluster/web", json={}).status_code == 201

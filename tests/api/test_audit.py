"""Who did what, and where to read it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fastapi import APIRouter
from starlette.testclient import TestClient

from api.conftest import PASSWORD, USER, USERS, settings_in
from commissaire.app import create_app


def audit(client: TestClient, **query: Any) -> list[tuple[str, str, str, int]]:
    answer = client.get("/api/v1/audit", params=query)
    assert answer.status_code == 200, answer.text
    return [(item["who"], item["role"], item["what"], item["outcome"]) for item in answer.json()["items"]]


def test_what_changes_something_is_recorded_with_name_role_and_outcome(client: TestClient) -> None:
    client.put("/api/v0/cluster/web", json={})
    client.get("/api/v0/cluster/web")
    client.put("/api/v0/cluster/web", json={"network": "none"}, headers={"X-Request-Id": "mine"})
    assert audit(client) == [
        (USER, "administrator", "PUT /api/v0/cluster/web", 409),
        (USER, "administrator", "PUT /api/v0/cluster/web", 201),
    ]
    newest = client.get("/api/v1/audit").json()["items"][0]
    assert (newest["request_id"], newest["client"]) == ("mine", "10.9.9.9")
    assert newest["time"].endswith("Z")


def test_it_is_filtered_and_comes_in_pages(client: TestClient) -> None:
    for name in ("a", "b", "c_%"):
        client.put(f"/api/v0/cluster/{name}", json={})
    assert [what for _, _, what, _ in audit(client, what="cluster/b")] == ["PUT /api/v0/cluster/b"]
    assert audit(client, what="c%") == []  # no pattern
    assert [what for _, _, what, _ in audit(client, what="c_%25")] == ["PUT /api/v0/cluster/c_%25"]
    assert len(audit(client, who=USER)) == 3
    assert audit(client, who="nobody") == []
    first = client.get("/api/v1/audit", params={"limit": 2}).json()
    second = client.get("/api/v1/audit", params={"limit": 2, "before": first["next"]}).json()
    assert [len(page["items"]) for page in (first, second)] == [2, 1]
    assert second["next"] is None


def test_reading_what_is_marked_is_recorded_also_when_it_is_refused(tmp_path: Path, empty_database: Path) -> None:
    viewer = {"hash": USERS[USER]["hash"], "role": "viewer"}
    plugin = {"name": "httpbasicauth", "users": {**USERS, "viewer": viewer}}
    app = create_app(settings_in(tmp_path, empty_database, authentication_plugins=[plugin]))
    router = APIRouter(prefix="/api/v1/canary")
    marks = {"x-audit": True, "x-role": "administrator"}

    @router.get("/{name}", openapi_extra=marks)
    async def reveal(name: str) -> str:
        return "secret"

    app.include_router(router)
    with TestClient(app) as client:
        client.auth = (USER, PASSWORD)
        assert client.get("/api/v1/canary/a").text == '"secret"'
        assert client.get("/api/v1/canary/b", auth=("viewer", PASSWORD)).status_code == 403
        assert audit(client) == [
            ("viewer", "viewer", "GET /api/v1/canary/b", 403),
            (USER, "administrator", "GET /api/v1/canary/a", 200),
        ]


@pytest.mark.parametrize("query", [{"before": 0}, {"before": 2**31}, {"limit": 501}, {"who": "a\0"}])
def test_a_query_that_makes_no_sense_is_refused(client: TestClient, query: dict[str, Any]) -> None:
    assert client.get("/api/v1/audit", params=query).status_code == 400

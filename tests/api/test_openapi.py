"""The OpenAPI document is complete and true: generated requests get nothing that it does not tell."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.strategies import SearchStrategy
from jsonschema import Draft202012Validator
from schemathesis import Case, GenerationMode
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.schemas import APIOperation
from starlette.testclient import TestClient

from api.conftest import HOST_KEY, KEY, Fleet
from api.guest_worker import answering
from api.machine_worker import working
from api.node import node
from commissaire.auth.role import Role

_METHODS = {"get", "put", "post", "delete"}
_PARTS = {"method": "method", "url": "url", "params": "params", "headers": "headers", "json": "json", "data": "content"}
load_all_checks()
_CHECKS = [
    CHECKS.get_one(name)
    for name in (
        "not_a_server_error",
        "status_code_conformance",
        "content_type_conformance",
        "response_schema_conformance",
        "negative_data_rejection",
    )
]


@pytest.fixture
def document(client: TestClient) -> dict[str, Any]:
    found: dict[str, Any] = client.get("/openapi.json").json()
    return found


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [(path, method, each) for path, item in document["paths"].items() for method, each in item.items()]


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    def references(node: Any) -> set[str]:
        if isinstance(node, dict):
            own = {node["$ref"]} if isinstance(node.get("$ref"), str) else set()
            return own.union(*map(references, node.values()))
        return set().union(*map(references, node)) if isinstance(node, list) else set()

    known = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    assert references(document) == known - {"#/components/schemas/ValidationError"}
    for schema in document["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


def test_every_operation_tells_who_may_and_how_it_fails(document: dict[str, Any]) -> None:
    for path, method, operation in operations(document):
        where = f"{method} {path}"
        answers = set(operation["responses"])
        assert operation["description"], where
        assert method in _METHODS, where
        assert "500" in answers, where
        headers = {each["name"] for each in operation.get("parameters", []) if each["in"] == "header"}
        assert ("422" in answers) is ("Idempotency-Key" in headers), where
        is_open = path in ("/healthz", "/readyz", "/virt.xsl")
        assert (operation.get("security") == []) is is_open, where
        refusal = set() if is_open else {"403", "429"} if path.startswith("/api/v0") else {"401", "403", "429"}
        assert answers & {"401", "403", "429"} == refusal, where
        knows_roles = not is_open and not path.startswith("/api/v0/secrets")
        assert (operation.get("x-role") in list(Role)) is knows_roles, where
        assert ("413" in answers) is ("requestBody" in operation), where
        assert "requestBody" not in operation or "400" in answers, where
        assert "{" not in path or "404" in answers, where
        for status, answer in operation["responses"].items():
            if status >= "400":
                assert list(answer["content"]) == ["application/problem+json"], where


def test_generated_requests_get_nothing_that_is_not_told(
    fleet: Fleet, document: dict[str, Any], tmp_path: Path
) -> None:
    """Schemathesis: right, wrong and fitting requests to each operation, a few of each."""
    fleet.cluster("web", "10.0.0.1")
    fleet.host("10.0.0.2", ssh_priv_key=KEY, ssh_host_key=HOST_KEY)
    fleet.end(1)
    fleet.end(fleet.restart())
    schema = schemathesis.openapi.from_dict({**document, "security": []})  # the client signs in by itself
    known = {
        "name": "web",
        "address": "10.0.0.2",
        "operation_id": 2,
        "hostname": "test",
        "networkname": "default",
        "vm": "db",
    }
    found = [result.ok() for result in schema.get_all_operations()]
    found = [each for each in found if each.path != "/api/v1/machines/events"]  # it ends when its client goes
    with working(fleet), answering(fleet, tmp_path):
        fleet.hypervisor("lab", node(tmp_path / "lab.xml", {"db": "ann"}))
        for operation in sorted(found, key=lambda each: not each.path.endswith("stream")):  # nothing runs for ever yet
            names = {name: value for name, value in known.items() if f"{{{name}}}" in operation.path}
            _try(fleet.client, operation.as_strategy())
            _try(fleet.client, operation.as_strategy(path_parameters=names))
            if _can_be_wrong(operation):
                _try(fleet.client, operation.as_strategy(GenerationMode.NEGATIVE, path_parameters=names))


def _can_be_wrong(operation: APIOperation) -> bool:
    return bool(operation.body) or bool(operation.query)


def _try(client: TestClient, strategy: SearchStrategy[Case]) -> None:
    @settings(
        max_examples=4, deadline=None, database=None, derandomize=True, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(case=strategy)
    def attempt(case: Case) -> None:
        request = case.as_transport_kwargs(base_url="http://testserver")
        parts = {_PARTS[name]: value for name, value in request.items() if name in _PARTS}
        if isinstance(parts.get("content"), dict):  # a form
            parts["data"] = parts.pop("content")
        answer = client.request(**parts)
        case.validate_response(answer, checks=_CHECKS)

    attempt()

"""docs/rest.md and docs/server.md against the program: every route, code, example, setting and option."""

from __future__ import annotations

import argparse
import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from api.conftest import KEY, Fleet
from api.guest_worker import answering
from api.machine_worker import working
from api.node import node
from commissaire.fleet.parameters import (
    DeployParameters,
    KubeletUpgradeParameters,
    NodeLeaveParameters,
    RollingParameters,
    UpgradeParameters,
)
from commissaire.records import OF_GUESTS, OF_MACHINES, OperationKind
from commissaire.routes.v1.guest_bodies import (
    AgentWanted,
    CommandWanted,
    InterfaceWanted,
    NetworkWanted,
    PasswordWanted,
)
from commissaire.routes.v1.machine_bodies import MachineWanted
from commissaire.routes.v1.vm_network_bodies import VmNetworkWanted
from commissaire.secrets.api_keys import create_api_key
from commissaire.server import _parser
from commissaire.settings import ENVIRONMENT_PREFIX, Settings

DOCS = Path(__file__).parents[2] / "docs"
REST, SERVER = ((DOCS / name).read_text() for name in ("rest.md", "server.md"))
ROUTES = {
    (method, path): codes.split()
    for method, path, codes in re.findall(r"^\| `([A-Z]+) (/[^`]*)` \| ([\d ]+) \|", REST, re.MULTILINE)
}
EXAMPLES = [line.removeprefix("$ $CURL ") for line in REST.splitlines() if line.startswith("$ $CURL ")]
SETTINGS = dict(re.findall(r"^\| `([a-z_]+)` \| (.*`COMMISSAIRE_.*) \|$", SERVER, re.MULTILINE))
EVERYWHERE = {"401", "403", "413", "429", "500", "503"}
"""Codes that the page tells once, for all routes."""


@pytest.fixture
def paths(client: TestClient) -> dict[str, Any]:
    found: dict[str, Any] = client.get("/openapi.json").json()["paths"]
    return found


def test_every_route_is_documented_with_its_codes_and_no_other(paths: dict[str, Any]) -> None:
    described = {
        (method.upper(), path): sorted(
            code for code in operation["responses"] if code not in EVERYWHERE or (path, code) == ("/readyz", "503")
        )
        for path, operations in paths.items()
        for method, operation in operations.items()
    }
    assert described == ROUTES


def parse(example: str) -> tuple[str, str, dict[str, str], str | None]:
    """Return method, target, headers and body of a curl command, as far as the page uses it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("-X", dest="method")
    parser.add_argument("-d", dest="data")
    parser.add_argument("--json")
    parser.add_argument("-H", dest="headers", action="append", default=[])
    parser.add_argument("-N", action="store_true")
    parser.add_argument("url")
    options = parser.parse_args(shlex.split(re.sub(r"\$\(base64[^)]*\)", KEY, example)))
    headers = dict(header.split(": ") for header in options.headers)
    if options.json:
        headers["Content-Type"] = "application/json"
    body = options.json or options.data
    return options.method or ("POST" if body else "GET"), options.url.removeprefix("$URL"), headers, body


def test_every_route_has_an_example_and_every_example_works(fleet: Fleet, tmp_path: Path) -> None:
    with fleet.services.database.write() as session:
        key = create_api_key(session, "robot")
    with working(fleet), answering(fleet, tmp_path):
        fleet.hypervisor("lab", node(tmp_path / "lab.xml", {"db": "ann"}))
        assert _unseen(fleet, key) == set()


def _unseen(fleet: Fleet, key: str) -> set[tuple[str, str]]:
    """Try all examples; return the routes of which there is none."""
    unseen = set(ROUTES)
    for example in EXAMPLES:
        method, target, headers, body = parse(example.replace("ROBOTS_KEY", key))
        if target.endswith("/check"):
            fleet.set("10.0.0.1", status="active")
        answer = fleet.client.request(method, target, headers=headers, content=body)
        if target.endswith(("/uncordon", "/node")):
            assert "is no node of a container manager" in answer.text, "there is none here"
        elif target.partition("?")[0].endswith("/console"):
            assert "can't be had" in answer.text, "libvirt's test driver has none"
        else:
            assert answer.status_code < 300, f"{example}: {answer.text}"
        if target.endswith("/bootstrap"):
            fleet.end(answer.json()["id"])
        path = target.partition("?")[0]
        unseen -= {(verb, route) for verb, route in unseen if verb == method and _fits(route, path)}
    return unseen


def _fits(route: str, path: str) -> bool:
    pattern = re.escape(route).replace(r"\{path\}", ".+")  # the only one that may hold slashes
    return re.fullmatch(re.sub(r"\\{\w+\\}", "[^/]+", pattern), path) is not None


def test_every_kind_and_its_parameters_are_documented_with_their_defaults() -> None:
    section = REST[REST.index("### Asking for an operation") : REST.index("A **dry run**")]
    kinds = re.findall(r"^\| `([a-z_]+)` \| [^|]*`cluster`", section, re.MULTILINE)
    assert set(kinds) == set(OperationKind) - {OperationKind.BOOTSTRAP, *OF_MACHINES, *OF_GUESTS}
    assert set(re.findall(r"^\| `(vm_[a-z_]+)` \|", REST, re.MULTILINE)) == set(OF_MACHINES)
    rows = re.findall(
        r"^\| `([a-z_]+)` \| (rolling|upgrade|deploy|kubelet_upgrade|node_leave) \| (.*?) ?\|", section, re.MULTILINE
    )
    of_all = list(RollingParameters.model_fields)
    own: dict[str, type[RollingParameters]] = {
        "upgrade": UpgradeParameters,
        "deploy": DeployParameters,
        "kubelet_upgrade": KubeletUpgradeParameters,
        "node_leave": NodeLeaveParameters,
    }
    fields = {
        "rolling": RollingParameters.model_fields,
        **{
            kind: {name: field for name, field in model.model_fields.items() if name not in of_all}
            for kind, model in own.items()
        },
    }
    assert {(name, of) for name, of, _ in rows} == {(name, of) for of, names in fields.items() for name in names}
    for name, of, told in rows:
        default = re.search(r"Default (.+)\.$", fields[of][name].description or "")
        assert default is None or told.strip("`") == default[1].strip("`"), name


def test_the_kinds_for_machines_are_documented_with_the_routes_that_ask_for_them() -> None:
    section = REST[REST.index("### Machines") : REST.index("### Guests")]
    rows = re.findall(r"^\| `([a-z_]+)` \| `([A-Z]+) (/[^`]*)` \|", section, re.MULTILINE)
    assert [kind for kind, _, _ in rows] == list(OF_MACHINES)
    assert all((method, path) in ROUTES for _, method, path in rows)


def test_the_kinds_for_guests_are_documented_with_the_routes_that_ask_for_them() -> None:
    section = REST[REST.index("### Guests") : REST.index("## Virtual machines of owners")]
    rows = re.findall(r"^\| `([a-z_]+)` \| `([A-Z]+) (/[^`]*)`", section, re.MULTILINE)
    assert [kind for kind, _, _ in rows] == list(OF_GUESTS)
    assert all((method, path) in ROUTES for _, method, path in rows)


def test_every_key_of_what_is_sent_to_a_guest_is_documented() -> None:
    section = REST[REST.index("### Guests") : REST.index("## Virtual machines of owners")]
    told = set(re.findall(r"`([a-z_0-9]+)`", section))
    for model in (AgentWanted, CommandWanted, InterfaceWanted, NetworkWanted, PasswordWanted):
        assert set(model.model_fields) <= told, model


def test_every_key_of_a_machine_and_of_a_network_is_documented() -> None:
    section = REST[REST.index("### Machines") : REST.index("## Examples")]
    told = set(re.findall(r"`([a-z_]+)`", section))
    assert set(MachineWanted.model_fields) | set(VmNetworkWanted.model_fields) <= told


def test_the_example_of_an_operation_works(fleet: Fleet) -> None:
    fleet.cluster("web", "10.0.0.1")
    section = REST[REST.index("### Asking for an operation") :]
    example = section[section.index("```json") + 7 : section.index("\n```\n\n|")]
    answer = fleet.client.post("/api/v1/operations", json=json.loads(example))
    assert answer.status_code == 201, answer.text
    assert answer.json()["parameters"] == json.loads(example)["parameters"]


def test_every_setting_is_documented_with_its_option_and_variable() -> None:
    assert set(SETTINGS) == set(Settings.model_fields)
    for name, row in SETTINGS.items():
        assert f"`{ENVIRONMENT_PREFIX}{name.upper()}`" in row
        default = Settings.model_fields[name].default
        if isinstance(default, (int, str)):
            assert f"| `{json.dumps(default).strip(chr(34))}` |" in row


def test_every_option_is_documented() -> None:
    options = {name for action in _parser()._actions for name in action.option_strings} - {"-h", "--help"}
    assert options <= set(re.findall(r"`(-{1,2}[a-z][a-z-]*)`", SERVER))


def test_every_metric_is_documented(client: TestClient) -> None:
    client.get("/healthz")
    text = client.get("/metrics").text
    names = {name for name in re.findall(r"^# TYPE (\S+) ", text, re.MULTILINE) if not name.endswith("_created")}
    assert names <= set(re.findall(r"`(commissaire_\w+)\{", SERVER))

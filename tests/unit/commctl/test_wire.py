"""What each command sends, byte for byte where compatible clients and servers depend on it."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from unit.commctl.conftest import Run
    from unit.commctl.server import ScriptedServer

HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGPrivateExampleOnly"
CALLS = [
    (
        "cluster create -t kubernetes -n net -c ocp prod",
        "PUT /api/v0/cluster/prod",
        {"type": "kubernetes", "network": "net", "container_manager": "ocp"},
    ),
    (
        "cluster create --type x --network y --container-manager z prod",
        "PUT /api/v0/cluster/prod",
        {"type": "x", "network": "y", "container_manager": "z"},
    ),
    (
        "cluster create prod",
        "PUT /api/v0/cluster/prod",
        {"type": "kubernetes", "network": "default", "container_manager": ""},
    ),
    ("cluster get prod", "GET /api/v0/cluster/prod", None),
    ("cluster list", "GET /api/v0/clusters", None),
    ("cluster delete prod", "DELETE /api/v0/cluster/prod", {}),
    ("cluster restart start prod", "PUT /api/v0/cluster/prod/restart", {}),
    (
        "cluster restart start --max-unavailable 25% --max-failures 2 prod",
        "PUT /api/v0/cluster/prod/restart",
        {"max_unavailable": "25%", "max_failures": 2},
    ),
    (
        "cluster restart start --canary 10% --canary-soak 60 -p lease_wait_seconds=5 -p note=x=y prod",
        "POST /api/v1/operations",
        {
            "kind": "restart",
            "cluster": "prod",
            "parameters": {"canary": "10%", "canary_soak_seconds": 60, "lease_wait_seconds": 5, "note": "x=y"},
            "dry_run": False,
        },
    ),
    (
        "cluster deploy start --dry-run prod 7.4.1",
        "POST /api/v1/operations",
        {"kind": "deploy", "cluster": "prod", "parameters": {"version": "7.4.1"}, "dry_run": True},
    ),
    ("operation pause 7 --reason lunch", "POST /api/v1/operations/7/pause", {"reason": "lunch"}),
    (
        "schedule create nightly upgrade prod --cron 3_3_*_*_* --time-zone UTC --grace-seconds 60 -p reboot=never",
        "POST /api/v1/schedules",
        {
            "name": "nightly",
            "cron": "3_3_*_*_*",
            "time_zone": "UTC",
            "grace_seconds": 60,
            "enabled": True,
            "operation": {"kind": "upgrade", "cluster": "prod", "parameters": {"reboot": "never"}, "dry_run": False},
        },
    ),
    (
        "schedule create dry restart prod --cron @ --disabled --dry-run",
        "POST /api/v1/schedules",
        {
            "name": "dry",
            "cron": "@",
            "enabled": False,
            "operation": {"kind": "restart", "cluster": "prod", "parameters": {}, "dry_run": True},
        },
    ),
    ("schedule show nightly", "GET /api/v1/schedules/nightly", None),
    ("schedule enable nightly", "POST /api/v1/schedules/nightly/enable", {}),
    ("schedule disable nightly", "POST /api/v1/schedules/nightly/disable", {}),
    ("schedule run nightly", "POST /api/v1/schedules/nightly/run", {}),
    ("schedule delete nightly", "DELETE /api/v1/schedules/nightly", {}),
    (
        "host label 10.0.0.1 zone=a tier= rack-",
        "POST /api/v1/hosts/10.0.0.1/labels",
        {"labels": {"zone": "a", "tier": "", "rack": None}},
    ),
    ("operation resume 7", "POST /api/v1/operations/7/resume", {}),
    ("operation retry 7", "POST /api/v1/operations/7/retry", {}),
    (
        "operation cancel 7 --after-current-hosts",
        "POST /api/v1/operations/7/cancel",
        {"after_current_hosts": True},
    ),
    ("cluster restart status prod", "GET /api/v0/cluster/prod/restart", None),
    ("cluster upgrade start prod", "PUT /api/v0/cluster/prod/upgrade", {}),
    (
        "cluster upgrade start --max-unavailable 2 prod",
        "PUT /api/v0/cluster/prod/upgrade",
        {"max_unavailable": 2},
    ),
    (
        "cluster upgrade start --security-only --package a --package b --hold c* --snapshot 9.4 prod",
        "POST /api/v1/operations",
        {
            "kind": "upgrade",
            "cluster": "prod",
            "parameters": {"security_only": True, "only_packages": ["a", "b"], "hold": ["c*"], "snapshot": "9.4"},
            "dry_run": False,
        },
    ),
    ("cluster upgrade status prod", "GET /api/v0/cluster/prod/upgrade", None),
    ("cluster deploy start prod 7.4.1", "PUT /api/v0/cluster/prod/deploy", {"version": "7.4.1"}),
    (
        "cluster deploy start --max-failures 10% prod 7.4.1",
        "PUT /api/v0/cluster/prod/deploy",
        {"version": "7.4.1", "max_failures": "10%"},
    ),
    ("cluster deploy status prod", "GET /api/v0/cluster/prod/deploy", None),
    (
        "cluster kubelet-upgrade start prod 1.35",
        "POST /api/v1/operations",
        {
            "kind": "kubelet_upgrade",
            "cluster": "prod",
            "parameters": {"kubernetes_version": "1.35"},
            "dry_run": False,
        },
    ),
    (
        "cluster node-leave start prod 10.0.0.1 zone=b --keep --max-unavailable 2",
        "POST /api/v1/operations",
        {
            "kind": "node_leave",
            "cluster": "prod",
            "parameters": {"max_unavailable": 2, "hosts": ["10.0.0.1", "zone=b"], "kubernetes_node_reset": False},
            "dry_run": False,
        },
    ),
    ("cluster delete --force prod", "DELETE /api/v0/cluster/prod?force=true", {}),
    ("host delete --force 10.0.0.1", "DELETE /api/v0/host/10.0.0.1?force=true", {}),
    ("host unjoin --force 10.0.0.1 prod", "DELETE /api/v0/cluster/prod/hosts/10.0.0.1?force=true", {}),
    ("host uncordon --force 10.0.0.1", "POST /api/v1/hosts/10.0.0.1/uncordon?force=true", {}),
    ("host get 10.0.0.1", "GET /api/v0/host/10.0.0.1", None),
    ("host get fd00::1", "GET /api/v0/host/fd00::1", None),
    ("host list", "GET /api/v0/hosts", None),
    ("host list prod", "GET /api/v0/cluster/prod/hosts", None),
    ("host status 10.0.0.1", "GET /api/v0/host/10.0.0.1/status", None),
    ("host delete 10.0.0.1", "DELETE /api/v0/host/10.0.0.1", {}),
    ("host join 10.0.0.1 prod", "PUT /api/v0/cluster/prod/hosts/10.0.0.1", {}),
    ("host unjoin 10.0.0.1 prod", "DELETE /api/v0/cluster/prod/hosts/10.0.0.1", {}),
    ("host accept-key 10.0.0.1", "PUT /api/v1/hosts/10.0.0.1/host-key", {"host_key": None}),
    ("network create net", "PUT /api/v0/network/net", {"type": "flannel_etcd", "options": {}}),
    (
        'network create -t flannel_server -o {"address":"10.0.0.1:8080"} net',
        "PUT /api/v0/network/net",
        {"type": "flannel_server", "options": {"address": "10.0.0.1:8080"}},
    ),
    ("network get net", "GET /api/v0/network/net", None),
    ("network list", "GET /api/v0/networks", None),
    ("network delete net", "DELETE /api/v0/network/net", {}),
    ("container_manager create cm", "PUT /api/v0/containermanager/cm", {"type": "openshift", "options": {}}),
    (
        'container_manager create --type kubernetes -o certificate_path=/a=b --options {"token":"t"} cm',
        "PUT /api/v0/containermanager/cm",
        {"type": "kubernetes", "options": {"certificate_path": "/a=b", "token": "t"}},
    ),
    ("container_manager check cm", "GET /api/v1/container-managers/cm/finding", None),
    (
        'container_manager create --options={"token":"old","n":1} -o token=new cm',
        "PUT /api/v0/containermanager/cm",
        {"type": "openshift", "options": {"token": "new", "n": 1}},
    ),
    ("container-manager get cm", "GET /api/v0/containermanager/cm", None),
    ("container_manager get cm", "GET /api/v0/containermanager/cm", None),
    ("container_manager list", "GET /api/v0/containermanagers", None),
    ("container_manager delete cm", "DELETE /api/v0/containermanager/cm", {}),
    ("operation cancel 7", "POST /api/v1/operations/7/cancel", {}),
    ("host check 10.0.0.1", "POST /api/v1/hosts/10.0.0.1/check", {}),
    ("source refresh cloud", "POST /api/v1/sources/cloud/refresh", {}),
]


@pytest.mark.parametrize(("command", "call", "body"), CALLS, ids=[command for command, _, _ in CALLS])
def test_a_command_makes_exactly_its_call(
    commctl: Run, server: ScriptedServer, command: str, call: str, body: dict[str, object] | None
) -> None:
    method, path = call.split()
    server.answer(method, path.partition("?")[0], 201 if method == "PUT" else 200, ["answered"])
    result = commctl(*command.split())
    assert (result.code, result.err) == (0, "")
    (request,) = server.requests
    assert f"{request.method} {request.path}" == call
    assert (request.json if request.body else None) == body
    assert request.headers["Content-Type"] == "application/json"
    credentials = base64.b64encode("admin:pa:ss wörd".encode()).decode()
    assert request.headers["Authorization"] == f"Basic {credentials}"


@pytest.mark.parametrize(
    ("command", "path"),
    [
        ("source list", "/api/v1/sources"),
        ("source get cloud", "/api/v1/sources/cloud/hosts"),
        ("schedule list", "/api/v1/schedules"),
    ],
)
def test_sources_and_schedules_are_shown_as_lists(
    commctl: Run, server: ScriptedServer, command: str, path: str
) -> None:
    server.answer("GET", path, 200, {"items": [{"name": "one"}, {"name": "two"}]})
    result = commctl(*command.split())
    assert (result.code, result.out) == (0, "- name: one\n- name: two\n")


def test_a_host_that_is_not_checked_keeps_no_other_from_it(commctl: Run, server: ScriptedServer) -> None:
    server.answer("POST", "/api/v1/hosts/a/check", 409, {"title": "Conflict", "detail": "host a is bootstrapping"})
    server.answer("POST", "/api/v1/hosts/b/check", 202, {"address": "b"})
    result = commctl("host", "check", "a", "b")
    assert (result.code, result.out) == (2, "- address: b\n")
    assert "a is bootstrapping" in result.err


@pytest.mark.parametrize("command", ["check", "bootstrap", "delete"])
def test_when_one_of_several_hosts_is_no_name_none_is_touched(
    commctl: Run, server: ScriptedServer, command: str
) -> None:
    result = commctl("host", command, "a", "..")
    assert (result.code, result.out) == (2, "")
    assert "'..' is no name" in result.err
    assert not server.requests


def test_host_create_sends_the_key_in_base64(commctl: Run, server: ScriptedServer, tmp_path: Path) -> None:
    server.answer("PUT", "/api/v0/host/10.0.0.1", 201, {"address": "10.0.0.1"})
    key = tmp_path / "key"
    key.write_bytes(b"-----BEGIN OPENSSH PRIVATE KEY-----\n\xff\n")
    assert commctl("host", "create", "10.0.0.1", str(key)).code == 0
    assert server.requests[0].json == {"ssh_priv_key": base64.b64encode(key.read_bytes()).decode()}


def test_host_create_sends_what_else_is_given(commctl: Run, server: ScriptedServer, tmp_path: Path) -> None:
    server.answer("PUT", "/api/v0/host/10.0.0.1", 201, {"address": "10.0.0.1"})
    key = tmp_path / "key"
    key.write_text("anything")
    options = ["-c", "prod", "-u", "operator", "--ssh-host-key", f"10.0.0.1 {HOST_KEY} root@host"]
    result = commctl("host", "create", *options, "10.0.0.1", str(key))
    assert result.out == "address: 10.0.0.1\n"
    assert server.requests[0].json == {
        "ssh_priv_key": base64.b64encode(b"anything").decode(),
        "cluster": "prod",
        "remote_user": "operator",
        "ssh_host_key": HOST_KEY,
    }


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (None, "can't be read: No such file or directory"),
        (b"", "is empty"),
        (b"ssh-ed25519 AAAAC3 me@here\n", "holds a public key; give the private key that belongs to it: "),
        (b"---- BEGIN SSH2 PUBLIC KEY ----\n", "holds a public key"),
        (b"-----BEGIN RSA PUBLIC KEY-----\n", "holds a public key"),
    ],
)
def test_host_create_names_what_is_wrong_with_the_key_file(
    commctl: Run, server: ScriptedServer, tmp_path: Path, content: bytes | None, complaint: str
) -> None:
    key = tmp_path / "key.pub"
    if content is not None:
        key.write_bytes(content)
    result = commctl("host", "create", "10.0.0.1", str(key))
    assert (result.code, result.out) == (2, "")
    assert complaint in result.err
    assert not server.requests


def test_accept_key_sends_the_key_without_its_comment(commctl: Run, server: ScriptedServer) -> None:
    server.answer("PUT", "/api/v1/hosts/h/host-key", 200, {})
    assert commctl("host", "accept-key", "h", f"{HOST_KEY} comment").code == 0
    assert server.requests[0].json == {"host_key": HOST_KEY}


@pytest.mark.parametrize("key", ["ssh-ed25519", "nonsense AAAA", "ssh-ed25519 key"])
def test_accept_key_refuses_what_is_no_key(commctl: Run, server: ScriptedServer, key: str) -> None:
    result = commctl("host", "accept-key", "h", key)
    assert result.code == 2
    assert "is no SSH host key" in result.err
    assert not server.requests


def test_a_version_for_an_upgrade_is_ignored_and_that_is_said(commctl: Run, server: ScriptedServer) -> None:
    server.answer("PUT", "/api/v0/cluster/prod/upgrade", 201, {"name": "prod"})
    result = commctl("cluster", "upgrade", "start", "prod", "7.2.2")
    assert (result.code, result.out) == (0, "name: prod\n")
    assert "7.2.2 is ignored" in result.err
    assert server.requests[0].json == {}


@pytest.mark.parametrize("amount", ["", "-1", "1.5", "%", "25 %", "all"])
def test_an_amount_is_a_number_or_a_percentage(commctl: Run, server: ScriptedServer, amount: str) -> None:
    result = commctl("cluster", "restart", "start", f"--max-unavailable={amount}", "prod")
    assert result.code == 2
    assert "neither a number of hosts nor a percentage" in result.err
    assert not server.requests


@pytest.mark.parametrize("name", ["", ".", ".."])
def test_a_name_can_not_lead_elsewhere(commctl: Run, server: ScriptedServer, name: str) -> None:
    assert commctl("cluster", "delete", name).code == 2
    assert commctl("host", "join", "h", name).code == 2
    assert not server.requests


def test_a_slash_in_a_name_stays_in_the_name(commctl: Run, server: ScriptedServer) -> None:
    commctl("cluster", "delete", "a/../b?c#d")
    assert server.calls == [("DELETE", "/api/v0/cluster/a%2F..%2Fb%3Fc%23d")]


def test_operation_list_filters_and_tells_of_older_ones(commctl: Run, server: ScriptedServer) -> None:
    server.answer("GET", "/api/v1/operations", 200, {"items": [{"id": "9", "kind": "restart"}], "next": "9"})
    options = ["--kind", "restart", "--cluster", "c", "--host", "h", "--state", "failed", "--limit", "1"]
    result = commctl("operation", "list", *options, "--before", "12")
    query = "kind=restart&cluster=c&host=h&state=failed&limit=1&before=12"
    assert server.calls == [("GET", f"/api/v1/operations?{query}")]
    assert result.out == "- id: '9'\n  kind: restart\n"
    assert result.err == "", "a program reads YAML and JSON"
    assert commctl("operation", "list", "-o", "table").err == "There are older ones: --before 9\n"


def test_a_command_reuses_its_connection(commctl: Run, server: ScriptedServer) -> None:
    for name in "abc":
        server.answer("DELETE", f"/api/v0/cluster/{name}", 200, [])
    assert commctl("cluster", "delete", "a", "b", "c").out == "- a\n- b\n- c\n"
    assert server.connections == 1


@pytest.mark.parametrize("group", ["network", "container_manager"])
@pytest.mark.parametrize("options", ["token", "=secret-7", '{"token": "secret-7"', '{"token": "secret-7"} x'])
def test_options_that_are_neither_json_nor_key_and_value_are_refused_without_being_shown(
    commctl: Run, server: ScriptedServer, group: str, options: str
) -> None:
    result = commctl(group, "create", "-o", "a=b", "-o", options, "x")
    assert result.code == 2
    assert "--options number 2 is n" in result.err
    assert "secret-7" not in result.err
    assert not server.requests


@pytest.mark.parametrize("group", ["network", "container_manager"])
def test_what_was_created_can_be_shown_as_json(commctl: Run, server: ScriptedServer, group: str) -> None:
    server.answer("PUT", f"/api/v0/{group.replace('_', '')}/x", 201, {"name": "x"})
    assert commctl(group, "create", "x", "--output", "json").out == '{\n  "name": "x"\n}\n'


def test_a_container_manager_that_was_created_is_tried_and_what_was_found_told(
    commctl: Run, server: ScriptedServer, tmp_path: Path
) -> None:
    token = tmp_path / "token"
    token.write_text("secret-7")
    server.answer("PUT", "/api/v0/containermanager/cm", 201, {"name": "cm"})
    found = {"reachable": True, "error": "", "version": "v1.35.4", "missing": {"leave": ["delete nodes"]}}
    server.answer("GET", "/api/v1/container-managers/cm/finding", 200, found)
    options = ("-o", "server_url=https://k:6443/?a=b", "-o", f"token=@{token}")
    result = commctl("container_manager", "create", *options, "cm")
    assert (result.code, result.out) == (0, "name: cm\n")
    assert result.err == (
        "It answers, and is v1.35.4.\nIts credentials don't suffice for leave: they may not delete nodes.\n"
    )
    assert server.requests[0].json["options"] == {"server_url": "https://k:6443/?a=b", "token": "secret-7"}


def test_a_container_manager_that_can_t_be_used_is_recorded_all_the_same(commctl: Run, server: ScriptedServer) -> None:
    server.answer("PUT", "/api/v0/containermanager/cm", 201, {"name": "cm"})
    found = {"reachable": False, "error": "https://k can't be asked: away", "version": "", "missing": {}}
    server.answer("GET", "/api/v1/container-managers/cm/finding", 200, found)
    result = commctl("container_manager", "create", "-o", "server_url=https://k", "cm")
    assert (result.code, result.out) == (0, "name: cm\n")
    assert result.err == "It is recorded, but can't be used now: https://k can't be asked: away\n"


def test_an_earlier_server_that_can_t_try_a_container_manager_is_no_error(commctl: Run, server: ScriptedServer) -> None:
    server.answer("PUT", "/api/v0/containermanager/cm", 201, {"name": "cm"})
    server.answer("GET", "/api/v1/container-managers/cm/finding", 404, {"detail": "no such route"})
    result = commctl("container_manager", "create", "-o", "server_url=https://k", "cm")
    assert (result.code, result.out, result.err) == (0, "name: cm\n", "")


def test_leases_are_asked_for_and_shown_when_the_operation_has_ended(commctl: Run, server: ScriptedServer) -> None:
    lease = {"owner": "a laptop", "operation_id": "", "token": 3, "left_seconds": 7}
    rows = [{"address": "a", "message": "held", "data": {"lease": lease}}, {"address": "b", "message": "?", "data": {}}]
    server.answer("POST", "/api/v1/operations", 201, {"id": 7, "state": "queued"})
    server.answer("GET", "/api/v1/operations/7", 200, {"id": 7, "state": "failed", "message": "b: no route"})
    server.answer("GET", "/api/v1/operations/7/hosts", 200, {"items": rows})
    result = commctl("lease", "break", "a", "b", "--reason", "gone", "-o", "json")
    assert (result.code, result.err) == (2, "operation 7 failed: b: no route\n")
    wanted = {"kind": "lease_break", "hosts": ["a", "b"], "parameters": {"reason": "gone"}}
    assert server.requests[0].json == wanted
    nobody = dict.fromkeys(lease)
    assert json.loads(result.out) == [
        {"address": "a", **lease, "message": "held"},
        {"address": "b", **nobody, "message": "?"},
    ]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["list"], "name either hosts or"),
        (["list", "a", "--cluster", "c"], "name either hosts or"),
        (["break", "a"], "say why, by --reason"),
    ],
)
def test_a_lease_command_must_say_which_and_why(commctl: Run, arguments: list[str], words: str) -> None:
    result = commctl("lease", *arguments)
    assert (result.code, words in " ".join(result.err.split())) == (2, True)


def test_a_parameter_has_a_name_and_a_value(commctl: Run) -> None:
    result = commctl("cluster", "restart", "start", "-p", "canary", "prod")
    assert (result.code, "not of the form NAME=VALUE" in result.err) == (2, True)


@pytest.mark.parametrize("kind", ["kubelet-upgrade", "node-leave"])
def test_the_newest_operation_on_nodes_is_shown_or_that_there_was_none(
    commctl: Run, server: ScriptedServer, kind: str
) -> None:
    dry = {"id": 8, "state": "finished", "dry_run": True}
    for found in ([dry, {"id": 7, "state": "running", "dry_run": False}], [dry]):
        server.answer("GET", "/api/v1/operations", 200, {"items": found})
    assert "running" in commctl("cluster", kind, "status", "prod").out
    assert server.calls == [("GET", f"/api/v1/operations?cluster=prod&kind={kind.replace('-', '_')}&limit=50")]
    none = commctl("cluster", kind, "status", "prod")
    assert (none.code, none.err) == (2, f"cluster prod has had no {kind.replace('-', '_')}\n")

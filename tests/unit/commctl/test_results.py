"""What is printed, and the exit code."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import yaml

from unit.commctl.server import ScriptedServer, problem

if TYPE_CHECKING:
    from unit.commctl.conftest import Run

CLUSTER = {"name": "prod", "status": "ok", "hosts": {"total": 2, "available": 2}, "hostset": ["a", "ü"]}
HOSTS = [
    {"address": "10.0.0.1", "status": "active", "message": "", "cpus": 2},
    {"address": "10.0.0.20", "status": None, "os": "日本"},
]


def test_results_are_yaml_in_the_servers_order(commctl: Run, server: ScriptedServer) -> None:
    server.answer("GET", "/api/v0/cluster/prod", 200, CLUSTER)
    expected = "name: prod\nstatus: ok\nhosts:\n  total: 2\n  available: 2\nhostset:\n- a\n- ü\n"
    assert commctl("cluster", "get", "prod").out == expected
    assert commctl("cluster", "get", "prod", "-o", "yaml").out == expected


def test_results_can_be_json(commctl: Run, server: ScriptedServer) -> None:
    server.answer("GET", "/api/v0/cluster/prod", 200, CLUSTER)
    assert json.loads(commctl("cluster", "get", "prod", "--output", "json").out) == CLUSTER


@pytest.mark.parametrize("form", ["json", "yaml", "table"])
def test_no_result_steers_the_terminal(commctl: Run, server: ScriptedServer, form: str) -> None:
    hostile = "ü\x1b[2J\x9b2J\x85\u202eevil\u2066\ufeff"
    server.answer("GET", "/api/v0/cluster/prod", 200, {**CLUSTER, "name": hostile})
    out = commctl("cluster", "get", "prod", "-o", form).out
    assert all(char.isprintable() or char == "\n" for char in out)
    if form != "table":
        assert {"json": json.loads, "yaml": yaml.safe_load}[form](out)["name"] == hostile


def test_a_table_has_a_column_a_key(commctl: Run, server: ScriptedServer) -> None:
    server.answer("GET", "/api/v0/hosts", 200, HOSTS)
    assert commctl("host", "list", "-o", "table").out.splitlines() == [
        "ADDRESS    STATUS  CPUS  OS    MESSAGE",
        "10.0.0.1   active  2     -     -",
        "10.0.0.20  -       -     日本  -",
    ]


def test_a_table_of_one_record_has_a_line_a_key(commctl: Run, server: ScriptedServer) -> None:
    server.answer("GET", "/api/v0/cluster/prod", 200, CLUSTER)
    assert commctl("cluster", "get", "prod", "-o", "table").out.splitlines() == [
        "name     prod",
        "status   ok",
        "hosts    total 2, available 2",
        "hostset  a, ü",
    ]


@pytest.mark.parametrize(("form", "expected"), [("yaml", "[]\n"), ("json", "[]\n"), ("table", "\n")])
def test_an_empty_list_is_empty_in_every_form(commctl: Run, server: ScriptedServer, form: str, expected: str) -> None:
    server.answer("GET", "/api/v0/clusters", 200, [])
    assert commctl("cluster", "list", "-o", form).out == expected


def test_no_form_lets_an_answer_steer_the_terminal(commctl: Run, server: ScriptedServer) -> None:
    server.answer("GET", "/api/v0/hosts", 200, [{"address": "a\x1b[2J\nb"}])
    for form in ("yaml", "json", "table"):
        assert "\x1b" not in commctl("host", "list", "-o", form).out
    server.answer("DELETE", "/api/v0/host/a", 409, problem(409, "Conflict", "no \x1b[2J"))
    assert "\x1b" not in commctl("host", "delete", "a").err


def test_a_get_of_nothing_says_so_and_is_no_failure(commctl: Run, server: ScriptedServer) -> None:
    for command in ("cluster get x", "host get x", "host status x", "cluster restart status x", "operation show x"):
        result = commctl(*command.split())
        assert (result.code, result.out) == (0, "No object found.\n")
        assert result.err.startswith("there is nothing at /api/"), "a typing error can be told from an absence"


def test_a_refusal_shows_title_detail_and_errors(commctl: Run, server: ScriptedServer) -> None:
    errors = [{"location": "body.network", "message": "unknown"}, "and more", {"loc": "x"}]
    body = problem(409, "Conflict", 'there is no network "n"; make it first', errors=errors)
    server.answer("PUT", "/api/v0/cluster/prod", 409, body)
    result = commctl("cluster", "create", "-n", "n", "prod")
    assert (result.code, result.out) == (2, "")
    assert result.err.splitlines() == [
        "Conflict (409)",
        'there is no network "n"; make it first',
        "- body.network: unknown",
        "- and more",
        '- {"loc": "x"}',
    ]


def test_a_refusal_without_a_problem_shows_the_status(commctl: Run, server: ScriptedServer) -> None:
    server.answer("PUT", "/api/v0/cluster/prod", 503, b"<html>")
    result = commctl("cluster", "create", "prod")
    assert (result.code, result.err) == (2, "Service Unavailable (503)\n")


def test_an_answer_that_is_no_json_names_the_suspicion(commctl: Run, server: ScriptedServer) -> None:
    server.answer("GET", "/api/v0/clusters", 200, b"<html>It works!</html>")
    result = commctl("cluster", "list")
    assert (result.code, result.out) == (2, "")
    assert "is it a Commissaire server?" in result.err


def test_one_that_can_not_be_deleted_does_not_keep_the_others(commctl: Run, server: ScriptedServer) -> None:
    server.answer("DELETE", "/api/v0/host/a", 200, [])
    server.answer("DELETE", "/api/v0/host/c", 200, [])
    result = commctl("host", "delete", "a", "b", "c")
    assert (result.code, result.out) == (2, "- a\n- c\n")
    assert result.err == "b: Not Found (404)\nthere is nothing at /api/v0/host/b\n"


@pytest.mark.parametrize("arguments", ["cluster", "cluster get", "host list --nonsense", "host list -o xml", "nothing"])
def test_a_wrong_command_line_exits_2(commctl: Run, arguments: str) -> None:
    assert commctl(*arguments.split()).code == 2


@pytest.mark.parametrize("arguments", ["restart start --watch -o json c", "restart status --watch -o yaml c"])
def test_watching_has_no_result_to_be_formatted(commctl: Run, server: ScriptedServer, arguments: str) -> None:
    result = commctl("cluster", *arguments.split())
    assert result.code == 2
    assert "leave one of them out" in result.err
    assert not server.requests


def test_a_fault_of_ours_is_told_in_one_line(commctl: Run, server: ScriptedServer) -> None:
    server.answer("GET", "/api/v1/operations", 200, {"unexpected": True})
    result = commctl("operation", "list")
    assert (result.code, result.out) == (2, "")
    assert result.err == "commctl has a fault: KeyError: 'items' (COMMCTL_TRACEBACK=1 shows where)\n"

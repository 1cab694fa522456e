"""What the API server's answers mean, and how a kubeconfig is read."""

import base64
import contextlib
import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from ansible_collections.commissaire.fleet.plugins.plugin_utils import kubernetes_client
from ansible_collections.commissaire.fleet.plugins.plugin_utils.kubernetes_client import (
    BudgetError,
    ConflictError,
    KubernetesClient,
    KubernetesError,
    MissingError,
    NodeRow,
    UnavailableError,
    in_memory,
    patiently,
    read_table,
    refusal,
)
from kubernetes.client.exceptions import ApiException

BUDGET = {
    "message": "Cannot evict pod as it would violate the pod's disruption budget.",
    "details": {
        "causes": [{"reason": "DisruptionBudget", "message": "The disruption budget web needs 2 healthy pods"}]
    },
}


@pytest.mark.parametrize(
    ("status", "body", "kind", "words"),
    [
        (429, BUDGET, BudgetError, "The disruption budget web needs 2 healthy pods"),
        (429, {"message": "too many requests"}, UnavailableError, "evict: 429 too many requests"),
        (500, {"message": "This pod has more than one PodDisruptionBudget"}, BudgetError, "more than one"),
        (503, b"", UnavailableError, "evict: 503"),
        (401, {"message": "Unauthorized"}, KubernetesError, "perhaps because they have expired"),
        (403, {"message": 'User "u" cannot create'}, KubernetesError, 'not allowed: User "u" cannot create'),
        (404, {"message": 'pods "web" not found'}, MissingError, 'pods "web" not found'),
        (409, {"message": "the object has been modified"}, ConflictError, "has been modified"),
        (422, {"message": "spec is wrong"}, KubernetesError, "422 spec is wrong"),
        (502, b"<html>", UnavailableError, "502"),
        (500, b'["a list"]', UnavailableError, "500"),
    ],
)
def test_a_bad_answer_is_told_apart(status, body, kind, words):
    error = refusal("evict", status, json.dumps(body) if isinstance(body, dict) else body, {})
    assert type(error) is kind
    assert words in str(error)


def test_a_busy_server_says_when_to_ask_again():
    assert refusal("evict", 429, b"", {"Retry-After": "7"}).retry_after == 7
    assert refusal("evict", 429, b"", {"Retry-After": "soon"}).retry_after == 0
    assert refusal("evict", 503, b"", None).retry_after == 0


def test_what_was_allowed_before_is_asked_for_again_when_a_server_that_has_just_started_knows_no_rules_yet(tmp_path):
    content = {
        "apiVersion": "v1",
        "clusters": [{"name": "lab", "cluster": {"server": "https://127.0.0.1:9"}}],
        "users": [{"name": "lab", "user": {"token": "t"}}],
        "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": "lab"}}],
        "current-context": "lab",
    }
    (tmp_path / "kubeconfig").write_text(json.dumps(content))
    client = KubernetesClient(str(tmp_path / "kubeconfig"))
    answers = []

    def list_pods(**_):
        answer = answers.pop(0)
        if isinstance(answer, int):
            raise ApiException(status=answer, reason="Forbidden")
        return SimpleNamespace(data=json.dumps(answer))

    answers[:] = [403]
    with pytest.raises(KubernetesError, match="not allowed") as refused:
        client._ask("list pods", list_pods)
    assert type(refused.value) is KubernetesError
    for before in ({"items": []}, 404):
        answers[:] = [before, 403]
        with contextlib.suppress(MissingError):
            client._ask("list pods", list_pods)
        with pytest.raises(UnavailableError, match="not allowed any more"):
            client._ask("list pods", list_pods)


def test_the_table_of_nodes_is_read_by_its_columns():
    names = ["Status", "Name", "Internal-IP", "Age", "Roles"]
    cells = [
        ["Ready", "h1", "10.0.0.1", "3d", "control-plane,worker"],
        ["Ready,SchedulingDisabled", "h2", "10.0.0.2", "3d", "<none>"],
        ["NotReady,SchedulingDisabled", "h3", "<none>", "3d", "<none>"],
    ]
    found = read_table({"columnDefinitions": [{"name": name} for name in names], "rows": [{"cells": c} for c in cells]})
    assert found == [
        NodeRow("h1", True, True, ("control-plane", "worker"), "10.0.0.1"),
        NodeRow("h2", True, False, (), "10.0.0.2"),
        NodeRow("h3", False, False, (), ""),
    ]


def test_another_answer_than_a_table_is_an_error():
    with pytest.raises(KubernetesError, match="no table of nodes that can be read"):
        read_table({"kind": "NodeList", "items": []})


def test_keys_of_a_kubeconfig_touch_no_disk(tmp_path):
    user = {"client-key-data": base64.b64encode(b"secret").decode(), "client-certificate": "me.pem", "token": "t"}
    found = in_memory({"users": [{"name": "u", "user": user}]}, tmp_path)["users"][0]["user"]
    assert Path(found["client-key"]).read_bytes() == b"secret"
    assert found["client-key"].startswith("/proc/self/fd/")
    assert "client-key-data" not in found
    assert (found["client-certificate"], found["token"]) == (str(tmp_path / "me.pem"), "t")


@pytest.mark.parametrize("text", ["", "[]", "{", "kind: Config", "a: b"])
def test_a_kubeconfig_that_is_none_is_named(tmp_path, text):
    path = tmp_path / "config"
    path.write_text(text)
    with pytest.raises(KubernetesError, match=f"kubeconfig {path} can't be used: "):
        KubernetesClient(str(path))


def test_a_kubeconfig_that_is_not_there_is_named(tmp_path):
    with pytest.raises(KubernetesError, match="No such file"):
        KubernetesClient(str(tmp_path / "config"))


def test_a_server_that_is_away_is_asked_again_and_a_refusal_is_not(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(kubernetes_client.time, "monotonic", lambda: clock[0])
    waits = []

    def wait(why, seconds):
        waits.append((why, seconds))
        clock[0] += seconds

    answers = [UnavailableError("away"), UnavailableError("busy", retry_after=5), "here"]

    def ask():
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert patiently(ask, 60, wait) == "here"
    assert waits == [("away", 1), ("busy", 5)]
    answers[:] = [KubernetesError("no")]
    with pytest.raises(KubernetesError, match="no"):
        patiently(ask, 60, wait)


def test_patience_ends(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(kubernetes_client.time, "monotonic", lambda: clock[0])

    def wait(why, seconds):
        clock[0] += seconds

    def ask():
        raise UnavailableError("away")

    with pytest.raises(UnavailableError):
        patiently(ask, 60, wait)
    assert clock[0] == 60


def test_of_a_kubeconfig_that_is_no_yaml_no_line_is_shown(tmp_path):
    path = tmp_path / "config"
    path.write_text("users:\n  token: secret-7: x\n")
    with pytest.raises(KubernetesError) as error:
        KubernetesClient(str(path))
    assert "secret-7" not in str(error.value)


def test_of_the_authority_s_file_hosts_get_certificates_only():
    pem = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
    key = "-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----\n"
    assert "".join(kubernetes_client.CERTIFICATE.findall(f"# ours\n{pem}{key}{pem}")) == pem + pem

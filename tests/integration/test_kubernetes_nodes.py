"""Bare machines become nodes of a real Kubernetes, are drained, restarted and put back, and leave: real kubelets.

etcd and containerd are Debian's; API server, controller manager, scheduler and kubelet are built from Kubernetes'
modules; the pods' network is real flannel.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any

import psutil
import pytest

from k8s import programs
from k8s.cluster import ROLES, budget, cluster, deployment, load_image, node_variables
from k8s.control_plane import ControlPlane
from lab import LabHost

from .playbook import Outcome, run_playbook

pytestmark = pytest.mark.integration

MERGE = {"Content-Type": "application/merge-patch+json"}
PEM = "/var/lib/kubelet/pki/kubelet-client-current.pem"
CORDONED = "commissaire.fleet/cordoned"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
EARLIER = programs.EARLIER_KUBELET.version.removeprefix("v")
RESTARTER = ROLES["restart"]
BUDGETS = "/apis/policy/v1/namespaces/default/poddisruptionbudgets"


@pytest.fixture(scope="module")
def plane(lab_possible: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A cluster of five machines, which the first use makes its nodes; the last one has an earlier kubelet."""
    if why := programs.obstacle():
        pytest.skip(why)
    with cluster(tmp_path_factory.mktemp("cluster"), hosts=5) as made:
        version = f"{{{{ '{EARLIER}' if inventory_hostname == 'h5' else '' }}}}"
        variables = node_variables(made, "bootstrap", kubernetes_node_version=version)
        outcome = run_playbook(made.lab, "bootstrap", **variables)
        assert outcome.returncode == 0, outcome.output
        for host in made.lab.hosts:
            load_image(made, host)
        yield made


@pytest.fixture
def web(plane: ControlPlane) -> Iterator[dict[str, Any]]:
    """Three replicas of a Deployment, of which a budget keeps two."""
    plane.ask("POST", BUDGETS, budget("web", 2))
    plane.ask("POST", DEPLOYMENTS, deployment("web", 3))
    plane.until(lambda: available(plane) == 3, 60, "three replicas")
    yield {"app": "web"}
    plane.ask("DELETE", f"{DEPLOYMENTS}/web")
    plane.ask("DELETE", f"{BUDGETS}/web")
    plane.until(lambda: not plane.pods("app=web"), 60, "the pods to end")


def available(plane: ControlPlane, name: str = "web") -> int:
    """Return how many replicas of a Deployment serve, as the API server has it."""
    status = plane.ask("GET", f"{DEPLOYMENTS}/{name}")["status"]
    return int(status.get("availableReplicas") or 0)


def serving_pods(plane: ControlPlane, name: str) -> list[int]:
    """Return how many pods of a Deployment were Ready and not about to end, after each change that the API saw."""
    state: dict[str, bool] = {}
    counts = []
    for event in plane.audit():
        pod = event.get("responseObject") or {}
        labels = (pod.get("metadata") or {}).get("labels") or {}
        if pod.get("kind") != "Pod" or labels.get("app") != name:
            continue
        conditions = {one["type"]: one["status"] for one in pod["status"].get("conditions", [])}
        state[pod["metadata"]["uid"]] = conditions.get("Ready") == "True" and "deletionTimestamp" not in pod["metadata"]
        counts.append(sum(state.values()))
    return counts


def ready(node: dict[str, Any]) -> bool:
    conditions = {one["type"]: one["status"] for one in node["status"]["conditions"]}
    return conditions["Ready"] == "True"


def run(plane: ControlPlane, playbook: str, *arguments: str, **variables: Any) -> Outcome:
    """Run a playbook of ours on the cluster's machines."""
    return run_playbook(plane.lab, playbook, *arguments, **node_variables(plane, playbook), **variables)


def node_of(plane: ControlPlane, host: LabHost) -> dict[str, Any]:
    node = plane.node(host.name)
    assert node is not None
    return node


def test_a_bare_machine_becomes_a_ready_node_and_a_second_run_changes_nothing(plane: ControlPlane) -> None:
    for host in plane.lab.hosts:
        node = node_of(plane, host)
        info = node["status"]["nodeInfo"]
        assert ready(node)
        assert info["kubeletVersion"] == (f"v{EARLIER}" if host.name == "h5" else programs.version())
        assert info["bootID"] == host.boot_id()
        assert info["containerRuntimeVersion"].startswith("containerd://")
    again = run(plane, "bootstrap", "--limit", "h1")
    assert (again.returncode, again.changed()) == (0, []), again.output


def test_the_nodes_certificate_was_asked_for_by_the_host_and_its_key_never_left_it(plane: ControlPlane) -> None:
    requests = plane.ask("GET", "/apis/certificates.k8s.io/v1/certificatesigningrequests")["items"]
    names = sorted(one["metadata"]["labels"]["commissaire.fleet/node"] for one in requests)
    assert names == [host.name for host in plane.lab.hosts]
    assert {one["spec"]["signerName"] for one in requests} == {"kubernetes.io/kube-apiserver-client-kubelet"}
    for host in plane.lab.hosts:
        said = host.run(["stat", "-L", "-c", "%a", PEM], capture_output=True, text=True).stdout
        assert said == "600\n"
        assert "token" not in (host.root / "etc/kubernetes/kubelet.conf").read_text()


def test_a_rolling_restart_drains_each_node_within_the_budget_and_puts_it_back(
    plane: ControlPlane, web: dict[str, Any]
) -> None:
    before = {host.name: len(host.boots()) for host in plane.lab.hosts}
    outcome = run(plane, "restart")
    assert outcome.returncode == 0, outcome.output
    for host in plane.lab.hosts:
        node = node_of(plane, host)
        assert len(host.boots()) == before[host.name] + 1
        assert (ready(node), node["status"]["nodeInfo"]["bootID"]) == (True, host.boot_id())
        assert not node["spec"].get("unschedulable")
        assert CORDONED not in node["metadata"]["annotations"]
        phases = dict.fromkeys(checkpoint["phase"] for checkpoint in outcome.checkpoints(host.name))
        assert list(phases) == ["checking", "draining", "rebooting", "verifying", "done"]
    assert outcome.last("h1")["data"]["node"] == "h1"
    plane.until(lambda: available(plane) == 3, 60, "three replicas again")
    serving = serving_pods(plane, "web")
    assert max(serving) == 3
    assert min(serving[serving.index(3) :]) >= 2, "as the API server recorded it: the budget was never violated"


def test_a_node_that_somebody_else_cordoned_stays_so(plane: ControlPlane) -> None:
    plane.ask("PATCH", "/api/v1/nodes/h2", {"spec": {"unschedulable": True}}, headers=MERGE)
    outcome = run(plane, "restart", "--limit", "h2")
    assert outcome.returncode == 0, outcome.output
    node = node_of(plane, plane.lab.host("h2"))
    assert (ready(node), node["spec"]["unschedulable"]) == (True, True)
    plane.ask("PATCH", "/api/v1/nodes/h2", {"spec": {"unschedulable": None}}, headers=MERGE)


@pytest.fixture
def tight(plane: ControlPlane) -> Iterator[str]:
    """Three replicas of which a budget keeps all, so that no drain comes to its end; the node that has one of them."""
    plane.ask("POST", BUDGETS, budget("web", 3))
    plane.ask("POST", DEPLOYMENTS, deployment("web", 3))
    plane.until(lambda: available(plane) == 3, 60, "three replicas")
    yield plane.pods("app=web")[0]["spec"]["nodeName"]
    plane.ask("DELETE", f"{DEPLOYMENTS}/web")
    plane.ask("DELETE", f"{BUDGETS}/web")
    plane.until(lambda: not plane.pods("app=web"), 60, "the pods to end")


def loosen(plane: ControlPlane) -> None:
    """Let the budget keep two of three."""
    plane.ask("PATCH", f"{BUDGETS}/web", {"spec": {"minAvailable": 2}}, headers=MERGE)


def cordoned(plane: ControlPlane, node: str) -> bool:
    return bool((plane.node(node) or {"spec": {}})["spec"].get("unschedulable"))


@contextmanager
def running(plane: ControlPlane, **variables: Any) -> Iterator[Future[Outcome]]:
    """Run a restart beside the test."""
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(run, plane, "restart", **variables)


def test_a_budget_that_can_t_be_met_fails_the_host_by_name_and_leaves_it_in_service(
    plane: ControlPlane, tight: str
) -> None:
    boots = len(plane.lab.host(tight).boots())
    outcome = run(plane, "restart", "--limit", tight, drain_timeout_seconds=8)
    last = outcome.last(tight)
    assert (outcome.returncode != 0, last["state"], last["phase"]) == (True, "failed", "draining"), outcome.output
    assert f"node {tight} is not drained after 8 s: " in last["message"]
    assert "The disruption budget web needs 3 healthy pods and has 3 currently" in last["message"]
    assert not cordoned(plane, tight), "nothing was done to it, so it goes on serving"
    assert len(plane.lab.host(tight).boots()) == boots
    assert available(plane) == 3


def away(plane: ControlPlane) -> None:
    """Have no API server for a while."""
    plane.stop_api_server()
    time.sleep(4)
    plane.start_api_server()


def busy(plane: ControlPlane) -> None:
    """Let the API server turn everybody away by 429 and Retry-After, until it did: its one place is taken."""
    plane.stop_api_server()
    plane.start_api_server("--enable-priority-and-fairness=false", "--max-requests-inflight=1")

    def turned_away_meanwhile() -> bool:
        plane.occupy()
        return bool(turned_away(plane))

    plane.until(turned_away_meanwhile, 60, "a request to be turned away")
    plane.stop_api_server()
    plane.start_api_server()


def turned_away(plane: ControlPlane) -> list[dict[str, Any]]:
    """Return the requests of the account of restarts that were one too many, not those that a budget refused."""
    return [
        entry
        for entry in plane.audit()
        if entry["user"]["username"] == f"system:serviceaccount:default:{RESTARTER}"
        if entry["verb"] != "create" and (entry.get("responseStatus") or {}).get("code") == 429
    ]


def slow(plane: ControlPlane) -> None:
    """Let the API server take its time for an answer."""
    with plane.frozen_api_server():
        time.sleep(6)


@pytest.mark.parametrize("trouble", [away, busy, slow])
def test_an_api_server_in_trouble_in_the_middle_of_a_drain_is_waited_for(
    plane: ControlPlane, tight: str, trouble: Callable[[ControlPlane], None]
) -> None:
    with running(plane, commissaire_targets=tight) as restart:
        plane.until(lambda: cordoned(plane, tight), 30, "the node to be cordoned")
        trouble(plane)
        loosen(plane)
        outcome = restart.result(120)
    assert outcome.returncode == 0, outcome.output
    assert "waits" in outcome.output
    assert not cordoned(plane, tight)


def test_a_drain_that_was_killed_is_taken_up_by_the_next_run_which_takes_the_cordon_back(
    plane: ControlPlane, tight: str
) -> None:
    host = plane.lab.host(tight)
    boots = len(host.boots())
    with running(plane, commissaire_targets=tight, operation_id="7-night", lease_seconds=10) as restart:
        plane.until(lambda: cordoned(plane, tight), 30, "the node to be cordoned")
        kill_playbooks(plane)
        assert restart.result(60).returncode != 0
    node = node_of(plane, host)
    assert json.loads(node["metadata"]["annotations"][CORDONED])["operation_id"] == "7-night", (
        "the node says who did it"
    )
    loosen(plane)
    outcome = run(plane, "restart", "--limit", tight, operation_id="7-night", lease_wait_seconds=30)
    assert outcome.returncode == 0, outcome.output
    assert len(host.boots()) == boots + 1
    assert not cordoned(plane, tight)


def test_no_node_is_taken_out_while_fewer_are_ready_than_must_be(plane: ControlPlane, web: dict[str, Any]) -> None:
    everyone = [host.name for host in plane.lab.hosts]
    told = {"min_healthy": "100%", "min_healthy_of": everyone, "min_healthy_wait_seconds": 3}
    boots = len(plane.lab.host("h4").boots())
    plane.ask("PATCH", "/api/v1/nodes/h5", {"spec": {"unschedulable": True}}, headers=MERGE)
    try:
        outcome = run(plane, "restart", "--limit", "h4", **told)
    finally:
        plane.ask("PATCH", "/api/v1/nodes/h5", {"spec": {"unschedulable": None}}, headers=MERGE)
    assert outcome.last("h4")["message"] == (
        "not started: for 3 s, only 4 of 5 hosts are Ready, min_healthy is 5 (h5 away)"
    ), outcome.output
    assert (len(plane.lab.host("h4").boots()), cordoned(plane, "h4")) == (boots, False)
    outcome = run(plane, "restart", "--limit", "h4", **told)
    assert outcome.returncode == 0, outcome.output
    assert len(plane.lab.host("h4").boots()) == boots + 1


def test_a_host_that_fails_in_the_work_stays_cordoned_and_the_record_says_so(
    plane: ControlPlane, web: dict[str, Any]
) -> None:
    host = plane.lab.host("h4")
    host.run(["systemctl", "disable", "kubelet"], capture_output=True)
    try:
        outcome = run(plane, "restart", "--limit", "h4", node_ready_timeout_seconds=5)
        last = outcome.last("h4")
        assert (outcome.returncode != 0, last["state"], last["phase"]) == (True, "failed", "verifying"), outcome.output
        assert "node h4 is not Ready after 5 s: its kubelet has not reported since the host booted" in last["message"]
        assert last["message"].endswith("; its node h4 stays cordoned")
        assert last["data"] == {"out_of_service": True, "cordoned": "h4"}
        assert cordoned(plane, "h4")
    finally:
        host.run(["systemctl", "enable", "--now", "kubelet"], capture_output=True)
    mended = run(plane, "restart", "--limit", "h4")
    assert mended.returncode == 0, mended.output
    assert not cordoned(plane, "h4"), "the next run takes the cordon back that this one left"


def test_a_node_of_another_cluster_is_left_alone(plane: ControlPlane) -> None:
    kubeconfig = plane.lab.host("h5").root / "etc/kubernetes/kubelet.conf"
    own = kubeconfig.read_text()
    try:
        kubeconfig.write_text(own.replace(plane.url, "https://127.0.0.2:6443"))
        outcome = run(plane, "bootstrap", "--limit", "h5")
        assert "h5 is a node of another cluster, server: https://127.0.0.2:6443" in outcome.last("h5")["message"]
        assert kubeconfig.read_text() != own
    finally:
        kubeconfig.write_text(own)


def test_another_machine_s_node_is_left_alone(plane: ControlPlane) -> None:
    outcome = run(plane, "restart", "--limit", "h1", node_name="h2")
    assert "node h2 is another machine, with the machine id " in outcome.last("h1")["message"]
    assert not cordoned(plane, "h2")


def test_the_control_plane_loses_one_node_at_a_time_whatever_is_asked_for(plane: ControlPlane) -> None:
    """The label is what makes a node one of the control plane: these have none of its programs."""
    role = "node-role.kubernetes.io/control-plane"
    for name in ("h1", "h2"):
        plane.ask("PATCH", f"/api/v1/nodes/{name}", {"metadata": {"labels": {role: ""}}}, headers=MERGE)
    try:
        outcome = run(plane, "restart", "--limit", "h1,h2", max_unavailable=2)
        assert outcome.returncode == 0, outcome.output
        work = {}  # from each node's last cordon, which it kept, to the end of that
        for number, event in enumerate(plane.audit()):
            spec = (event.get("requestObject") or {}).get("spec", {})
            if event["userAgent"] == "commissaire.fleet" and event["verb"] == "patch" and "unschedulable" in spec:
                cordons = spec["unschedulable"]
                begin, _ = work.get(event["objectRef"]["name"], (0, 0))
                work[event["objectRef"]["name"]] = (number, 0) if cordons else (begin, number)
        first, second = sorted((work["h1"], work["h2"]))
        assert 0 < first[0] < first[1] < second[0] < second[1]
        plane.ask("PATCH", "/api/v1/nodes/h2", {"spec": {"unschedulable": True}}, headers=MERGE)
        refused = run(plane, "restart", "--limit", "h1", drain_timeout_seconds=3)
        assert (
            "h2 of the control plane is not in service, and only one node of it may be away"
            in (refused.last("h1")["message"])
        )
    finally:
        for name in ("h1", "h2"):
            body = {"metadata": {"labels": {role: None}}, "spec": {"unschedulable": None}}
            plane.ask("PATCH", f"/api/v1/nodes/{name}", body, headers=MERGE)


def kill_playbooks(plane: ControlPlane) -> None:
    """Kill every ansible-playbook of the lab, and what it started, at once."""
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            command = " ".join(process.cmdline())
            if "ansible-playbook" in command and str(plane.lab.directory) in command:
                process.kill()


@pytest.fixture
def stubborn(plane: ControlPlane) -> Iterator[dict[str, Any]]:
    """A pod that does not end when it is told to, for 25 s."""
    plane.ask("POST", DEPLOYMENTS, deployment("stubborn", 1, "stubborn", terminationGracePeriodSeconds=25))
    plane.until(lambda: available(plane, "stubborn") == 1, 60, "the pod")
    yield plane.pods("app=stubborn")[0]
    plane.ask("DELETE", f"{DEPLOYMENTS}/stubborn")
    plane.until(lambda: not plane.pods("app=stubborn"), 60, "the pods to end")


def test_a_pod_that_never_ends_is_named(plane: ControlPlane, stubborn: dict[str, Any]) -> None:
    node = stubborn["spec"]["nodeName"]
    outcome = run(plane, "restart", "--limit", node, drain_timeout_seconds=6)
    assert (outcome.returncode != 0, outcome.last(node)["phase"]) == (True, "draining"), outcome.output
    assert f"default/{stubborn['metadata']['name']} (does not end)" in outcome.last(node)["message"]


def test_a_pod_gets_no_more_time_to_end_than_it_is_told(plane: ControlPlane, stubborn: dict[str, Any]) -> None:
    node = stubborn["spec"]["nodeName"]
    outcome = run(plane, "restart", "--limit", node, drain_timeout_seconds=15, drain_grace_period_seconds=1)
    assert outcome.returncode == 0, outcome.output
    assert outcome.last(node)["data"]["evicted"] == [f"default/{stubborn['metadata']['name']}"]


def test_a_kubelet_is_upgraded_to_the_next_minor_version_on_a_drained_node(
    plane: ControlPlane, web: dict[str, Any]
) -> None:
    number = programs.version().removeprefix("v")
    for before in (EARLIER, number):
        outcome = run(plane, "kubelet_upgrade", "--limit", "h5")
        assert outcome.returncode == 0, outcome.output
        data = outcome.last("h5")["data"]
        assert (data["kubelet_before"], data["kubelet_after"], data["node"]) == (before, number, "h5")
        phases = dict.fromkeys(checkpoint["phase"] for checkpoint in outcome.checkpoints("h5"))
        assert list(phases) == ["checking", "draining", "upgrading", "verifying", "done"]
        assert node_of(plane, plane.lab.host("h5"))["status"]["nodeInfo"]["kubeletVersion"] == programs.version()
        assert not cordoned(plane, "h5")


@pytest.mark.parametrize(
    ("wanted", "why"),
    [
        ("1.99", "its API server is {version}; upgrade the control plane first"),
        (EARLIER.rpartition(".")[0], "kubelets are not downgraded"),
    ],
)
def test_a_kubelet_never_goes_beyond_its_server_nor_back(plane: ControlPlane, wanted: str, why: str) -> None:
    outcome = run(plane, "kubelet_upgrade", "--limit", "h1", kubernetes_version=wanted)
    told = f"the kubelet is {programs.version().removeprefix('v')} and can't become {wanted}: "
    assert told + why.format(version=programs.version()) in outcome.last("h1")["message"], outcome.output
    assert not cordoned(plane, "h1"), "nothing was changed on it, so it goes on serving"


def test_a_dry_run_tells_what_would_be_evicted_and_changes_nothing(plane: ControlPlane, web: dict[str, Any]) -> None:
    before = {pod["metadata"]["uid"] for pod in plane.pods("app=web")}
    outcome = run(plane, "restart", "--check")
    assert outcome.returncode == 0, outcome.output
    evicted = [pod for _, result in outcome.results for pod in result.get("evicted", [])]
    assert len(evicted) == 3, "each pod on one node"
    assert {pod["metadata"]["uid"] for pod in plane.pods("app=web")} == before
    assert not any(node_of(plane, host)["spec"].get("unschedulable") for host in plane.lab.hosts)


def test_a_node_leaves_its_cluster_and_can_join_again(plane: ControlPlane, web: dict[str, Any]) -> None:
    host = plane.lab.host("h3")
    outcome = run(plane, "node_leave", "--limit", "h3")
    assert outcome.returncode == 0, outcome.output
    assert plane.node("h3") is None
    assert not (host.root / "etc/kubernetes/kubelet.conf").exists()
    assert host.run(["test", "-e", PEM], check=False).returncode != 0
    assert (
        host.run(["systemctl", "is-active", "kubelet"], check=False, capture_output=True, text=True).stdout
        == "inactive\n"
    )
    plane.until(lambda: available(plane) == 3, 60, "three replicas on the nodes that are left")
    back = run(plane, "bootstrap", "--limit", "h3", kubernetes_node_labels={"zone": "b"})
    assert back.returncode == 0, back.output
    node = node_of(plane, host)
    assert (ready(node), node["metadata"]["labels"]["zone"]) == (True, "b")


def test_a_kubelet_that_the_server_does_not_take_is_refused_before_anything_is_changed(plane: ControlPlane) -> None:
    outcome = run(plane, "bootstrap", "--limit", "h1", kubernetes_node_version="1.12")
    last = outcome.last("h1")
    assert (last["state"], last["phase"]) == ("failed", "node"), outcome.output
    assert "a kubelet of version 1.12 can't work for an API server of version v1.35" in last["message"]
    assert ready(node_of(plane, plane.lab.host("h1")))


def test_evictions_were_asked_for_and_no_pod_deleted(plane: ControlPlane) -> None:
    asked = [event for event in plane.audit() if event.get("objectRef", {}).get("subresource") == "eviction"]
    assert {event["responseStatus"]["code"] for event in asked} == {201, 429}
    agent = {event["userAgent"] for event in asked}
    assert agent == {"commissaire.fleet"}
    deleted = [event for event in plane.audit() if event["userAgent"] in agent and event["verb"] == "delete"]
    assert {event["objectRef"]["resource"] for event in deleted} == {"nodes"}, "of the node that left"

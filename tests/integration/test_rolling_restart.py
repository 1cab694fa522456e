"""A rolling restart of real machines, asked for over REST."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from lab import Lab

from .controller import Controller

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def controller(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Controller]:
    """A server that knows the lab's machines as cluster `web`. Its folder has a name that needs quoting."""
    with Controller(lab, tmp_path_factory.mktemp("a 'folder' with $pecial names")) as controller:
        controller.add_hosts("web")
        yield controller


def test_new_hosts_are_investigated_bootstrapped_and_pinned(controller: Controller) -> None:
    true_keys = controller.lab.known_hosts.read_text()
    for host in controller.lab.hosts:
        shown = controller.ask("GET", f"/api/v1/hosts/{host.address}").json()
        assert shown["status"] == "active", shown
        assert (shown["os"], shown["os_version"], shown["cluster"]) == ("debian", "12", "web")
        assert shown["cpus"] >= 1
        assert shown["memory_kb"] > 100_000
        assert shown["host_key"] in true_keys


def test_every_host_restarts_once_one_after_the_other(controller: Controller) -> None:
    before = {host.name: host.boots() for host in controller.lab.hosts}
    operation = controller.restart("web")
    assert controller.ask("PUT", "/api/v0/cluster/web/restart", {}).status_code == 200

    shown = controller.ended(operation)

    assert (shown["state"], shown["message"]) == ("finished", "3 restarted")
    rows = controller.hosts_of(operation)
    for host in controller.lab.hosts:
        boots = host.boots()
        assert boots[:-1] == before[host.name]
        assert rows[host.address]["data"]["boot_id_before"] == boots[-2]
        assert rows[host.address]["data"]["boot_id_after"] == boots[-1]
        assert rows[host.address]["data"]["system_state"] == "running"
    spans = sorted((row["started_at"], row["finished_at"]) for row in rows.values())
    assert all(earlier[1] <= later[1] for earlier, later in pairwise(spans))
    v0 = controller.ask("GET", "/api/v0/cluster/web/restart").json()
    assert v0["status"] == "finished"
    assert len(v0["restarted"]) == 3
    assert v0["in_process"] == []


def test_a_cancelled_restart_stops_at_once_and_says_where(controller: Controller) -> None:
    first, second, third = (host.address for host in controller.lab.hosts)
    operation = controller.restart("web")
    controller.until(controller.phase(operation, first, "rebooting", "verifying"), 30, "the first host to go down")

    begin = time.monotonic()
    assert controller.ask("POST", f"{operation}/cancel").status_code == 202
    shown = controller.ended(operation, 10)

    assert time.monotonic() - begin < 5
    assert shown["state"] == "cancelled"
    assert controller.processes_of_playbooks() == []
    rows = controller.hosts_of(operation)
    assert rows[first]["state"] in ("cancelled", "finished")
    assert rows[third]["state"] == "not_started"
    assert controller.ask("POST", f"{operation}/cancel").status_code == 409
    assert second in rows
    for host in controller.lab.hosts:
        host.wait_until_running(30)


def test_an_unreachable_host_stops_the_operation_within_its_budget(controller: Controller) -> None:
    first, second, third = controller.lab.hosts
    boots = third.boots()
    second.cut()
    try:
        operation = controller.restart("web")
        shown = controller.ended(operation)
    finally:
        second.mend()

    assert shown["state"] == "failed"
    assert second.address in shown["message"]
    rows = controller.hosts_of(operation)
    assert rows[first.address]["state"] == "finished"
    assert rows[second.address]["state"] == "failed"
    assert rows[second.address]["phase"] == "checking"
    assert "ssh: connect to host" in rows[second.address]["message"], "its own words"
    assert rows[third.address]["state"] == "not_started"
    assert third.boots() == boots
    status = controller.ask("GET", f"/api/v0/host/{second.address}/status").json()
    assert status["host"]["status"] == "failed"
    assert controller.ask("GET", "/api/v0/cluster/web").json()["status"] == "degraded"
    assert controller.ask("POST", f"/api/v1/hosts/{second.address}/bootstrap").status_code == 201
    controller.until(
        lambda: controller.ask("GET", "/api/v0/cluster/web").json()["status"] == "ok", 60, "the host to be taken back"
    )


def test_a_host_that_never_comes_back_is_told_with_how_long_was_waited(controller: Controller) -> None:
    first = controller.lab.hosts[0]
    body = {"kind": "restart", "cluster": "web", "parameters": {"reboot_timeout_seconds": 5}}
    order = first.root / "var/lib/commissaire/restart.json"
    earlier = order.read_text()
    operation = controller.ask("POST", "/api/v1/operations", body).headers["Location"]
    controller.until(lambda: order.read_text() != earlier, 30, "the order to reboot")
    first.power_off()
    try:
        shown = controller.ended(operation)
    finally:
        first.power_on()

    assert shown["state"] == "failed"
    rows = controller.hosts_of(operation)
    assert rows[first.address]["state"] == "failed"
    assert rows[first.address]["phase"] == "rebooting"
    assert "5 s" in rows[first.address]["message"], rows[first.address]["message"]
    assert {row["state"] for address, row in rows.items() if address != first.address} == {"not_started"}


def test_a_full_disk_stops_the_restart_before_the_host_goes_down(controller: Controller) -> None:
    first = controller.lab.hosts[0]
    controller.ask("POST", f"/api/v1/hosts/{first.address}/bootstrap")
    controller.until(
        lambda: controller.ask("GET", "/api/v0/cluster/web").json()["status"] == "ok", 60, "the host to be taken back"
    )
    boots = first.boots()
    first.fill_disk()
    try:
        operation = controller.restart("web")
        shown = controller.ended(operation)
    finally:
        first.free_disk()

    assert shown["state"] == "failed"
    message = controller.hosts_of(operation)[first.address]["message"]
    assert "No space left on device" in message, message
    assert first.boots() == boots
    controller.ask("POST", f"/api/v1/hosts/{first.address}/bootstrap")
    controller.until(
        lambda: controller.ask("GET", "/api/v0/cluster/web").json()["status"] == "ok", 60, "the host to be taken back"
    )


def test_a_changed_host_key_is_a_hard_failure_that_says_how_to_accept_it(controller: Controller) -> None:
    first = controller.lab.hosts[0]
    true_key = controller.ask("GET", f"/api/v1/hosts/{first.address}").json()["host_key"]
    others = controller.lab.hosts[1]
    other_key = controller.ask("GET", f"/api/v1/hosts/{others.address}").json()["host_key"]
    boots = first.boots()
    controller.ask("PUT", f"/api/v1/hosts/{first.address}/host-key", {"host_key": other_key})

    operation = controller.restart("web")
    shown = controller.ended(operation)

    assert shown["state"] == "failed"
    message = controller.hosts_of(operation)[first.address]["message"]
    assert "host key" in message.lower()
    assert "accept" in message
    assert first.boots() == boots
    controller.ask("PUT", f"/api/v1/hosts/{first.address}/host-key", {"host_key": true_key})
    controller.ask("POST", f"/api/v1/hosts/{first.address}/bootstrap")
    controller.until(
        lambda: controller.ask("GET", "/api/v0/cluster/web").json()["status"] == "ok", 60, "the host to be taken back"
    )


def test_a_key_that_is_none_fails_the_host_with_the_reason(controller: Controller) -> None:
    address = "127.0.0.9"
    answer = controller.ask("PUT", f"/api/v0/host/{address}", {"ssh_priv_key": "dGVzdAo="})
    assert answer.status_code == 201
    status = f"/api/v1/hosts/{address}"
    controller.until(lambda: controller.ask("GET", status).json()["status"] == "failed", 30, "the host to fail")
    assert "no private key" in controller.ask("GET", status).json()["message"]
    assert controller.ask("DELETE", f"/api/v0/host/{address}").json() == []


def test_commctl_watches_a_restart_as_plain_lines(controller: Controller, tmp_path: Path) -> None:
    done = controller.commctl("cluster", "restart", "start", "web", "--max-unavailable", "3", "--watch")
    assert done.returncode == 0, done.stdout + done.stderr
    for host in controller.lab.hosts:
        assert f"{host.address}" in done.stdout
    assert "3 restarted" in done.stdout


def test_a_wrong_private_key_fails_with_the_words_of_ssh(controller: Controller, tmp_path: Path) -> None:
    first = controller.lab.hosts[0]
    controller.ask("DELETE", f"/api/v0/host/{first.address}")
    controller.lab.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "key")], check=True)
    done = controller.commctl("host", "create", first.address, str(tmp_path / "key"))
    assert done.returncode == 0, done.stdout + done.stderr
    status = f"/api/v1/hosts/{first.address}"
    controller.until(lambda: controller.ask("GET", status).json()["status"] == "failed", 30, "the host to fail")
    assert "Permission denied" in controller.ask("GET", status).json()["message"]

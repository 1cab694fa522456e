"""The watcher on real machines: what happens to them shows in their status, with a reason, and goes away again."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from lab import Lab
from lab.host import LabHost

from .controller import Controller

pytestmark = pytest.mark.integration

INTERVAL_SECONDS = 2
PATIENCE_SECONDS = 60


@pytest.fixture(scope="module")
def controller(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Controller]:
    """A server that knows the lab's machines as cluster `web`, and looks at them all the time."""
    folder = tmp_path_factory.mktemp("watcher")
    with Controller(lab, folder, "--watch-interval-seconds", str(INTERVAL_SECONDS)) as controller:
        controller.add_hosts("web")
        yield controller


def shown(controller: Controller, host: LabHost) -> dict[str, Any]:
    answer: dict[str, Any] = controller.ask("GET", f"/api/v1/hosts/{host.address}").json()
    return answer


def becomes(controller: Controller, status: str, *hosts: LabHost) -> None:
    for host in hosts:
        controller.until(
            lambda host=host: shown(controller, host)["status"] == status,  # type: ignore[misc]
            PATIENCE_SECONDS,
            f"{host.name} to be {status}",
        )


def test_hosts_that_work_are_checked_again_and_again_and_leave_no_operations(controller: Controller) -> None:
    operations = len(controller.ask("GET", "/api/v1/operations").json()["items"])
    for host in controller.lab.hosts:
        before = shown(controller, host)["last_check"]
        controller.until(lambda h=host, b=before: shown(controller, h)["last_check"] > b, 30, "a check")  # type: ignore[misc]
        assert shown(controller, host)["status"] == "active"
    assert len(controller.ask("GET", "/api/v1/operations").json()["items"]) == operations
    assert 'commissaire_host_checks_total{outcome="passed"}' in controller.ask("GET", "/metrics").text


def test_a_host_that_is_off_fails_and_is_active_again_when_it_is_back(controller: Controller) -> None:
    first, second, _ = controller.lab.hosts
    first.power_off()
    becomes(controller, "failed", first)
    message = shown(controller, first)["message"]
    assert message.startswith(f"check: {first.address} can't be reached: ssh: connect to host {first.address}"), message
    assert controller.ask("GET", "/api/v0/cluster/web").json()["status"] == "degraded"
    assert shown(controller, second)["status"] == "active"

    first.power_on()
    becomes(controller, "active", first)
    assert shown(controller, first)["message"] == ""
    assert controller.ask("GET", "/api/v0/cluster/web").json()["status"] == "ok"


def test_a_host_that_refuses_the_key_fails_with_the_next_step(controller: Controller) -> None:
    host = controller.lab.hosts[1]
    keys = host.root / "root/.ssh/authorized_keys"
    keys.rename(keys.with_name("away"))
    becomes(controller, "failed", host)
    message = shown(controller, host)["message"]
    assert "refuses the login" in message
    assert "Permission denied" in message
    assert "look at its user, and at the keys that may log in" in message
    keys.with_name("away").rename(keys)
    becomes(controller, "active", host)


def test_several_hosts_fail_and_come_back_at_once(controller: Controller) -> None:
    hosts = controller.lab.hosts
    hosts[0].cut()
    hosts[1].freeze()
    hosts[2].power_off()
    becomes(controller, "failed", *hosts)
    assert controller.ask("GET", "/api/v0/cluster/web").json()["status"] == "failed"
    assert "timed out" in shown(controller, hosts[1])["message"]
    hosts[0].mend()
    hosts[1].thaw()
    hosts[2].power_on()
    becomes(controller, "active", *hosts)


def test_a_check_asked_for_comes_at_once(controller: Controller) -> None:
    host = controller.lab.hosts[2]
    before = shown(controller, host)["last_check"]
    assert controller.ask("POST", f"/api/v1/hosts/{host.address}/check").status_code == 202
    controller.until(lambda: shown(controller, host)["last_check"] > before, 20, "the check")


def test_hosts_that_restart_are_not_failed_by_the_watcher(controller: Controller) -> None:
    log = controller.log.read_text()
    operation = controller.restart("web", max_unavailable=2)
    seen = set()
    while controller.ask("GET", operation).json()["state"] in ("queued", "running"):
        seen |= {shown(controller, host)["status"] for host in controller.lab.hosts}
        time.sleep(0.1)
    assert controller.ask("GET", operation).json()["state"] == "finished"
    time.sleep(3 * INTERVAL_SECONDS)
    seen |= {shown(controller, host)["status"] for host in controller.lab.hosts}
    assert seen == {"active"}
    assert "host_failed" not in controller.log.read_text()[len(log) :]


def test_a_restart_of_the_server_goes_on_watching(controller: Controller) -> None:
    host = controller.lab.hosts[0]
    controller.kill()
    host.power_off()
    controller.start()
    becomes(controller, "failed", host)
    assert controller.stop() == 0
    assert controller.processes() == []
    host.power_on()
    host.wait_for_ssh()
    controller.start()
    becomes(controller, "active", host)


def test_a_host_whose_bootstrap_failed_gets_it_again_when_it_answers(controller: Controller) -> None:
    host = controller.lab.hosts[2]
    assert controller.ask("DELETE", f"/api/v0/host/{host.address}").status_code == 200
    keys = host.root / "root/.ssh/authorized_keys"
    keys.rename(keys.with_name("away"))
    controller.add_hosts("web")
    assert shown(controller, host)["status"] == "failed"
    assert shown(controller, host)["message"].startswith("bootstrap: ")
    keys.with_name("away").rename(keys)
    becomes(controller, "active", host)
    (again, *_) = controller.ask("GET", f"/api/v1/operations?kind=bootstrap&host={host.address}").json()["items"]
    assert again["requested_by"] == "watcher"
    assert controller.ended(f"/api/v1/operations/{again['id']}")["state"] == "finished"

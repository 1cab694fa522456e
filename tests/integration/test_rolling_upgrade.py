"""A rolling upgrade of a real package on real machines, asked for over REST, over a crash of the server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import Lab

from . import debian, rpm_ostree
from .controller import Controller
from .playbook import run_playbook

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("packages")
    return [debian.build(folder, version) for version in ("1", "2")]


@pytest.fixture(scope="module")
def controller(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Controller]:
    """A server that knows the lab's machines as cluster `web`."""
    with Controller(lab, tmp_path_factory.mktemp("server")) as controller:
        controller.add_hosts("web")
        yield controller


@pytest.fixture
def canary(controller: Controller, versions: list[Path]) -> Controller:
    """Version 1 of the package is installed everywhere, version 2 is in the repository."""
    debian.install(controller.lab, versions[0])
    debian.publish(controller.lab, versions[1])
    return controller


def test_an_upgrade_survives_a_crash_upgrades_each_host_once_and_never_two_at_once(canary: Controller) -> None:
    first, second, _third = hosts = canary.lab.hosts
    boots = {host.name: host.boots() for host in hosts}
    operation = canary.operate("web", "upgrade")
    canary.until(lambda: bool(debian.configured(second)), 120, "the second host to be upgraded")
    assert canary.ask("PUT", "/api/v0/cluster/web/upgrade", {}).status_code == 200
    refused = canary.ask("PUT", "/api/v0/cluster/web/restart", {})
    assert (refused.status_code, "(upgrade) is running on cluster web" in refused.json()["detail"]) == (409, True)
    canary.kill()
    canary.start()

    shown = canary.ended(operation, 180)

    assert (shown["state"], shown["message"], shown["attempt"]) == ("finished", "3 upgraded", 2)
    assert debian.most_at_once(canary.lab) == 1
    rows = canary.hosts_of(operation)
    for host in hosts:
        assert debian.packages(host)["canary"] == "installed 2"
        assert host.boots() == boots[host.name]
        assert rows[host.address]["data"]["packages"] == [{"name": "canary", "before": "1", "after": "2"}]
    assert [(what, version) for what, version, _ in debian.configured(first)] == [("begin", "2"), ("end", "2")]
    record = canary.ask("GET", "/api/v0/cluster/web/upgrade").json()
    assert (record["status"], len(record["upgraded"]), record["in_process"]) == ("finished", 3, [])


def test_a_package_that_breaks_fails_its_host_says_why_and_stops_the_operation(canary: Controller) -> None:
    first, second, third = canary.lab.hosts
    (second.root / "etc/canary-breaks").touch()
    shown = canary.ended(canary.operate("web", "upgrade"), 180)
    assert shown["state"] == "failed", shown
    assert shown["hosts"] == {**shown["hosts"], "finished": 1, "failed": 1, "not_started": 1}, shown["message"]
    assert "post-installation script subprocess returned error" in shown["message"]
    assert [debian.packages(host)["canary"] for host in (first, third)] == ["installed 2", "installed 1"]
    broken = canary.ask("GET", f"/api/v1/hosts/{second.address}").json()
    assert (broken["status"], broken["message"].startswith("upgrade: upgrading: ")) == ("failed", True)
    (second.root / "etc/canary-breaks").unlink()
    assert canary.ended(canary.operate("web", "upgrade"), 180)["message"] == "3 upgraded"
    assert canary.ask("GET", f"/api/v1/hosts/{second.address}").json()["status"] == "active"


def test_ansible_playbook_keeps_off_a_host_that_the_server_works_on_and_is_told_who_has_it(canary: Controller) -> None:
    first = canary.lab.hosts[0]
    before = len(first.boots())
    (first.root / "etc/canary-waits").touch()
    operation = canary.operate("web", "upgrade")
    canary.until(lambda: bool(debian.configured(first)), 120, "the first host to be upgraded")
    other = run_playbook(canary.lab, "restart")
    (first.root / "etc/canary-waits").unlink()
    assert other.returncode == 2
    told = "checking: h1 is leased: held by admin by Commissaire's operation "
    assert other.last("h1")["message"].startswith(told), other.last("h1")["message"]
    assert {other.last(name)["state"] for name in ("h2", "h3")} == {"not_started"}
    assert canary.ended(operation)["message"] == "3 upgraded"
    assert len(first.boots()) == before


def test_a_cancelled_upgrade_gives_its_lease_back_and_says_how_the_host_is_left(canary: Controller) -> None:
    first = canary.lab.hosts[0]
    lease = first.root / "var/lib/commissaire/lease"
    (first.root / "etc/canary-waits").touch()
    operation = canary.operate("web", "upgrade")
    canary.until(lambda: bool(debian.configured(first)), 120, "the first host to be upgraded")
    assert "\nowner=admin by Commissaire's operation " in lease.read_text()
    assert canary.ask("POST", f"{operation}/cancel").status_code == 202
    assert canary.ended(operation, 60)["state"] == "cancelled"
    assert "\nowner=\n" in lease.read_text()
    assert canary.processes_of_playbooks() == []
    message = canary.hosts_of(operation)[first.address]["message"]
    assert message.startswith("cancelled while upgrading: its packages may be half upgraded")

    (first.root / "etc/canary-waits").unlink()
    shown = canary.ended(canary.operate("web", "upgrade"), 180)
    assert (shown["state"], debian.packages(first)["canary"]) == ("finished", "installed 2")


def test_a_deploy_names_its_version_and_fails_where_there_is_no_ostree(controller: Controller) -> None:
    hosts = controller.lab.hosts
    done = controller.commctl("cluster", "deploy", "start", "web", "7.2.6", "--watch")
    assert done.returncode == 2, done.stdout + done.stderr
    assert "is not an OSTree system; upgrade it instead" in done.stdout
    rpm_ostree.install(controller.lab, booted="7.2.5", newest="7.3.0", versions=["7.2.6"])
    done = controller.commctl("cluster", "deploy", "start", "web", "7.2.6", "--max-unavailable", "3", "--watch")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 deployed" in done.stdout
    assert [rpm_ostree.booted(host) for host in hosts] == ["7.2.6"] * 3
    assert controller.ask("GET", "/api/v0/cluster/web/deploy").json()["version"] == "7.2.6"

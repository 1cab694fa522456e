"""What is left of a rolling restart when its server is killed, and what the next server makes of it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator

import psutil
import pytest

from lab import Lab

from .controller import BIN, Controller

pytestmark = pytest.mark.integration

RECOVERY_SECONDS = 15


@pytest.fixture(scope="module")
def controller(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Controller]:
    """A server that knows the lab's machines as cluster `web`; each test leaves one running."""
    with Controller(lab, tmp_path_factory.mktemp("controller")) as controller:
        controller.add_hosts("web")
        yield controller


@pytest.mark.parametrize("phase", ["checking", "rebooting", "verifying", "done"])
def test_kill_9_leaves_no_process_and_the_restart_goes_on_by_itself(controller: Controller, phase: str) -> None:
    first = controller.lab.hosts[0]
    before = {host.name: host.boots() for host in controller.lab.hosts}
    operation = controller.restart("web")
    controller.until(_reached(controller, operation, first.address, phase), 40, f"the first host to be {phase}")

    controller.kill()

    gone_by = time.monotonic() + 5
    while controller.processes():
        assert time.monotonic() < gone_by, controller.processes()
        time.sleep(0.05)

    controller.start()
    back = time.monotonic()
    controller.until(
        lambda: controller.ask("GET", operation).json()["state"] != "queued", RECOVERY_SECONDS, "the restart to go on"
    )
    assert time.monotonic() - back < RECOVERY_SECONDS
    shown = controller.ended(operation)
    assert (shown["state"], shown["attempt"]) == ("finished", 2), shown
    for host in controller.lab.hosts:
        boots = host.boots()
        assert len(boots) == len(before[host.name]) + 1, "every host restarted once, the interrupted one too"
        assert controller.hosts_of(operation)[host.address]["data"]["boot_id_after"] == boots[-1]


def test_playbooks_that_outlive_server_and_supervisor_are_killed_by_the_next_server(controller: Controller) -> None:
    first = controller.lab.hosts[0]
    operation = controller.restart("web")
    controller.until(controller.phase(operation, first.address, "rebooting"), 40, "the first host to be rebooting")
    supervisors = [int(line.split()[0]) for line in controller.processes() if "launcher.supervisor" in line]
    assert controller.process is not None

    for pid in [*supervisors, controller.process.pid]:
        os.kill(pid, signal.SIGSTOP)  # nobody gets to act on the other's death
    for pid in [*supervisors, controller.process.pid]:
        os.kill(pid, signal.SIGKILL)
    controller.process.wait()
    orphans = [int(line.split()[0]) for line in controller.processes()]
    assert orphans, "the playbook has lost everyone who could have ended it"

    controller.start()

    alive = [pid for pid in orphans if psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie"]
    assert alive == []
    assert controller.ended(operation)["state"] == "finished"


def test_a_server_that_is_told_to_stop_gives_its_operation_back(controller: Controller) -> None:
    first = controller.lab.hosts[0]
    before = {host.name: host.boots() for host in controller.lab.hosts}
    operation = controller.restart("web")
    controller.until(controller.phase(operation, first.address, "rebooting"), 40, "the first host to be rebooting")

    begin = time.monotonic()
    assert controller.stop() == 0
    assert time.monotonic() - begin < 15
    assert controller.processes() == []
    assert "operation_interrupted" in controller.log.read_text()

    controller.start()
    shown = controller.ended(operation)
    assert (shown["state"], shown["attempt"]) == ("finished", 2), shown
    assert [len(host.boots()) - len(before[host.name]) for host in controller.lab.hosts] == [1, 1, 1]


def test_a_second_server_on_the_same_data_folder_refuses_to_start(controller: Controller) -> None:
    second = controller.lab.run(
        [str(BIN / "commissaire-server"), "--data-dir", str(controller.data_dir), "--listen-port", "8001"],
        env={"PATH": os.environ["PATH"], "HOME": str(controller.home)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert second.returncode != 0
    assert "another commissaire-server" in second.stderr


def _reached(controller: Controller, operation: str, address: str, phase: str) -> Callable[[], bool]:
    order = ["", "checking", "rebooting", "verifying", "done"]
    return lambda: order.index(controller.hosts_of(operation)[address]["phase"]) >= order.index(phase)

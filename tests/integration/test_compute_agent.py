"""The staging agent's client on a real hypervisor: a machine is installed from the network, and becomes a host."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.commissaire.fleet.plugins.module_utils.virt_type import runs_guests, virt_type_of

from lab import Lab, LabHost, hypervisor
from lab.guest import guest, installer
from lab.web import served

from .controller import Controller
from .module import run_module

pytestmark = pytest.mark.integration

VLAN = 10
NETWORK = "ns_example_com_vlan_10"
NAME = "ns.example.com"
SMALL = {"memory": 64, "disks": [1], "networks": [NETWORK]}


@pytest.fixture(scope="module")
def controller(lab_possible: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Controller]:
    """A server whose agent works on the one hypervisor of a lab, which reaches the machines on the VLAN."""
    with Lab.make(hosts=1, containers=True, disk_mb=4000, packages=hypervisor.PACKAGES) as lab:
        host = lab.hosts[0]
        hypervisor.prepare(host)
        hypervisor.connect_vlan(lab, host, VLAN)
        options = {"COMMISSAIRE_LOCAL_HYPERVISOR": hypervisor.listen(host)}
        with Controller(lab, tmp_path_factory.mktemp("server"), environ=options) as controller:
            yield controller


def status(controller: Controller, method: str, path: str, body: Any = None) -> int:
    """Return how a request is answered."""
    return controller.ask(method, path, body, timeout=120).status_code


def left(controller: Controller) -> tuple[list[str], list[str]]:
    """Return the names of the machines and of the volumes that the hypervisor has, as it tells itself."""
    lab = controller.lab
    vms = run_module(lab, lab.hosts[0], "vm_info")
    volumes = run_module(lab, lab.hosts[0], "vm_volume_info", pool="default")
    assert not vms.get("failed"), vms["msg"]
    assert not volumes.get("failed"), volumes["msg"]
    return sorted(vm["name"] for vm in vms["vms"]), sorted(volume["name"] for volume in volumes["volumes"])


def within(seconds: float, condition: Callable[[], Any], what: str) -> Any:
    """Wait for a condition and return what it is."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
        time.sleep(0.5)
    return found


def test_the_example_of_the_document_becomes_a_host_that_is_restarted(controller: Controller, tmp_path: Path) -> None:
    lab, host = controller.lab, controller.lab.hosts[0]
    network = f"/host/{NAME}/network/{NETWORK}"
    wired = {"bridge": hypervisor.SWITCH, "vlan": VLAN}
    assert [status(controller, "GET", network), status(controller, "POST", network, wired)] == [404, 201]
    assert [status(controller, "GET", network), status(controller, "POST", network, wired)] == [204, 409]
    key = lab.private_key.with_suffix(".pub").read_text().strip()
    times = {}
    begin = time.monotonic()
    with served(lab, tmp_path / "tree") as url:
        location = f"{url}/{installer(tmp_path / 'tree', url, key)}"
        wanted = {"memory": 512, "disks": [2, 1], "networks": [NETWORK], "install": True, "location": location}
        answer = controller.ask("POST", f"/hosts/{NAME}", {**wanted, "console": True}, timeout=120)
        times["created"] = time.monotonic() - begin
        assert answer.status_code == 201, answer.text
        assert answer.json()["state"] == "running"
        assert status(controller, "POST", f"/hosts/{NAME}", wanted) == 409
        within(240, lambda: controller.ask("GET", f"/hosts/{NAME}").json()["state"] == "shut off", "the installation")
    times["installed"] = time.monotonic() - begin
    assert controller.ask("GET", f"/hosts/{NAME}").json() == {"id": "-", "name": NAME, "state": "shut off"}
    assert status(controller, "PUT", f"/hosts/{NAME}/start") == 204
    (address, *_) = run_module(lab, host, "vm_guest_info", name=NAME, wait_seconds=180)["addresses"]
    machine = LabHost(NAME, address, lab.name, lab.namespace, lab.directory / NAME)
    ssh = [word.replace("StrictHostKeyChecking=yes", "StrictHostKeyChecking=no") for word in lab.ssh(machine)]

    def on_it(command: str) -> str:
        return str(lab.run([*ssh, command], capture_output=True, text=True).stdout)

    within(60, lambda: on_it("echo up"), "ssh")
    times["ssh"] = time.monotonic() - begin
    disks = dict(line.split() for line in on_it("lsblk --nodeps --noheadings --output NAME,SIZE").splitlines())
    assert sorted(disks) == ["sda", "sdb"]
    assert sorted(disks.values()) == ["1G", "2G"], "kernels give the names as disks answer, in any order"
    (root,) = (line.split()[0] for line in on_it("cat /proc/mounts").splitlines() if line.split()[1] == "/")
    assert disks[root.removeprefix("/dev/").rstrip("1")] == "2G"
    switch = host.run(["ovs-vsctl", "show"], capture_output=True, text=True).stdout.replace('"', "")
    assert re.search(rf"Port vnet\d+\n\s+tag: {VLAN}\n", switch), switch

    lab.hosts[:] = [machine]
    try:
        controller.add_hosts("vms", seconds=180)
        times["bootstrapped"] = time.monotonic() - begin
        before = on_it("cat /proc/sys/kernel/random/boot_id")
        shown = controller.ended(controller.restart("vms"), 240)
        assert (shown["state"], shown["message"]) == ("finished", "1 restarted"), shown
        assert on_it("cat /proc/sys/kernel/random/boot_id") not in ("", before)
        times["restarted"] = time.monotonic() - begin
    finally:
        lab.hosts[:] = [host]
    print({what: round(seconds, 1) for what, seconds in times.items()})
    assert status(controller, "POST", f"/hosts/{NAME}2", SMALL) == 201
    assert status(controller, "DELETE", f"/hosts/{NAME}") == 204
    assert status(controller, "DELETE", f"/hosts/{NAME}") == 404
    assert left(controller) == ([f"{NAME}2"], [f"{NAME}2-sda"])
    assert status(controller, "DELETE", f"/hosts/{NAME}2") == 204


def test_two_creates_at_once_make_one_machine(controller: Controller) -> None:
    controller.ask("POST", f"/networks/{NETWORK}", {"bridge": hypervisor.SWITCH, "vlan": VLAN}, timeout=120)
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda _: status(controller, "POST", "/host/twin", SMALL), range(2)))
    assert sorted(answers) == [201, 409]
    assert status(controller, "GET", "/host/twin") == 204
    assert status(controller, "DELETE", "/hosts/twin") == 204
    assert left(controller) == ([], [])


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({"networks": ["no_such"]}, 502, "there is no network no_such; make it first"),
        ({"install": True, "location": "http://127.0.0.1:9/none"}, 502, "virt-install says: "),
        ({"disks": [1, 2 * 1024 * 1024]}, 400, "disks"),
        ({"install": True}, 400, "location is missing"),
        ({"install": True, "location": "/etc/passwd"}, 400, "location"),
        ({"memory": "much"}, 400, "memory"),
        ({"disks": []}, 400, "disks"),
        ({"networks": ["{{ lookup('pipe', 'id') }}"]}, 400, "can't be called"),
    ],
)
def test_a_machine_that_can_not_be_made_leaves_nothing_behind(
    controller: Controller, changes: dict[str, Any], code: int, words: str
) -> None:
    answer = controller.ask("POST", "/hosts/half", {**SMALL, "networks": [], **changes}, timeout=120)
    assert (answer.status_code, words in answer.text) == (code, True), answer.text
    assert left(controller) == ([], [])
    assert status(controller, "GET", "/hosts/half") == 404


def test_a_guest_shows_by_what_the_hypervisor_runs_others(controller: Controller) -> None:
    libvirt = pytest.importorskip("libvirt", reason="libvirt-python is not installed; install libvirt-dev first")
    uri = controller.ask("GET", "/api/v1/hypervisors/local", timeout=60).json()["uri"]
    connection = controller.lab.inside(libvirt.open, uri)
    try:
        assert runs_guests(connection, "qemu", "default")
        assert not runs_guests(connection, "kvm", "default"), "a machine of the lab has no /dev/kvm"
        assert virt_type_of(connection, "auto", "default") == "qemu"
    finally:
        connection.close()
    assert left(controller) == ([], [])


def test_one_call_makes_a_host_of_a_cluster_of_a_cloud_image(controller: Controller) -> None:
    controller.ask("POST", f"/networks/{NETWORK}", {"bridge": hypervisor.SWITCH, "vlan": VLAN}, timeout=120)
    assert status(controller, "PUT", "/api/v0/cluster/cloud", {}) == 201
    wanted = ["--image", str(guest() / "disk.qcow2"), "--disk", "2", "--memory", "512", "--network", NETWORK]
    wanted = ["--image", str(guest() / "disk.qcow2"), "--disk", "2", "--memory", "512", "--network", NETWORK]
    wanted += ["--owner", "ann", "--user", "ann", "--cluster", "cloud"]
    made = controller.commctl("vm", "create", "local/web", *wanted, "--watch", timeout=400)
    assert made.returncode == 0, made.stdout + made.stderr
    (host,) = within(
        120,
        lambda: controller.ask("GET", "/api/v1/hosts?cluster=cloud&status=active").json()["items"],
        "the host to be bootstrapped",
    )
    assert (host["cluster"], host["remote_user"], host["os"]) == ("cloud", "ann", "debian")
    keys = run_module(controller.lab, controller.lab.hosts[0], "vm_guest_info", name="web")["host_keys"]
    assert host["host_key"].splitlines() == keys, "pinned as the guest agent tells them"
    (shown,) = controller.ask("GET", "/api/v1/machines?owner=ann", timeout=60).json()["items"]
    assert (shown["name"], shown["state"], shown["hypervisor"]) == ("web", "running", "local")
    restarted = controller.ended(controller.restart("cloud"), 240)
    assert (restarted["state"], restarted["message"]) == ("finished", "1 restarted"), restarted
    assert status(controller, "DELETE", f"/api/v0/host/{host['address']}") == 200
    removed = controller.commctl("vm", "remove", "local/web", "--watch", timeout=120)
    assert removed.returncode == 0, removed.stdout + removed.stderr
    assert left(controller) == ([], [])


def test_a_hypervisor_that_is_gone_is_a_bad_gateway_and_nothing_else_is_slower(controller: Controller) -> None:
    host = controller.lab.hosts[0]
    assert status(controller, "GET", "/hosts") == 200
    host.cut()
    try:
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(controller.ask, "GET", "/hosts", timeout=60)
            begin = time.monotonic()
            assert status(controller, "GET", "/api/v0/hosts") == 200
            assert time.monotonic() - begin < 1
            answer = waiting.result()
        assert answer.status_code == 502
        assert "hypervisor local did not answer within 10 s" in answer.text
    finally:
        host.mend()
    within(60, lambda: status(controller, "GET", "/hosts") == 200, "the hypervisor to be asked again")

"""Machines of a real libvirt, announced by the role vm_announce and a real Avahi, and heard by Avahi and by us."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from commissaire.machines.announcements import Announcement, Announcements, AnnouncementsError, allowed_by
from lab import Lab, LabHost, hypervisor

from .controller import Controller
from .playbook import run_playbook

pytestmark = pytest.mark.integration

SERVICE = "commissaire-vm-announce"
NAMESPACE = "https://commissaire.example.org/xmlns/domain/1"
URI = "qemu+ssh://10.77.0.11/system"
DOMAIN = """<domain type="{kind}"><name>{name}</name>
<metadata><c:owner xmlns:c="{namespace}">{owner}</c:owner></metadata>
<memory>65536</memory><os><type{machine}>hvm</type></os></domain>"""
QUIET_SECONDS = 9
"""Until Avahi has announced a machine for the last time; only after that what takes it back is sure to be sent."""
PROGRAM = "/usr/local/lib/commissaire/vm_announce.py"


@pytest.fixture(scope="module")
def pair(lab_possible: None) -> Iterator[Lab]:
    """Two hypervisors; the first has machines, and the second listens."""
    with Lab.make(hosts=2, packages=hypervisor.ANNOUNCING) as lab:
        outcome = run_playbook(lab, "vm_announce")
        assert outcome.returncode == 0, outcome.output
        yield lab


def virsh(host: LabHost, *arguments: str, **kwargs: Any) -> str:
    done = host.run(["virsh", *arguments], check=False, capture_output=True, text=True, **kwargs)
    assert done.returncode == 0, done.stderr
    return str(done.stdout)


def define(host: LabHost, name: str, owner: str = "ann") -> str:
    """Define a machine, and return its UUID."""
    xml = DOMAIN.format(kind="qemu", name=name, owner=owner, namespace=NAMESPACE, machine=' machine="q35"')
    virsh(host, "define", "/dev/stdin", input=xml)
    return virsh(host, "domuuid", name).strip()


@contextmanager
def machines(host: LabHost, *names: str) -> Iterator[dict[str, str]]:
    """Define machines for a while; give their UUIDs by their names."""
    try:
        yield {name: define(host, name) for name in names}
    finally:
        for uuid in virsh(host, "list", "--all", "--uuid").split():
            virsh(host, "undefine", uuid)
        eventually(lambda: shown(host, "StatusText"), "announces 0 machines")


def shown(host: LabHost, name: str) -> str:
    """Return what systemd shows of the service."""
    show = ["systemctl", "show", f"--property={name}", "--value", SERVICE]
    return str(host.run(show, capture_output=True, text=True).stdout).strip()


@contextmanager
def published(host: LabHost, name: str, *text: str) -> Iterator[None]:
    """Let somebody else announce something."""
    publish = ["avahi-publish-service", name, "_domu._tcp", "16509", *text]
    host.run(["systemd-run", "--quiet", "--unit=stranger", *publish])
    try:
        yield
    finally:
        host.run(["systemctl", "stop", "stranger"])


def heard(host: LabHost) -> dict[str, dict[str, str]]:
    """Return the TXT records that Avahi hears on a host, by the instances' names, with `host` and `port`."""
    browse = ["avahi-browse", "--resolve", "--parsable", "--terminate", "_domu._tcp"]
    printed = host.run(browse, capture_output=True).stdout.decode(errors="replace")
    found = {}
    for line in printed.splitlines():
        if line.startswith("=;host0;IPv4;"):
            name, _type, _domain, target, _address, port, text = line.split(";", 9)[3:]
            strings = [unescaped(string) for string in text[1:-1].split('" "')] if text else []
            found[unescaped(name)] = {**dict(s.split("=", 1) for s in strings), "host": target, "port": port}
    return found


def unescaped(text: str) -> str:
    """Return what Avahi prints with bytes as three digits, and other characters with a backslash before them."""
    return re.sub(
        rb"\\(\d{3}|.)", lambda found: bytes([int(found[1])]) if len(found[1]) == 3 else found[1], text.encode()
    ).decode()


def eventually(found: Callable[[], Any], expected: Any, seconds: float = 20) -> None:
    """Wait until something is as expected."""
    deadline = time.monotonic() + seconds
    while (now := found()) != expected:
        assert time.monotonic() < deadline, now
        time.sleep(0.2)


@contextmanager
def listening(lab: Lab, allowed: list[str], *interfaces: str) -> Iterator[Announcements]:
    announcements = Announcements(allowed_by(allowed), interfaces or ["lab"])
    lab.inside(announcements.start)
    try:
        yield announcements
    finally:
        announcements.stop()


def list_inventory(lab: Lab, folder: Path, **options: Any) -> subprocess.CompletedProcess[str]:
    """List what the inventory plugin hears in the lab."""
    source = folder / "lab.mdns.yml"
    source.write_text(json.dumps({"plugin": "commissaire.fleet.mdns", "interfaces": ["lab"], **options}))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    environment["ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED"] = "true"
    command = [Path(sys.executable).parent / "ansible-inventory", "-i", source, "--list"]
    done: subprocess.CompletedProcess[str] = lab.run(command, cwd="/", env=environment, capture_output=True, text=True)
    return done


def test_the_role_changes_nothing_in_a_dry_run_and_nothing_twice(lab_of: Callable[..., Lab]) -> None:
    lab = lab_of(1, packages=hypervisor.ANNOUNCING)
    (host,) = lab.hosts
    foreseen = run_playbook(lab, "vm_announce", "--check", "--diff", user="operator", become=False)
    assert (foreseen.returncode, foreseen.changed()) == (0, ["h1"]), foreseen.output
    assert not (host.root / PROGRAM[1:]).exists()
    assert not (host.root / "etc/commissaire/vm_announce.json").exists()
    first = run_playbook(lab, "vm_announce", user="operator", become=False, vm_announce_interfaces=["host0"])
    assert (first.returncode, first.changed()) == (0, ["h1"]), first.output
    assert [point["phase"] for point in first.checkpoints("h1")] == ["installing", "starting", "done"]
    assert first.last("h1")["data"] == {"uri": URI}
    again = run_playbook(lab, "vm_announce", user="operator", become=False, vm_announce_interfaces=["host0"])
    assert (again.returncode, again.changed()) == (0, []), again.output
    with machines(host, "one"):
        eventually(lambda: list(heard(host)), ["one"])
        browse = ["avahi-browse", "--parsable", "--terminate", "_domu._tcp"]
        assert ";lo;" not in host.run(browse, capture_output=True, text=True).stdout
    other = run_playbook(lab, "vm_announce", vm_announce_interfaces=["host0"], vm_announce_port=1)
    assert (other.returncode, other.changed()) == (0, ["h1"]), other.output
    with machines(host, "two"):
        eventually(lambda: {name: text["port"] for name, text in heard(host).items()}, {"two": "1"})


def test_the_service_has_no_rights(pair: Lab) -> None:
    host = pair.hosts[0]
    assert [shown(host, name) for name in ("User", "NoNewPrivileges")] == ["commissaire-announce", "yes"]
    status = host.run(["cat", f"/proc/{shown(host, 'MainPID')}/status"], capture_output=True, text=True).stdout
    assert "CapBnd:\t0000000000000000\n" in status


def test_each_machine_is_announced_with_what_there_is_to_know(pair: Lab) -> None:
    host, other = pair.hosts
    with machines(host, "web", "ns.example.com") as uuids:
        expected = {
            name: {"uuid": uuid, "uri": URI, "owner": "ann", "host": "h1.local", "port": "16509"}
            for name, uuid in uuids.items()
        }
        eventually(lambda: heard(other), expected)
        virsh(host, "metadata", "web", NAMESPACE, "--key", "commissaire", "--set", "<owner>eve</owner>")
        virsh(host, "domrename", "ns.example.com", "ns2.example.com")
        expected["web"]["owner"] = "eve"
        expected["ns2.example.com"] = expected.pop("ns.example.com")
        eventually(lambda: heard(other), expected)
        virsh(host, "undefine", "web")
        del expected["web"]
        eventually(lambda: heard(other), expected)
    eventually(lambda: heard(other), {})


def test_libvirt_and_avahi_may_be_started_anew(pair: Lab) -> None:
    host, other = pair.hosts
    with machines(host, "before"):
        eventually(lambda: sorted(heard(other)), ["before"])
        pid = shown(host, "MainPID")
        host.run(["systemctl", "restart", "libvirtd"])
        define(host, "between")
        eventually(lambda: sorted(heard(other)), ["before", "between"])
        host.run(["systemctl", "restart", "avahi-daemon"])
        virsh(host, "undefine", "before")
        eventually(lambda: sorted(heard(other)), ["between"])
        sockets = ["libvirtd.socket", "libvirtd-ro.socket", "libvirtd-admin.socket"]
        host.run(["systemctl", "stop", *sockets])  # first: the service asks again and again, and would start libvirtd
        host.run(["systemctl", "stop", "libvirtd.service"])
        time.sleep(2)
        assert sorted(heard(other)) == ["between"]
        host.run(["systemctl", "start", *sockets])
        virsh(host, "undefine", "between")
        eventually(lambda: sorted(heard(other)), [])
        assert shown(host, "MainPID") == pid


def test_what_a_killed_service_announced_is_taken_back_at_once(pair: Lab) -> None:
    host, other = pair.hosts
    with machines(host, "web"):
        eventually(lambda: sorted(heard(other)), ["web"])
        time.sleep(QUIET_SECONDS)
        host.run(["systemctl", "kill", "--signal=KILL", SERVICE])
        eventually(lambda: sorted(heard(other)), [], seconds=4)
        eventually(lambda: sorted(heard(other)), ["web"])


def test_a_name_that_is_taken_or_too_long_for_a_label_is_told_in_the_text(pair: Lab) -> None:
    host, other = pair.hosts
    long = "é." * 80
    with published(other, "taken", "uuid=of-another"):
        eventually(lambda: sorted(heard(other)), ["taken"])
        with machines(host, "taken", long) as uuids:
            label = f"{'é.' * 18} {uuids[long][:8]}"
            eventually(lambda: sorted(heard(other)), sorted(["taken", "taken #2", label]))
            found = heard(other)
            assert found["taken"]["uuid"] == "of-another"
            assert (found["taken #2"]["uuid"], found["taken #2"]["name"]) == (uuids["taken"], "taken")
            assert found[label]["name"] == long


def test_names_of_300_characters_and_hundreds_of_machines_are_heard_whole(pair: Lab) -> None:
    host = pair.hosts[1]
    names = [*(f"machine-{number}" for number in range(200)), "ア" * 300, f"{'ア' * 299}x", "a" * 300, "tab\there"]
    domains = [DOMAIN.format(kind="test", name=name, owner="ann", namespace=NAMESPACE, machine="") for name in names]
    (host.root / "root/node.xml").write_text(f"<node>{''.join(domains)}</node>")
    settings = {"uri": "test+ssh://10.77.0.12/many", "libvirt_uri": "test:///root/node.xml"}
    (host.root / "root/settings.json").write_text(json.dumps(settings))
    run = ["systemd-run", "--quiet", "--unit=many", "--property=Type=notify", "python3", PROGRAM, "/root/settings.json"]
    with listening(pair, ["test+ssh://10.77.0.*/many"]) as announcements:
        host.run(run)
        try:
            expected = sorted(name.replace("\t", "\ufffd") for name in names)
            eventually(lambda: sorted(machine.name for machine in announcements.machines()), expected)
            time.sleep(QUIET_SECONDS)
        finally:
            host.run(["systemctl", "stop", "many"])
        eventually(announcements.machines, [])


def test_machines_of_a_hypervisor_that_is_gone_are_forgotten_without_a_goodbye(pair: Lab) -> None:
    host = pair.hosts[0]
    with machines(host, "web", "ns.example.com"), listening(pair, [URI]) as announcements:
        eventually(lambda: len(announcements.machines()), 2)
        time.sleep(QUIET_SECONDS)
        host.cut()
        try:
            eventually(lambda: len(announcements.machines()), 0, seconds=160)
        finally:
            host.mend()
        eventually(lambda: len(announcements.machines()), 2, seconds=40)


def test_the_server_hears_machines_come_and_go_and_ignores_what_is_not_allowed(pair: Lab) -> None:
    host, other = pair.hosts
    hostile = ["uuid=6695eb01-f6a4-8304-79aa-97f2502e193f", f"uri={URI}?command=/bin/evil", "owner=ann"]
    with (
        published(other, "evil", *hostile),
        listening(pair, ["qemu+ssh://10.77.0.11/system"]) as announcements,
        machines(host, "ns.example.com") as uuids,
    ):
        name = "ns.example.com"
        expected = [Announcement(name, uuids[name], URI, "ann", "h1.local")]
        eventually(announcements.machines, expected)
        eventually(lambda: announcements.ignored, 1)
        virsh(host, "metadata", name, NAMESPACE, "--key", "commissaire", "--set", "<owner>eve</owner>")
        eventually(announcements.machines, [Announcement(name, uuids[name], URI, "eve", "h1.local")])
        virsh(host, "undefine", name)
        eventually(announcements.machines, [])


@pytest.mark.parametrize("interface", ["lab", "10.77.0.1"])
def test_the_server_listens_on_an_interface_by_its_name_or_address(pair: Lab, interface: str) -> None:
    with machines(pair.hosts[0], "web"), listening(pair, [URI], interface) as announcements:
        eventually(lambda: [machine.name for machine in announcements.machines()], ["web"])


def test_an_interface_that_is_not_there_is_named_with_those_that_are(pair: Lab) -> None:
    with pytest.raises(AnnouncementsError, match="interface none is not there, or has no address; there are: lo, lab,"):
        pair.inside(Announcements(allowed_by([URI]), ["none"]).start)


def test_the_inventory_has_the_machines_of_hypervisors_that_are_allowed(pair: Lab, tmp_path: Path) -> None:
    host, other = pair.hosts
    hostile = ["uuid=6695eb01-f6a4-8304-79aa-97f2502e193f", "uri=qemu+ssh://10.77.0.11/system?command=evil"]
    with published(other, "evil", *hostile), machines(host, "web", "{{ 6 * 7 }}") as uuids:
        eventually(lambda: len(heard(other)), 3)
        keyed = [{"key": "vm_owner", "prefix": "of"}]
        done = list_inventory(pair, tmp_path, allowed_uris=["qemu+ssh://10.77.0.*/system"], keyed_groups=keyed)
        assert done.returncode == 0, done.stderr
        listed = json.loads(done.stdout)
        hosts = sorted(["web", uuids["{{ 6 * 7 }}"]])
        groups = {name: sorted(group["hosts"]) for name, group in listed.items() if "hosts" in group}
        assert groups == {"hypervisor_h1": hosts, "owner_ann": hosts, "of_ann": hosts}
        told = {"vm_uuid": uuids["web"], "vm_hypervisor": URI, "vm_owner": "ann", "vm_name": "web"}
        variables = listed["_meta"]["hostvars"]
        assert variables["web"] == {name: {"__ansible_unsafe": value} for name, value in told.items()}
        assert variables[uuids["{{ 6 * 7 }}"]]["vm_name"] == {"__ansible_unsafe": "{{ 6 * 7 }}"}


def test_the_inventory_is_kept_in_a_cache_and_read_from_it_by_what_is_allowed_then(pair: Lab, tmp_path: Path) -> None:
    cache = {"cache": True, "cache_plugin": "ansible.builtin.jsonfile", "cache_connection": str(tmp_path / "cache")}
    with machines(pair.hosts[0], "web"):
        eventually(lambda: sorted(heard(pair.hosts[1])), ["web"])
        assert '"web"' in list_inventory(pair, tmp_path, allowed_uris=[URI], **cache).stdout
    eventually(lambda: heard(pair.hosts[1]), {})
    assert '"web"' in list_inventory(pair, tmp_path, allowed_uris=[URI], **cache).stdout
    assert '"web"' not in list_inventory(pair, tmp_path, allowed_uris=["qemu+ssh://other/system"], **cache).stdout
    assert '"web"' not in list_inventory(pair, tmp_path, allowed_uris=[URI]).stdout


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"allowed_uris": [URI], "interfaces": ["none"]}, "interface none is not there, or has no address; there are:"),
        ({"allowed_uris": [URI], "interfaces": ["192.0.2.1"]}, "name others in interfaces"),
        ({}, "allowed_uris"),
    ],
)
def test_what_the_inventory_can_not_do_is_said(
    pair: Lab, tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    done = list_inventory(pair, tmp_path, **options)
    assert done.returncode != 0
    assert message in done.stderr


def test_a_server_asks_at_virt_whoever_announces_machines_and_is_allowed(pair: Lab, tmp_path: Path) -> None:
    settings = {"ANNOUNCED_HYPERVISORS": f'["{URI}"]', "ANNOUNCEMENT_INTERFACES": '["lab"]', "LOCAL_HYPERVISOR": ""}
    environ = {f"COMMISSAIRE_{name}": value for name, value in settings.items()}
    with machines(pair.hosts[0], "web"), Controller(pair, tmp_path, environ=environ) as controller:

        def asked() -> str:
            """Return what is said of hypervisors that did not let us in, which none does here."""
            answer = controller.ask("GET", "/virt", timeout=60)
            return answer.text if answer.status_code == 502 else ""

        with published(
            pair.hosts[1], "evil", "uuid=6695eb01-f6a4-8304-79aa-97f2502e193f", "uri=qemu+tcp://evil/system"
        ):
            eventually(lambda: "hypervisor 10.77.0.11: " in asked(), True, 40)
            assert "evil" not in asked()

"""The guest agent moves real machines to other addresses, whatever sets up their network, and puts back what fails."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from pathlib import Path

import pytest

from lab import Lab, LabHost
from lab.ping import ping
from singularity.configurators import networkmanager as networkmanager_module
from singularity.files import Files
from singularity.network.model import Network
from unit.guest_agent import roots

pytestmark = pytest.mark.integration
AGENT = Path(__file__).parents[2] / "roles/guest_agent/files/singularity"
MANAGERS = ("netplan.io", "network-manager")
GATEWAY = "10.77.0.1"
NEW, SECOND, NEW6 = "10.77.0.60", "10.77.0.61", "fd77::60"
PROFILE = """[connection]
id=before
type=ethernet
interface-name=host0
[ipv4]
method=manual
address1={address}/24
gateway=10.77.0.1
"""
NETWORK = "[Match]\nName=host0\n[Network]\nAddress={address}/24\nGateway=10.77.0.1\n"
NETPLAN = """# made by hand
network:
  version: 2
  renderer: networkd
  ethernets:
    host0:
      addresses: [{address}/24]
      routes:
        - to: 0.0.0.0/0
          via: 10.77.0.1
"""


@pytest.fixture
def ifupdown(lab_of: Callable[..., Lab]) -> Lab:
    """A lab with a machine that has the agent, and whose network is set up by ifupdown, as labs' are."""
    lab = lab_of(1)
    equip(lab.hosts[0])
    return lab


def equip(host: LabHost) -> None:
    shutil.copytree(AGENT, host.root / "opt/agent/singularity", ignore=shutil.ignore_patterns("__pycache__"))


def agent(host: LabHost, *arguments: str, given: str = "", code: int = 0) -> str:
    """Run the agent in a machine, by its console as it were; return all that it says."""
    argv = ["env", "PYTHONPATH=/opt/agent", "python3", "-m", "singularity", *arguments]
    done = host.run(argv, check=False, input=given, text=True, capture_output=True)
    assert done.returncode == code, done.stdout + done.stderr
    return str(done.stdout + done.stderr)


def mac(host: LabHost) -> str:
    read = host.run(["cat", "/sys/class/net/host0/address"], capture_output=True, text=True)
    return str(read.stdout).strip()


def vm_data(host: LabHost, **changes: object) -> str:
    """What nova would leave for a machine that shall have the new addresses."""
    address = mac(host)
    ips = [{"ip": ip, "netmask": "255.255.255.0", "enabled": "1", "gateway": GATEWAY} for ip in (NEW, SECOND)]
    interface = {
        "label": "public",
        "mac": address.upper(),
        "gateway": GATEWAY,
        "broadcast": "10.77.0.255",
        "ips": ips,
        "ip6s": [{"ip": NEW6, "netmask": 64, "enabled": "1", "gateway": "fd77::1"}],
        "gateway_v6": "fd77::1",
        "routes": [{"route": "192.0.2.0", "netmask": "255.255.255.0", "gateway": "10.77.0.2"}],
        "dns": ["10.77.0.53"],
    }
    key = f"networking/{address.replace(':', '').upper()}"
    return json.dumps({"hostname": "moved", key: json.dumps({**interface, **changes})})


def show(host: LabHost, *argv: str) -> str:
    return str(host.run(argv, capture_output=True, text=True).stdout)


def moved(lab: Lab, host: LabHost) -> None:
    """See that the machine has its new addresses, and only those, its routes and its name."""
    assert ping(lab, NEW)
    assert ping(lab, SECOND)
    assert not ping(lab, host.address, seconds=1)
    known = re.findall(r"inet6? (\S+)/\d+ .*scope global", show(host, "ip", "address", "show", "dev", "host0"))
    assert set(known) == {NEW, SECOND, NEW6}
    routes = show(host, "ip", "route")
    assert f"default via {GATEWAY}" in routes
    assert "192.0.2.0/24 via 10.77.0.2" in routes
    assert "default via fd77::1" in show(host, "ip", "-6", "route")


def near_and_far(lab: Lab, host: LabHost) -> None:
    """Let the machine have an address whose network is itself alone, and a gateway all the same."""
    alone = [{"ip": NEW, "netmask": "255.255.255.255", "enabled": "1"}]
    agent(host, "apply", "network", "--vm-data", "-", given=vm_data(host, ips=alone, routes=[]))
    assert ping(lab, NEW)
    assert not ping(lab, SECOND, seconds=1)
    assert f"default via {GATEWAY} dev host0" in show(host, "ip", "route")


def restart(lab: Lab, host: LabHost) -> None:
    boots = len(host.boots())
    host.run(["systemctl", "reboot"])
    end = time.monotonic() + 30
    while len(host.boots()) == boots and time.monotonic() < end:
        time.sleep(0.1)
    host.wait_until_running()


def test_a_machine_with_ifupdown_moves_to_its_new_address_and_stays_there_over_a_restart(ifupdown: Lab) -> None:
    host = ifupdown.hosts[0]
    assert "+    address 10.77.0.60" in agent(host, "apply", "network", "--vm-data", "-", "--noop", given=vm_data(host))
    assert ping(ifupdown, host.address)
    agent(host, "apply", "network", "--vm-data", "-", given=vm_data(host))
    moved(ifupdown, host)
    assert show(host, "hostname").strip() == "moved"
    assert f"{NEW}\tmoved" in (host.root / "etc/hosts").read_text()
    assert f"{host.address} {host.name}" in (host.root / "etc/hosts").read_text()
    assert (host.root / "etc/resolv.conf").read_text() == "nameserver 10.77.0.53\n"
    assert agent(host, "apply", "network", "hostname", "hosts", "resolvers", "--noop") == ""
    restart(ifupdown, host)
    moved(ifupdown, host)
    near_and_far(ifupdown, host)
    assert sorted(show(host, "ifquery", "--state").split()) == ["host0=host0", "lo=lo"]


def hook(host: LabHost, command: str) -> None:
    """Let ifupdown run a command whenever it has put the new address there."""
    script = host.root / "etc/network/if-up.d/hook"
    script.write_text(f'#!/bin/sh\n[ "$IF_ADDRESS" != {NEW} ] || {command}\n')
    script.chmod(0o755)


def test_a_network_that_does_not_come_up_is_put_back_as_it_was(ifupdown: Lab) -> None:
    host = ifupdown.hosts[0]
    before = {name: (host.root / "etc" / name).read_bytes() for name in ("network/interfaces", "hosts", "hostname")}
    hook(host, "exit 1")
    said = agent(host, "apply", "network", "--vm-data", "-", given=vm_data(host), code=1)
    assert "ifup --force host0 failed" in said
    assert ping(ifupdown, host.address)
    assert {name: (host.root / "etc" / name).read_bytes() for name in before} == before
    assert not (host.root / "etc/resolv.conf").exists()
    assert not list((host.root / "etc/network").glob("*~"))
    assert show(host, "hostname").strip() == host.name
    assert agent(host, "apply", "network") == ""


def test_an_address_that_never_appears_is_put_back_as_well(ifupdown: Lab) -> None:
    host = ifupdown.hosts[0]
    hook(host, f"ip address delete {NEW}/24 dev host0")
    environment = "import singularity.network as network; network.SECONDS = 3.0\n"
    (host.root / "opt/agent/sitecustomize.py").write_text(environment)
    said = agent(host, "apply", "network", "--vm-data", "-", given=vm_data(host), code=1)
    assert f"{NEW} on host0" in said
    assert ping(ifupdown, host.address)


def networkd(host: LabHost) -> None:
    (host.root / "etc/systemd/network/20-host0.network").write_text(NETWORK.format(address=host.address))


def netplan(host: LabHost) -> None:
    (host.root / "etc/netplan").mkdir(exist_ok=True)
    (host.root / "etc/netplan/50-hand.yaml").write_text(NETPLAN.format(address=host.address))
    (host.root / "etc/netplan/50-hand.yaml").chmod(0o600)
    (host.root / "usr/bin/udevadm").unlink()  # `netplan apply` calls it; in a container there are no devices to ask for
    (host.root / "usr/bin/udevadm").symlink_to("true")


def networkmanager(host: LabHost) -> None:
    profile = host.root / "etc/NetworkManager/system-connections/before.nmconnection"
    profile.write_text(PROFILE.format(address=host.address))
    profile.chmod(0o600)


@pytest.mark.parametrize(
    ("set_up", "packages", "units"),
    [
        (networkd, (), ["systemd-networkd"]),
        (netplan, MANAGERS, ["systemd-networkd"]),
        (networkmanager, MANAGERS, ["NetworkManager"]),
    ],
)
def test_a_machine_moves_to_its_new_address_and_stays_there_over_a_restart(
    lab_of: Callable[..., Lab], set_up: Callable[[LabHost], None], packages: Sequence[str], units: list[str]
) -> None:
    lab = lab_of(1, packages=packages)
    host = lab.hosts[0]
    equip(host)
    (host.root / "etc/network/interfaces").write_text("auto lo\niface lo inet loopback\n")
    others = {"systemd-networkd", "NetworkManager"} - set(units)
    host.run(["systemctl", "--quiet", "disable", *others], check=False, stderr=subprocess.DEVNULL)
    host.run(["systemctl", "--quiet", "enable", *units], stderr=subprocess.DEVNULL)
    set_up(host)
    restart(lab, host)
    assert ping(lab, host.address), host.console.read_text()[-2000:]
    agent(host, "apply", "network", "--vm-data", "-", given=vm_data(host))
    moved(lab, host)
    assert agent(host, "apply", "network", "--noop") == ""
    restart(lab, host)
    moved(lab, host)
    near_and_far(lab, host)
    log = show(host, "journalctl", "--boot", "--unit", f"{units[0]}.service")
    complaints = [
        line for line in log.splitlines() if re.search("ignor|unknown|invalid|fail|warn", line, re.IGNORECASE)
    ]
    assert not [line for line in complaints if "singularity" in line]


def test_a_machine_whose_owner_switched_ipv6_off_gets_the_rest(ifupdown: Lab) -> None:
    host = ifupdown.hosts[0]
    host.run(["sysctl", "--quiet", "--write", "net.ipv6.conf.all.disable_ipv6=1"])
    agent(host, "apply", "network", "--vm-data", "-", given=vm_data(host))
    assert ping(ifupdown, NEW)
    assert "inet6" not in show(host, "ip", "address", "show", "dev", "host0")


def test_a_full_disk_leaves_the_network_and_every_file_as_they_were(ifupdown: Lab) -> None:
    host = ifupdown.hosts[0]
    before = {path: path.read_bytes() for path in (host.root / "etc").rglob("*") if path.is_file()}
    host.fill_disk()
    said = agent(host, "apply", "network", "--vm-data", "-", given=vm_data(host), code=1)
    host.free_disk()
    assert "No space left on device" in said
    assert {path: path.read_bytes() for path in (host.root / "etc").rglob("*") if path.is_file()} == before
    assert ping(ifupdown, host.address, seconds=1)


@pytest.fixture(scope="module")
def tools(lab_possible: None) -> Iterator[LabHost]:
    """A machine with the distributions' own tools, which are asked what they make of the files."""
    with Lab.make(hosts=1, packages=MANAGERS) as lab:
        yield lab.hosts[0]


@pytest.fixture(params=["both", "far", "empty"])
def wanted(request: pytest.FixtureRequest) -> Network:
    told = {"both": (roots.PUBLIC, roots.PRIVATE), "far": (roots.FAR,), "empty": (roots.EMPTY,)}
    return roots.network(*told[request.param])


def planned(host: LabHost, name: str, wanted: Network, files: dict[str, str]) -> str:
    """Write what a configurator plans into a root of its own in the machine; return where that is."""
    root = f"/srv/{name}"
    shutil.rmtree(host.root / root[1:], ignore_errors=True)
    roots.make(host.root / root[1:], files)
    found = import_module(f"singularity.configurators.{name}")
    Files(str(host.root / root[1:])).replace(found.plan(wanted, roots.system(host.root / root[1:])))
    return root


def test_ifupdown_would_do_what_was_wanted(tools: LabHost, wanted: Network) -> None:
    root = planned(tools, "debian", wanted, {"etc/network/interfaces": "source interfaces.d/*\niface eth0 inet dhcp\n"})
    for interface in wanted.interfaces:
        argv = [
            "ifup",
            "--no-act",
            "--verbose",
            "--force",
            f"--interfaces={root}/etc/network/interfaces",
            interface.name,
        ]
        done = tools.run(argv, capture_output=True, text=True)
        said = " ".join((done.stdout + done.stderr).split())
        assert "dhcp" not in said
        for address in interface.ips:
            assert f"ip addr add {address.address}/{address.netmask}" in said
        for address in interface.ip6s:
            assert f"ip -6 addr add {address}" in said
        for way in (*interface.ways(4), *interface.ways(6)):
            assert f"via {way.gateway} dev {interface.name}" in said


def test_netplan_makes_of_it_what_was_wanted(tools: LabHost, wanted: Network) -> None:
    other = "network:\n  version: 2\n  ethernets:\n    eth0:\n      dhcp4: true\n      addresses: [10.9.9.9/8]\n"
    alone = "network:\n  ethernets:\n    eth0:\n      mtu: 9000\n"
    root = planned(tools, "netplan", wanted, {"etc/netplan/50.yaml": other, "etc/netplan/60.yaml": alone})
    done = tools.run(["netplan", "generate", "--root-dir", root], capture_output=True, text=True, check=False)
    complaints = [line for line in done.stderr.splitlines() if line and "are too open" not in line]
    assert (done.returncode, complaints) == (0, [])
    for interface in wanted.interfaces:
        text = (tools.root / root[1:] / f"run/systemd/network/10-netplan-{interface.name}.network").read_text()
        assert re.findall("^Address=(.*)", text, re.MULTILINE) == list(map(str, interface.addresses))
        ways = [*interface.ways(4), *interface.ways(6)]
        assert re.findall("^Gateway=(.*)", text, re.MULTILINE) == [way.gateway for way in ways]
        assert text.count("GatewayOnLink=true") == sum(way.direct for way in ways)
        assert re.findall("^DNS=(.*)", text, re.MULTILINE) == list(interface.dns)
        assert "DHCP" not in text


def test_networkmanager_reads_of_it_what_was_wanted(tools: LabHost, wanted: Network) -> None:
    planned(tools, "networkmanager", wanted, {})
    for interface in wanted.interfaces:
        profile = networkmanager_module.keyfile(interface)
        argv = ["nmcli", "--offline", "connection", "modify", "connection.autoconnect-retries", "5"]
        done = tools.run(argv, input=profile, capture_output=True, text=True)
        values = set(done.stdout.splitlines())
        for version, addresses in ((4, interface.ips), (6, interface.ip6s)):
            gateway = interface.gateway if version == 4 else interface.gateway6
            assert {line.partition("=")[2].partition(",")[0] for line in values if line.startswith("address")} >= set(
                map(str, addresses)
            )
            assert not gateway or any(line.endswith(gateway.gateway) for line in values)
        assert f"interface-name={interface.name}" in values
        assert f"uuid={networkmanager_module.uuid(interface)}" in values
        for way in interface.routes:
            assert any(re.fullmatch(rf"route\d={way.to},{way.gateway}", line) for line in values)

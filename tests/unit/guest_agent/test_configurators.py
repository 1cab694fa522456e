"""Each distribution's files say what the hypervisor wants, and go on saying what others wrote there."""

from __future__ import annotations

import json
import re
import subprocess
from importlib import import_module

import pytest
import yaml

from singularity import configurators
from singularity.errors import Refused
from singularity.files import Files
from unit.guest_agent.roots import EMPTY, FAR, PRIVATE, PUBLIC, make, network, system, written

BOTH = network(PUBLIC, PRIVATE)


def module(name):
    return import_module(f"singularity.configurators.{name}")


def plan(name, root, wanted=BOTH):
    return written(module(name).plan(wanted, system(root)))


@pytest.mark.parametrize(
    ("files", "chosen"),
    [
        ({"etc/network/interfaces": "iface eth0 inet dhcp\n"}, "debian"),
        ({"etc/network/interfaces": "iface lo inet loopback\n", "usr/sbin/ifup": ""}, "debian"),
        (
            {
                "etc/network/interfaces": "source interfaces.d/*\n",
                "etc/network/interfaces.d/a": "iface eth0 inet dhcp\n",
                "usr/sbin/ifup": "",
                "etc/systemd/system/x.wants/NetworkManager.service": "",
            },
            "networkmanager",
        ),
        ({"etc/os-release": 'ID=debian\nNAME="Debian"\n'}, "debian"),
        ({"etc/netplan/50-cloud-init.yaml": "network:\n  version: 2\n"}, "netplan"),
        (
            {
                "etc/netplan/a.yaml": "",
                "usr/sbin/netplan": "",
                "etc/systemd/system/x.wants/systemd-networkd.service": "",
                "etc/network/interfaces": "iface eth0 inet dhcp\n",
                "sbin/ifup": "",
            },
            "netplan",
        ),
        ({"usr/sbin/netplan": "", "etc/network/interfaces": "iface eth0 inet dhcp\n", "sbin/ifup": ""}, "debian"),
        ({"etc/os-release": "ID=ubuntu\nID_LIKE=debian\n"}, "netplan"),
        (
            {
                "etc/systemd/system/multi-user.target.wants/systemd-networkd.service": "",
                "etc/network/interfaces": "auto lo\niface lo inet loopback\n",
                "sbin/ifup": "",
            },
            "networkd",
        ),
        ({"etc/systemd/network/a.network": ""}, "networkd"),
        ({"etc/os-release": "ID=arch\n"}, "networkd"),
        ({"etc/systemd/system/multi-user.target.wants/NetworkManager.service": ""}, "networkmanager"),
        ({"etc/NetworkManager/system-connections/a": ""}, "networkmanager"),
        ({"etc/os-release": 'ID="rocky"\nID_LIKE="rhel centos fedora"\n'}, "networkmanager"),
        (
            {
                "etc/sysconfig/network-scripts/ifcfg-eth0": "",
                "etc/sysconfig/network-scripts/ifup-eth": "",
                "etc/systemd/system/x.wants/NetworkManager.service": "",
            },
            "ifcfg",
        ),
        (
            {"etc/sysconfig/network-scripts/ifcfg-lo": "", "etc/systemd/system/x.wants/NetworkManager.service": ""},
            "networkmanager",
        ),
        ({"etc/conf.d/net": ""}, "gentoo"),
        ({"etc/init.d/net.lo": ""}, "gentoo"),
    ],
)
def test_the_configurator_fits_the_system(tmp_path, files, chosen):
    found = configurators.choose(system(make(tmp_path, files)))
    assert chosen == found.NAME


def test_a_masked_unit_is_not_in_use_and_a_system_that_tells_nothing_is_refused(tmp_path):
    make(tmp_path, {"etc/systemd/system/a.wants/systemd-networkd.service": ""})
    (tmp_path / "etc/systemd/system/systemd-networkd.service").symlink_to("/dev/null")
    with pytest.raises(Refused, match="--configurators"):
        configurators.choose(system(tmp_path))


INTERFACES = """# by hand
source interfaces.d/*
auto lo eth0
allow-hotplug eth0 eth1 eth9
iface lo inet loopback

# comment
iface eth0 inet dhcp
    up \\
iface of no stanza
    # inside

iface eth0:1 inet static
    address 10.9.9.9

mapping eth1
    script x

iface eth9 inet dhcp
"""


def test_ifupdown_s_other_stanzas_stay(tmp_path):
    make(
        tmp_path,
        {
            "etc/network/interfaces": INTERFACES,
            "etc/network/interfaces.d/50-cloud-init": "auto eth0\niface eth0 inet dhcp\n",
        },
    )
    found = plan("debian", tmp_path)
    assert found["/etc/network/interfaces.d/50-cloud-init"].strip() == ""
    assert (
        found["/etc/network/interfaces"]
        == """# by hand
source interfaces.d/*
auto lo
allow-hotplug eth9
iface lo inet loopback

# comment
iface eth9 inet dhcp

# singularity: public
auto eth0
iface eth0 inet static
    address 192.0.2.42
    netmask 255.255.255.0
    gateway 192.0.2.1
    dns-nameservers 192.0.2.53
iface eth0 inet static
    address 192.0.2.43
    netmask 255.255.255.0
iface eth0 inet6 static
    address 2001:db8::42
    netmask 64
    gateway fe80::1
    dns-nameservers 2001:db8::53
iface eth0 inet6 static
    address 2001:db8::43
    netmask 64

# singularity: private
auto eth1
iface eth1 inet static
    address 10.1.2.3
    netmask 255.255.192.0
    up ip route replace 10.176.0.0/12 via 10.1.0.1 dev eth1
    up ip route replace 192.168.0.0/16 via 10.200.0.1 dev eth1 onlink
"""
    )


def test_ifupdown_has_routes_when_all_addresses_are_there(tmp_path):
    given = {
        "mac": PRIVATE["mac"],
        "gateway": "192.0.2.1",
        "ips": [{"ip": "192.0.2.10", "netmask": 24}, {"ip": "198.51.100.5", "netmask": 25}],
        "routes": [{"route": "10.9.0.0", "netmask": "255.255.0.0", "gateway": "198.51.100.1"}],
    }
    text = plan("debian", tmp_path, network(given))["/etc/network/interfaces"]
    assert text.endswith(
        """iface eth1 inet static
    address 192.0.2.10
    netmask 255.255.255.0
    gateway 192.0.2.1
iface eth1 inet static
    address 198.51.100.5
    netmask 255.255.255.128
    up ip route replace 10.9.0.0/16 via 198.51.100.1 dev eth1
"""
    )


def test_ifupdown_has_the_loopback_a_far_gateway_and_no_address(tmp_path):
    text = plan("debian", tmp_path, network(FAR, {**EMPTY, "mac": PRIVATE["mac"]}))["/etc/network/interfaces"]
    assert text.startswith("auto lo\niface lo inet loopback\n")
    assert "up ip route replace 0.0.0.0/0 via 198.51.100.1 dev eth0 onlink\n" in text
    assert (
        "up ip -6 route replace 2001:db8:1::1 dev eth0\n    up ip -6 route replace ::/0 via 2001:db8:1::1 dev eth0\n"
        in text
    )
    assert "auto eth1\niface eth1 inet manual\n" in text


NETPLAN = """# This file is generated
network:
    version: 2
    ethernets:
        # the first
        id0:  # by MAC
            match:
                macaddress: 'BC:76:4E:00:00:01'
            set-name: eth0
            addresses:
            - 10.0.0.1/8

        "eth1":
            dhcp4: true
            nameservers: {addresses: [1.1.1.1]}
        # the last
        eth9:
            dhcp4: true
    vlans:
        eth0.5:
            id: 5
            link: eth0
"""


def test_netplan_s_other_interfaces_stay_and_ours_are_nowhere_else(tmp_path):
    make(
        tmp_path,
        {
            "etc/netplan/50-cloud-init.yaml": NETPLAN,
            "etc/netplan/60.yaml": "network:\n  ethernets:\n    eth1:\n      mtu: 9000\n",
        },
    )
    found = plan("netplan", tmp_path)
    rest = found["/etc/netplan/50-cloud-init.yaml"]
    parsed = yaml.safe_load(rest)["network"]
    assert parsed == {
        "version": 2,
        "ethernets": {"eth9": {"dhcp4": True}},
        "vlans": {"eth0.5": {"id": 5, "link": "eth0"}},
    }
    assert "# the last" in rest
    assert found["/etc/netplan/60.yaml"] == ""
    ours = yaml.safe_load(found["/etc/netplan/90-singularity.yaml"])["network"]["ethernets"]
    assert ours["eth0"] == {
        "match": {"macaddress": "bc:76:4e:00:00:01"},
        "set-name": "eth0",
        "dhcp4": False,
        "dhcp6": False,
        "accept-ra": False,
        "addresses": ["192.0.2.42/24", "192.0.2.43/24", "2001:db8::42/64", "2001:db8::43/64"],
        "routes": [{"to": "0.0.0.0/0", "via": "192.0.2.1"}, {"to": "::/0", "via": "fe80::1"}],
        "nameservers": {"addresses": ["192.0.2.53", "2001:db8::53"]},
    }
    assert ours["eth1"]["routes"][1] == {"to": "192.168.0.0/16", "via": "10.200.0.1", "on-link": True}
    Files(str(tmp_path)).replace(module("netplan").plan(BOTH, system(tmp_path)))
    assert Files(str(tmp_path)).replace(module("netplan").plan(BOTH, system(tmp_path))) == []
    assert (tmp_path / "etc/netplan/90-singularity.yaml").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "text",
    [
        "network: {ethernets: {eth0: {dhcp4: true}}}\n",
        json.dumps({"network": {"ethernets": {"eth0": {}}}}),
        "network:\n  ethernets: {eth0: {dhcp4: true}}\n",
        "network:\n  ethernets: &all\n    eth0:\n      dhcp4: true\n",
        "network:\n\tethernets:\n",
    ],
)
def test_netplan_s_files_that_are_not_laid_out_in_lines_are_refused(tmp_path, text):
    with pytest.raises(Refused, match="not laid out in lines"):
        plan("netplan", make(tmp_path, {"etc/netplan/a.yaml": text}))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# nothing\n",
        "network:\n  version: 2\n",
        "---\nnetwork:\n  renderer: NetworkManager\n  version: 2\n",
        "network:\n  ethernets:\n    eth9: {dhcp4: true}\n    eth8:\n      addresses:\n      - 10.0.0.1/8\n",
        "network:\n  bridges:\n    eth0:\n      dhcp4: true\n",
    ],
)
def test_netplan_s_files_without_ours_are_left_alone(tmp_path, text):
    assert plan("netplan", make(tmp_path, {"etc/netplan/a.yaml": text}))["/etc/netplan/a.yaml"] == text


def sections(text):
    """A file of sections, as a list of (section, {key: [values]})."""
    found = []
    for line in text.splitlines():
        if line.startswith("["):
            found.append((line[1:-1], {}))
        elif "=" in line and not line.startswith("#"):
            key, _, value = line.partition("=")
            found[-1][1].setdefault(key, []).append(value)
    return found


def test_networkd_gets_a_file_each_and_loses_those_of_interfaces_that_are_gone(tmp_path):
    make(tmp_path, {"etc/systemd/network/00-singularity-eth7.network": "", "etc/systemd/network/10-mine.network": ""})
    found = plan("networkd", tmp_path)
    assert found.pop("/etc/systemd/network/00-singularity-eth7.network") is None
    assert sorted(found) == [f"/etc/systemd/network/00-singularity-eth{number}.network" for number in (0, 1)]
    first, second = (dict(sections(text)) for _, text in sorted(found.items()))
    assert first["Match"] == {"Name": ["eth0"], "MACAddress": ["bc:76:4e:00:00:01"]}
    assert first["Network"]["Address"] == ["192.0.2.42/24", "192.0.2.43/24", "2001:db8::42/64", "2001:db8::43/64"]
    assert first["Network"]["DNS"] == ["192.0.2.53", "2001:db8::53"]
    assert second["Network"] == {"DHCP": ["no"], "Address": ["10.1.2.3/18"]}
    routes = [
        values
        for name, values in sections(found["/etc/systemd/network/00-singularity-eth1.network"])
        if name == "Route"
    ]
    assert routes[1] == {"Destination": ["192.168.0.0/16"], "Gateway": ["10.200.0.1"], "GatewayOnLink": ["yes"]}


def test_networkmanager_gets_a_closed_keyfile_each_always_by_the_same_uuid(tmp_path):
    folder = "etc/NetworkManager/system-connections"
    make(tmp_path, {f"{folder}/singularity-eth7.nmconnection": "", f"{folder}/mine.nmconnection": ""})
    changes = module("networkmanager").plan(BOTH, system(tmp_path))
    found = written(changes)
    assert found.pop(f"/{folder}/singularity-eth7.nmconnection") is None
    assert {change.mode for change in changes if change.content is not None} == {0o600}
    first = dict(sections(found[f"/{folder}/singularity-eth0.nmconnection"]))
    assert first["connection"]["uuid"] == ["35933e84-3f10-5a23-8cb8-ac0f550b39d9"]
    assert first["ipv4"] == {
        "method": ["manual"],
        "address1": ["192.0.2.42/24"],
        "address2": ["192.0.2.43/24"],
        "gateway": ["192.0.2.1"],
        "dns": ["192.0.2.53;"],
    }
    assert first["ipv6"]["gateway"] == ["fe80::1"]
    second = dict(sections(found[f"/{folder}/singularity-eth1.nmconnection"]))
    assert second["ipv4"]["route2"] == ["192.168.0.0/16,10.200.0.1"]
    assert second["ipv4"]["route2_options"] == ["onlink=true"]
    assert second["ipv6"] == {"method": ["auto"]}


def sourced(text, *names):
    """What a shell has in these variables when it has read a file."""
    script = f"{text}\n" + "".join(f'printf "%s\\0" "${{{name}}}"\n' for name in names)
    done = subprocess.run(["sh", "-eu", "-c", script], capture_output=True, text=True, check=True)
    return done.stdout.split("\0")[:-1]


def test_ifcfg_keeps_a_user_s_settings_and_no_address(tmp_path):
    folder = "etc/sysconfig/network-scripts"
    before = "DEVICE=eth0\nBOOTPROTO=dhcp\nIPADDR=10.9.9.9\nZONE=public\nUUID=\"a-b\"\nMTU=9000\nNAME='System eth0'\n"
    before += "X=$(reboot)\n"
    make(tmp_path, {f"{folder}/ifcfg-eth0": before, f"{folder}/route-eth0": "10.0.0.0/8 via 10.9.9.1\n"})
    found = plan("ifcfg", tmp_path)
    text = found[f"/{folder}/ifcfg-eth0"]
    names = (
        "IPADDR",
        "NETMASK",
        "PREFIX1",
        "GATEWAY",
        "DEFROUTE",
        "BOOTPROTO",
        "IPV6ADDR",
        "IPV6ADDR_SECONDARIES",
        "IPV6_DEFAULTGW",
        "DNS2",
    )
    assert sourced(text, *names) == [
        "192.0.2.42",
        "255.255.255.0",
        "24",
        "192.0.2.1",
        "yes",
        "none",
        "2001:db8::42/64",
        "2001:db8::43/64",
        "fe80::1%eth0",
        "2001:db8::53",
    ]
    assert sourced(text, "ZONE", "UUID", "MTU", "NAME", "HWADDR") == [
        "public",
        "a-b",
        "9000",
        "System eth0",
        "BC:76:4E:00:00:01",
    ]
    assert "10.9.9.9" not in text
    assert "reboot" not in text
    assert found[f"/{folder}/route-eth0"] is None
    assert found[f"/{folder}/route-eth1"] == (
        "10.176.0.0/12 via 10.1.0.1 dev eth1\n10.200.0.1 dev eth1\n192.168.0.0/16 via 10.200.0.1 dev eth1\n"
    )
    assert "GATEWAY" not in found[f"/{folder}/ifcfg-eth1"]


def test_ifcfg_has_a_far_gateway_among_its_routes(tmp_path):
    found = plan("ifcfg", tmp_path, network(FAR))
    folder = "/etc/sysconfig/network-scripts"
    assert "GATEWAY" not in found[f"{folder}/ifcfg-eth0"]
    assert found[f"{folder}/route-eth0"] == "198.51.100.1 dev eth0\n0.0.0.0/0 via 198.51.100.1 dev eth0\n"
    assert found[f"{folder}/route6-eth0"] == "2001:db8:1::1 dev eth0\n::/0 via 2001:db8:1::1 dev eth0\n"


GENTOO = """modules="iproute2"
config_eth0="dhcp"  # before
routes_eth0=( "default via 10.0.0.1"
  "x" )
config_eth01="null"
dns_servers_eth1='1.1.1.1
2.2.2.2'
postup() {
  return 0
}
"""


def test_gentoo_s_other_variables_stay(tmp_path):
    text = plan("gentoo", make(tmp_path, {"etc/conf.d/net": GENTOO}))["/etc/conf.d/net"]
    assert text.startswith(
        'modules="iproute2"\nconfig_eth01="null"\npostup() {\n  return 0\n}\n\n# singularity: public\n'
    )
    assert sourced(text, "config_eth0", "routes_eth0", "dns_servers_eth0", "config_eth1", "routes_eth1") == [
        "192.0.2.42/24\n192.0.2.43/24\n2001:db8::42/64\n2001:db8::43/64",
        "default via 192.0.2.1\ndefault via fe80::1",
        "192.0.2.53 2001:db8::53",
        "10.1.2.3/18",
        "10.176.0.0/12 via 10.1.0.1\n10.200.0.1 dev eth1\n192.168.0.0/16 via 10.200.0.1",
    ]
    assert 'config_eth0="null"' in plan("gentoo", tmp_path, network(EMPTY))["/etc/conf.d/net"]


@pytest.mark.parametrize("name", configurators.OURS)
@pytest.mark.parametrize("wanted", [BOTH, network(FAR), network(EMPTY)], ids=["both", "far", "empty"])
def test_a_second_plan_changes_nothing_and_commands_are_lists_of_words(tmp_path, name, wanted):
    make(tmp_path, {"etc/network/interfaces": INTERFACES, "etc/netplan/a.yaml": NETPLAN, "etc/conf.d/net": GENTOO})
    files = Files(str(tmp_path), backup=False)
    assert files.replace(module(name).plan(wanted, system(tmp_path)))
    assert files.replace(module(name).plan(wanted, system(tmp_path))) == []
    commands = [*module(name).down(wanted, system(tmp_path)), *module(name).up(wanted, system(tmp_path))]
    assert commands
    for command in commands:
        assert all(isinstance(word, str) and re.fullmatch(r"[\w./:-]+", word) for word in command)


OWN = """
from singularity.files import Change
NAME = "own"
def fits(system): return system.exists("/etc/own")
def plan(network, system): return [Change("/etc/own", network.interfaces[0].name.encode())]
def down(network, system): return []
def up(network, system): return [["true"]]
"""


def test_a_user_s_own_configurator_goes_before_ours_where_it_fits(tmp_path):
    folder = tmp_path / "configurators"
    make(
        tmp_path,
        {"configurators/own.py": OWN, "configurators/_not.py": "raise SystemExit", "etc/os-release": "ID=debian\n"},
    )
    assert configurators.choose(system(tmp_path), [str(folder)]).NAME == "debian"
    make(tmp_path, {"etc/own": ""})
    own = configurators.choose(system(tmp_path), [str(folder)])
    assert written(configurators.ask(own, "plan", BOTH, system(tmp_path))) == {"/etc/own": "eth0"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("this is no Python", "can not be loaded: SyntaxError"),
        ("1/0", "can not be loaded: ZeroDivisionError"),
        ("NAME = 'x'\ndef fits(system): return 1", "has no plan, down, up"),
        (OWN.replace('system.exists("/etc/own")', "1/0"), "fails: ZeroDivisionError"),
    ],
)
def test_a_user_s_configurator_that_does_not_work_is_refused_by_its_name(tmp_path, text, said):
    make(tmp_path, {"configurators/own.py": text})
    with pytest.raises(Refused, match=said):
        configurators.choose(system(tmp_path), [str(tmp_path / "configurators")])


def test_a_configurator_that_others_can_write_is_not_run(tmp_path):
    make(tmp_path, {"configurators/own.py": OWN})
    (tmp_path / "configurators/own.py").chmod(0o666)
    with pytest.raises(Refused, match="root's alone"):
        configurators.choose(system(tmp_path), [str(tmp_path / "configurators")])
    with pytest.raises(Refused, match="can not be read"):
        configurators.choose(system(tmp_path), [str(tmp_path / "none")])

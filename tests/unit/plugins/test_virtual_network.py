"""What the XML of libvirt's networks says, and which XML is made of what is wanted."""

import pytest
from ansible_collections.commissaire.fleet.plugins.module_utils.present_network import Present
from ansible_collections.commissaire.fleet.plugins.module_utils.virtual_network import (
    VirtualNetwork,
    network_xml,
    read_network,
    wanted_network,
)
from ansible_collections.commissaire.fleet.plugins.modules.vm_network import Plan, plan_network

LEASES = {"start": "10.9.0.10", "end": "10.9.0.99"}
TAGGED = VirtualNetwork("openvswitch", "br0", 10)
OTHER = VirtualNetwork("openvswitch", "br0", 11)


@pytest.mark.parametrize(
    "parameters",
    [
        {"mode": "openvswitch", "bridge": "br0", "vlan": 10},
        {"mode": "openvswitch", "bridge": "br0"},
        {"mode": "bridge", "bridge": "br1"},
        {"mode": "isolated"},
        {"mode": "isolated", "address": "fd00::1/64"},
        {"mode": "nat", "address": "10.9.0.1/24", "dhcp": LEASES, "domain": "example.com"},
        {"mode": "nat", "address": "10.9.0.1/24"},
    ],
)
def test_what_is_wanted_is_read_again_from_its_xml(parameters):
    wanted = wanted_network(**parameters)
    assert read_network(network_xml("n", wanted, "5f5a2a4e-0d5f-4f0e-8d1b-0a0a0a0a0a0a")) == wanted


def test_an_element_of_a_name_is_no_markup():
    assert "<name>a&lt;b&gt;&amp;</name>" in network_xml("a<b>&", wanted_network("isolated"))


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"mode": "bridge"}, "needs a bridge"),
        ({"mode": "openvswitch"}, "needs a bridge"),
        ({"mode": "bridge", "bridge": "br0", "address": "10.9.0.1/24"}, "what is on its bridge has them"),
        ({"mode": "bridge", "bridge": "br0", "vlan": 3}, "vlan is for mode openvswitch"),
        ({"mode": "openvswitch", "bridge": "br0", "vlan": 4095}, "1 to 4094, not 4095"),
        ({"mode": "nat"}, "needs an address"),
        ({"mode": "nat", "bridge": "br0", "address": "10.9.0.1/24"}, "a network of mode nat has its own"),
        ({"mode": "nat", "address": "10.9.0.1"}, "write it as 10.9.0.1/24"),
        ({"mode": "isolated", "dhcp": LEASES}, "dhcp needs an address"),
        ({"mode": "nat", "address": "10.8.0.1/24", "dhcp": LEASES}, "dhcp.start 10.9.0.10 is not in 10.8.0.0/24"),
        ({"mode": "nat", "address": "10.9.0.300/24"}, "10.9.0.300"),
    ],
)
def test_what_does_not_go_together_is_refused(parameters, words):
    with pytest.raises(ValueError, match=words.replace(".", r"\.")):
        wanted_network(**parameters)


def test_a_network_as_libvirt_writes_one_is_read():
    xml = """
    <network connections='1'>
      <name>default</name><uuid>5f5a2a4e</uuid>
      <forward mode='nat'><nat><port start='1024' end='65535'/></nat></forward>
      <bridge name='virbr0' stp='on' delay='0'/><mac address='52:54:00:00:00:01'/>
      <ip address='192.168.122.1' netmask='255.255.255.0'>
        <dhcp><range start='192.168.122.2' end='192.168.122.254'/></dhcp>
      </ip>
    </network>"""
    assert read_network(xml).facts() == {
        "mode": "nat", "bridge": None, "vlan": None, "address": "192.168.122.1/24",
        "dhcp": {"start": "192.168.122.2", "end": "192.168.122.254"}, "domain": None,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("before", "wanted", "restart", "plan"),
    [
        (None, None, False, Plan()),
        (None, TAGGED, False, Plan(define=True, start=True, autostart=True)),
        (Present("u", TAGGED, TAGGED, True), TAGGED, False, Plan()),
        (Present("u", TAGGED, None, False), TAGGED, False, Plan(start=True, autostart=True)),
        (Present("u", TAGGED, TAGGED, True), OTHER, False, Plan(define=True, needs_restart=True)),
        (Present("u", TAGGED, TAGGED, True), OTHER, True, Plan(stop=True, define=True, start=True)),
        (Present("u", OTHER, TAGGED, True), OTHER, False, Plan(needs_restart=True)),
        (Present("u", OTHER, TAGGED, True), OTHER, True, Plan(stop=True, start=True)),
        (Present("u", TAGGED, TAGGED, True), None, False, Plan(stop=True, undefine=True)),
        (Present("u", TAGGED, None, True), None, False, Plan(undefine=True)),
    ],
)
def test_a_network_becomes_what_is_wanted(before, wanted, restart, plan):
    assert plan_network(before, wanted, restart=restart) == plan


def test_what_waits_for_a_restart_is_no_change_by_itself():
    assert not plan_network(Present("u", OTHER, TAGGED, True), OTHER, restart=False).changes

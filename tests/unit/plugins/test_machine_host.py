"""What virtual machines are called as hosts, and which groups and variables they get."""

import itertools

import pytest
from ansible_collections.commissaire.fleet.plugins.plugin_utils.machine_host import (
    groups_of,
    host_names,
    once,
    passes,
    variables_of,
)

ADDRESSES = [
    {"mac": "52:54:00:00:00:01", "network": "lab", "address": "2001:db8::1", "prefix": 64, "source": "agent"},
    {"mac": "52:54:00:00:00:01", "network": "lab", "address": "192.0.2.1", "prefix": 24, "source": "agent"},
]


def machine(name="web", uuid=None, **other):
    told = {
        "name": name, "uuid": uuid or f"uuid-of-{name}", "owner": None, "memory_mb": 64, "vcpus": 1, "networks": [],
        "addresses": [], "state": "running", "hypervisor": "qemu+ssh://kvm1/system", "hypervisor_host": "kvm1",
    }  # fmt: skip
    return {**told, **other}


@pytest.mark.parametrize("name", ["web", "web.example.org", "web-1", "Web_1", "7", "ünï"])
def test_a_host_is_called_as_the_machine(name):
    assert host_names([machine(name)], ()) == [name]


@pytest.mark.parametrize(
    "name",
    ["all", "ungrouped", "localhost", "127.0.0.1", "::1", "192.0.2.7", "Windows 10", "a:b", "a,b", "*", "!a", "&a",
     "~a", "a[0]", "-x", "@x", ".", "{{ 1 }}", "${x}", "<b>", "a\nb", " ", "state_running"],
)  # fmt: skip
def test_a_name_that_would_be_mistaken_gives_way_to_the_uuid(name):
    assert host_names([machine(name, uuid="0a1b")], {"state_running"}) == ["0a1b"]


def test_machines_that_share_a_name_are_told_apart_whatever_their_order():
    machines = [
        machine("web", "1", hypervisor_host="kvm1"), machine("web", "2", hypervisor_host="kvm2"), machine("db", "3"),
        machine("same", "4"), machine("same", "5"), machine("v6", "6", hypervisor_host="fe80::1"),
        machine("v6", "7", hypervisor_host="fe80::2"), machine("db.kvm1", "8", hypervisor_host="kvm2"),
    ]  # fmt: skip
    called = dict(zip("12345678", host_names(machines, ()), strict=True))
    assert called == {
        "1": "web.kvm1", "2": "web.kvm2", "3": "db", "4": "4", "5": "5", "6": "6", "7": "7", "8": "db.kvm1.kvm2",
    }  # fmt: skip
    for order in itertools.islice(itertools.permutations(machines), 0, None, 997):
        names = host_names(order, ())
        assert {one["uuid"]: name for one, name in zip(order, names, strict=True)} == called


def test_a_machine_that_nothing_tells_from_another_has_no_name():
    assert host_names([machine("a b", "1"), machine("c d", "1"), machine("web", "1")], ()) == ["", "", "web"]


@pytest.mark.parametrize(("here", "there", "where"), [
    ("running", "paused", "kvm1"), ("shut off", "running", "kvm2"), ("paused", "running", "kvm2"),
    ("shut off", "crashed", "kvm1"), ("shut off", "paused", "kvm2"),
])  # fmt: skip
def test_a_machine_that_two_hypervisors_know_is_the_one_that_runs(here, there, where):
    (kept,) = once([machine("web", state=here), machine("web", state=there, hypervisor_host="kvm2")])
    assert kept["hypervisor_host"] == where
    assert len(once([machine("web", "1"), machine("web", "2"), machine("db", "1")])) == 3


@pytest.mark.parametrize(("filters", "passed"), [
    ({}, True),
    ({"owners": ["ann"]}, True),
    ({"owners": ["bob"]}, False),
    ({"owners": []}, False),
    ({"networks": ["dmz", "lab"]}, True),
    ({"networks": ["dmz"]}, False),
    ({"states": ["shut off"]}, True),
    ({"states": ["running", "shut_off"]}, True),
    ({"states": ["shut off"], "owners": ["bob"]}, False),
])  # fmt: skip
def test_a_filter_lets_through_what_has_one_of_each(filters, passed):
    assert passes(machine(owner="ann", networks=["lab"], state="shut off"), filters) is passed


def test_groups_have_names_that_groups_may_have():
    found = groups_of(machine(owner="R&D {{ 1 }}", networks=["ns_example_com:vlan_10", "lab"], state="in shutdown"))
    assert found == [
        "hypervisor_kvm1", "state_in_shutdown", "network_ns_example_com_vlan_10", "network_lab", "owner_R_D____1___",
    ]  # fmt: skip
    assert groups_of(machine(hypervisor_host="kvm1.example.org")) == ["hypervisor_kvm1_example_org", "state_running"]


@pytest.mark.parametrize(
    ("family", "address"), [("ipv4", "192.0.2.1"), ("ipv6", "2001:db8::1"), ("any", "2001:db8::1")]
)
def test_a_host_is_reached_at_the_first_address_of_its_family(family, address):
    variables = variables_of(machine(addresses=[{**one, "on_port": True} for one in ADDRESSES]), family)
    assert variables["ansible_host"] == address
    assert variables["vm_addresses"] == ADDRESSES
    assert variables["vm_hypervisor"] == "qemu+ssh://kvm1/system"


def test_a_host_is_not_looked_for_at_an_address_that_only_its_guest_knows():
    inner = {**ADDRESSES[1], "address": "172.17.0.1", "on_port": False}
    assert "ansible_host" not in variables_of(machine(addresses=[inner]), "any")
    assert "ansible_host" not in variables_of(machine(), "any")

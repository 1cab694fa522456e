"""Which announcements become hosts of an inventory, and what they are called there."""

import pytest
from ansible_collections.commissaire.fleet.plugins.plugin_utils.announcement import (
    Announcement,
    allows,
    group_name,
    host_names,
)

UUIDS = [f"6695eb01-f6a4-8304-79aa-97f2502e193{number}" for number in range(4)]


def announced(number, name):
    return Announcement(name, UUIDS[number], "qemu+ssh://h1/system", "ann", "h1.local")


@pytest.mark.parametrize(
    ("pattern", "uri", "allowed"),
    [
        ("qemu+ssh://h1/system", "qemu+ssh://h1/system", True),
        ("qemu+ssh://h1/system", "qemu+ssh://h1/system2", False),
        ("qemu+ssh://h1/system", "qemu+ssh://h1/system\n", False),
        ("qemu+ssh://*.example.org/system", "qemu+ssh://h1.example.org/system", True),
        ("qemu+ssh://*.example.org/system", "qemu+ssh://h1_exampleZorg/system", False),
        ("qemu+ssh://*.example.org/system", "qemu+ssh://evil.com/x.example.org/system", False),
        ("qemu+ssh://*.example.org/system", "qemu+ssh://evil.com#.example.org/system", False),
        ("qemu+ssh://*.example.org/*", "qemu+ssh://h1.example.org/system?command=/bin/evil", False),
        ("*", "qemu+ext:///system?command=/bin/evil", False),
        ("*", "qemu+ssh://h1/system", False),
        ("", "qemu+ssh://h1/system", False),
    ],
)
def test_a_pattern_leads_to_the_hypervisors_it_names_and_nowhere_else(pattern, uri, allowed):
    assert allows([pattern], uri) is allowed
    assert allows(["other", pattern], uri) is allowed
    assert allows([], uri) is False


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["web", "ns.example.com"], ["web", "ns.example.com"]),
        (["web", "web", "db"], [UUIDS[0], UUIDS[1], "db"]),
        (["localhost", "127.0.0.1", "all"], UUIDS[:3]),
        (["-oProxyCommand=evil", "a b", "{{ evil }}"], UUIDS[:3]),
        ([UUIDS[1], "web"], [UUIDS[0], "web"]),
        (["a" * 254, "é", ""], UUIDS[:3]),
    ],
)
def test_a_host_has_its_machines_name_where_that_is_unique_and_fit(names, expected):
    machines = [announced(number, name) for number, name in enumerate(names)]
    assert host_names(machines) == dict(zip(expected, machines, strict=True))


def test_a_machine_that_is_announced_twice_is_one_host():
    assert list(host_names([announced(0, "web"), announced(0, "web")])) == ["web"]


def test_a_group_has_a_name_that_ansible_takes():
    assert group_name("owner", "Bob & Co.") == "owner_Bob___Co_"
    assert group_name("hypervisor", "h1") == "hypervisor_h1"

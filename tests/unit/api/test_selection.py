"""Which hosts of a cluster an operation works on, and in which order they start."""

from __future__ import annotations

import time
from typing import Any

import pytest

from commissaire.fleet.errors import Invalid
from commissaire.fleet.selection import arrange_hosts, select_hosts
from commissaire.records import Host

ZONES = {"b1": "b", "a1": "a", "a2": "a", "x": None, "b2": "b", "a3": "a"}
HOSTS = [Host(address=name, labels={} if zone is None else {"zone": zone}) for name, zone in ZONES.items()]


def names(hosts: list[Host]) -> str:
    return " ".join(host.address for host in hosts)


@pytest.mark.parametrize(
    ("patterns", "selected"),
    [
        ([], "b1 a1 a2 x b2 a3"),
        (["a2"], "a2"),
        (["A2"], "a2"),
        (["a3", "b1"], "b1 a3"),
        (["a*"], "a1 a2 a3"),
        (["zone=b", "x"], "b1 x b2"),
        (["zone=*"], "b1 a1 a2 b2 a3"),
        (["a[12]"], "a1 a2"),
        (["zone=[!b]", "?1"], "b1 a1 a2 a3"),
        (["a1", "a1"], "a1"),
    ],
)
def test_hosts_are_selected_by_address_and_label_and_keep_their_order(patterns: list[str], selected: str) -> None:
    assert names(select_hosts(HOSTS, patterns)) == selected


def test_thousands_of_addresses_of_thousands_of_hosts_are_found_at_once() -> None:
    many = [Host(address=f"host-{number}.example.org", labels={"zone": str(number % 3)}) for number in range(5000)]
    begin = time.process_time()
    assert select_hosts(many, [host.address for host in many]) == many
    assert len(select_hosts(many, [f"host-{number}?.example.org" for number in range(100, 200)])) == 1000
    assert time.process_time() - begin < 2


@pytest.mark.parametrize("pattern", ["c*", "zone=c", "rack=a", "=", "zone="])
def test_a_pattern_that_matches_nothing_is_a_mistake(pattern: str) -> None:
    with pytest.raises(Invalid, match="no host of the cluster matches"):
        select_hosts(HOSTS, ["a1", pattern])


@pytest.mark.parametrize(
    ("parameters", "order"),
    [
        ({}, "b1 a1 a2 x b2 a3"),
        ({"host_order": "inventory", "failure_domain": "zone"}, "b1 a1 a2 x b2 a3"),
        ({"host_order": "reverse_inventory"}, "a3 b2 x a2 a1 b1"),
        ({"host_order": "sorted"}, "a1 a2 a3 b1 b2 x"),
        ({"host_order": "reverse_sorted"}, "x b2 b1 a3 a2 a1"),
        ({"host_order": "spread", "failure_domain": "zone"}, "b1 a1 x b2 a2 a3"),
        ({"one_domain_at_a_time": True, "failure_domain": "zone"}, "b1 b2 a1 a2 a3 x"),
        ({"host_order": "sorted", "one_domain_at_a_time": True, "failure_domain": "zone"}, "a1 a2 a3 b1 b2 x"),
    ],
)
def test_hosts_start_in_the_order_asked_for(parameters: dict[str, Any], order: str) -> None:
    assert names(arrange_hosts(HOSTS, parameters)) == order


def test_a_shuffle_loses_nobody_and_mixes() -> None:
    many = [Host(address=f"h{number}") for number in range(50)]
    shuffled = arrange_hosts(many, {"host_order": "shuffle"})
    assert shuffled != many
    assert sorted(names(shuffled).split()) == sorted(names(many).split())


def test_a_failure_domain_that_no_host_has_is_a_mistake() -> None:
    with pytest.raises(Invalid, match="no host has a label of that name"):
        arrange_hosts(HOSTS, {"failure_domain": "rack"})

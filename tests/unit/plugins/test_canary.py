"""The hosts that go first, and what the others wait for."""

import pytest
from ansible_collections.commissaire.fleet.plugins.plugin_utils.canary import (
    Canary,
    Flight,
    plan_canary,
    read_canary,
)


@pytest.mark.parametrize(
    ("hosts", "of", "number"),
    [(0, 10, 0), (2, 10, 2), ("25%", 10, 2), ("5%", 10, 1), ("0%", 10, 0), ("100%", 3, 3)],
)
def test_a_number_or_percentage_of_hosts_goes_first(hosts, of, number):
    assert read_canary(hosts, 5, 0, of) == Canary(number, 5, 0)


@pytest.mark.parametrize("hosts", ["many", -1, "101%", 1.5])
def test_anything_else_is_refused(hosts):
    with pytest.raises(ValueError, match="canary"):
        read_canary(hosts, 0, 0, 10)


@pytest.mark.parametrize(
    ("canary", "flight", "ahead", "action"),
    [
        (Canary(), Flight(), 0, None),
        (Canary(2), Flight(), 1, None),
        (Canary(2), Flight(), 2, "wait"),
        (Canary(2), Flight(under_way=frozenset("a")), 0, None),
        (Canary(2), Flight(under_way=frozenset("a")), 1, "wait"),
        (Canary(2), Flight(under_way=frozenset("ab")), 0, "wait"),
        (Canary(2), Flight({"a": 10}), 0, None),
        (Canary(2), Flight({"a": 10}), 1, "wait"),
        (Canary(2), Flight({"a": 10}, under_way=frozenset("b")), 0, "wait"),
        (Canary(2), Flight({"a": 10, "b": 20}), 0, None),
        (Canary(2), Flight({"a": 10, "b": 20}), 9, None),
        (Canary(2), Flight({"a": 10, "b": 20}, frozenset("b")), 0, "refuse"),
        (Canary(2, soak_seconds=100), Flight({"a": 10, "b": 901}), 0, "wait"),
        (Canary(2, soak_seconds=100), Flight({"a": 10, "b": 900}), 0, None),
        (Canary(0, soak_seconds=100, ended_at=901), Flight(), 0, "wait"),
        (Canary(0, soak_seconds=100, ended_at=900), Flight(), 0, None),
        (Canary(0, soak_seconds=100), Flight(), 0, None),
        (Canary(1, soak_seconds=100, ended_at=950), Flight({"a": 10}), 1, "wait"),
    ],
)
def test_the_others_wait_for_the_end_and_the_soak_of_the_first(canary, flight, ahead, action):
    decision = plan_canary(canary, flight, ahead, now=1000)
    assert (decision and decision.action) == action


def test_a_wait_says_for_what():
    waiting = plan_canary(Canary(1, 100), Flight({"a": 950}), 1, now=1000)
    assert waiting.message == "waits another 50 s, to see that the hosts that went first stay fit"
    refused = plan_canary(Canary(1), Flight({"a": 1}, frozenset({"a"})), 1, now=0)
    assert refused.message == "not started: a failed, and went first to try it out"

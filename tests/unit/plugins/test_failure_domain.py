"""Failure domains: the order of their hosts, and which may be out of service together."""

import pytest
from ansible_collections.commissaire.fleet.plugins.plugin_utils.failure_domain import (
    arrange,
    plan_domain,
    play_order,
    read_domains,
)
from ansible_collections.commissaire.fleet.plugins.plugin_utils.place import Places

DOMAINS = {"a1": "a", "a2": "a", "a3": "a", "b1": "b", "c1": "c", "c2": "c", "x": ""}


@pytest.mark.parametrize(
    ("order", "hosts"),
    [
        (None, "b a c"),
        ("inventory", "b a c"),
        ("reverse_inventory", "c a b"),
        ("sorted", "a b c"),
        ("reverse_sorted", "c b a"),
        ("shuffle", "c a b"),
    ],
)
def test_hosts_that_failed_before_the_play_have_the_place_in_it_that_they_would_have_had(order, hosts):
    assert play_order(["b", "a", "c"], ["c", "a"], order) == hosts.split()


@pytest.mark.parametrize(
    ("hosts", "spread", "one_at_a_time", "order"),
    [
        ("a1 a2 a3 b1 c1 c2 x", False, False, "a1 a2 a3 b1 c1 c2 x"),
        ("a1 a2 a3 b1 c1 c2 x", True, False, "a1 b1 c1 x a2 c2 a3"),
        ("x c2 c1 a1", True, False, "x c2 a1 c1"),
        ("a1 c1 b1 a2 x c2", False, True, "a1 a2 c1 c2 b1 x"),
        ("", True, False, ""),
    ],
)
def test_hosts_start_in_turn_or_domain_by_domain(hosts, spread, one_at_a_time, order):
    assert arrange(hosts.split(), DOMAINS, spread, one_at_a_time) == order.split()


@pytest.mark.parametrize(
    ("held", "kept", "host", "action"),
    [
        ("", "", "a1", None),
        ("a2", "a3", "a1", None),
        ("a1", "", "b1", "wait"),
        ("a1", "", "x", "wait"),
        ("x", "", "a1", "wait"),
        ("", "a1", "b1", "refuse"),
        ("c1", "a1", "b1", "refuse"),
    ],
)
def test_one_domain_at_a_time(held, kept, host, action):
    places = Places(frozenset(held.split()), frozenset(kept.split()))
    decision = plan_domain(DOMAINS, places, host)
    assert (decision and decision.action) == action


def test_who_is_waited_for_and_who_is_in_the_way_is_told():
    waiting = plan_domain(DOMAINS, Places(held=frozenset({"a1", "a2"})), "b1")
    assert waiting.message == "waits for a1, a2 of the failure domain a"
    refused = plan_domain(DOMAINS, Places(kept=frozenset({"x"})), "b1")
    assert "x failed out of service in another failure domain (without a name)" in refused.message


def test_a_label_goes_before_a_variable_and_hosts_without_either_are_together():
    variables = {
        "h1": {"commissaire_labels": {"zone": "a"}, "zone": "z"},
        "h2": {"zone": 2},
        "h3": {},
        "h4": {"zone": None},
    }
    assert read_domains("zone", variables) == {"h1": "a", "h2": "2", "h3": "", "h4": ""}


def test_a_key_that_no_host_has_is_a_mistake():
    with pytest.raises(ValueError, match="failure_domain is rack, but no host has"):
        read_domains("rack", {"h1": {"zone": "a"}})


@pytest.mark.parametrize(
    ("away", "host", "action"), [(["a"], "a1", None), (["a"], "b1", "refuse"), ([""], "a1", "refuse")]
)
def test_hosts_away_since_an_earlier_run_count_as_well(away, host, action):
    decision = plan_domain(DOMAINS, Places(), host, away)
    assert (decision and decision.action) == action

"""The window and the budget of a rolling play, from tables."""

import pytest
from ansible_collections.commissaire.fleet.plugins.plugin_utils.place import (
    Limits,
    Places,
    lose,
    plan_place,
    read_limits,
    release,
    take,
)


def places(held="", kept="", failed="", stopped=""):
    return Places(*(frozenset(names.split()) for names in (held, kept, failed, stopped)))


@pytest.mark.parametrize(
    ("state", "limits", "ahead", "action"),
    [
        (places(), Limits(1, 0), 0, "take"),
        (places(held="a"), Limits(1, 0), 0, "wait"),
        (places(held="a"), Limits(2, 0), 0, "take"),
        (places(held="a b"), Limits(2, 0), 0, "wait"),
        (places(held="me"), Limits(1, 0), 0, "take"),
        (places(held="a", failed="b"), Limits(2, 0), 0, "refuse"),
        (places(held="a", failed="b"), Limits(2, 1), 0, "take"),
        (places(failed="a b"), Limits(2, 1), 0, "refuse"),
        (places(kept="a", failed="a"), Limits(1, 5), 0, "refuse"),
        (places(kept="a", failed="a"), Limits(2, 5), 0, "take"),
        (places(held="b", kept="a", failed="a"), Limits(2, 5), 0, "wait"),
        (places(kept="a b", failed="a b"), Limits(2, 5), 0, "refuse"),
        (places(failed="b", stopped="b"), Limits(2, 5), 0, "refuse"),
        (places(), Limits(1, 0), 1, "wait"),
        (places(), Limits(3, 0), 2, "take"),
        (places(held="a"), Limits(3, 0), 2, "wait"),
    ],
)
def test_a_host_takes_waits_or_is_refused(state, limits, ahead, action):
    assert plan_place(state, "me", limits, ahead).action == action


@pytest.mark.parametrize(
    ("state", "limits", "message"),
    [
        (places(failed="b"), Limits(1, 0), "not started: b failed, and max_failures=0 is all that may"),
        (
            places(kept="b c", failed="b c"),
            Limits(2, 2),
            "not started: b, c failed out of service and may still be out of it, and max_unavailable=2 is all that may",
        ),
        (
            places(failed="a b c d e f g"),
            Limits(1, 2),
            "not started: a, b, c, d, e and 2 more failed, and max_failures=2 is all that may",
        ),
    ],
)
def test_a_refusal_says_which_hosts_and_which_limit(state, limits, message):
    assert plan_place(state, "me", limits).message == message


@pytest.mark.parametrize(
    ("failed", "out_of_service", "after"),
    [
        (False, False, places()),
        (True, False, places(failed="a")),
        (True, True, places(kept="a", failed="a")),
        (False, True, places()),
    ],
)
def test_only_a_host_that_failed_out_of_service_keeps_its_place(failed, out_of_service, after):
    assert release(take(places(), "a"), "a", failed, out_of_service) == after


def test_a_host_may_stop_the_others_by_its_failure_only():
    assert release(take(places(), "a"), "a", failed=True, stop=True) == places(failed="a", stopped="a")
    assert release(take(places(), "a"), "a", stop=True) == places()


def test_a_host_that_left_the_play_with_a_place_counts_as_out_of_service():
    assert lose(places(held="a b"), frozenset("ac")) == places(held="b", kept="a", failed="a")


@pytest.mark.parametrize(
    ("max_unavailable", "max_failures", "hosts", "limits"),
    [
        (1, 0, 3, Limits(1, 0)),
        ("2", "1", 3, Limits(2, 1)),
        ("25%", "10%", 39, Limits(9, 3)),
        ("25%", "10%", 3, Limits(1, 0)),
        ("100%", "100%", 3, Limits(3, 3)),
        (" 50% ", 0, 4, Limits(2, 0)),
        (9, 9, 3, Limits(9, 9)),
    ],
)
def test_limits_are_numbers_or_percentages_rounded_down(max_unavailable, max_failures, hosts, limits):
    assert read_limits(max_unavailable, max_failures, hosts) == limits


@pytest.mark.parametrize("value", [0, "0", "0%", -1, "abc", "120%", 1.5, True, None, "", "%", "1 0", "\u0661"])
def test_a_senseless_window_is_refused_by_name(value):
    with pytest.raises(ValueError, match=r"max_unavailable is .*give a number from 1 up, or a percentage"):
        read_limits(value, 0, 10)


@pytest.mark.parametrize("value", [-1, "abc", "101%", 0.5, False, None])
def test_a_senseless_budget_is_refused_by_name(value):
    with pytest.raises(ValueError, match=r"max_failures is .*give a number from 0 up, or a percentage"):
        read_limits(1, value, 10)

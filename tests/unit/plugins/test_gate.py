"""The gate on its way from a place to the doors behind it."""

import os

import pytest
from ansible_collections.commissaire.fleet.plugins.plugin_utils import gate, health_door
from ansible_collections.commissaire.fleet.plugins.plugin_utils.canary import Canary
from ansible_collections.commissaire.fleet.plugins.plugin_utils.gate import Gate, Rules
from ansible_collections.commissaire.fleet.plugins.plugin_utils.health_door import HealthDoor
from ansible_collections.commissaire.fleet.plugins.plugin_utils.place import Decision, Limits, Places
from ansible_collections.commissaire.fleet.plugins.plugin_utils.place_file import PlaceFile
from ansible_collections.commissaire.fleet.plugins.plugin_utils.shared_value import SharedValue

SHUT = Decision("wait", "waits")


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.setattr(gate.processes, "main_process", os.getppid)
    monkeypatch.setattr(gate, "DOOR_SECONDS", 0)
    return PlaceFile(str(tmp_path), "play")


def wait(file, *answers, domains=None, said=None, **rules):
    """Let host `a` through a gate with one door, which answers as told, time after time."""
    door = iter(answers).__next__
    all_rules = Rules(Limits(2, 0), Canary(), (door,), domains=domains, **rules)
    say = (said if said is not None else []).append
    return Gate(file, "a", 0, all_rules, say).wait({}, lambda: None)


def test_a_host_waits_at_its_door_with_the_place_in_hand_and_says_why_once(file):
    said = []
    assert wait(file, SHUT, SHUT, None, said=said).action == "take"
    assert said == ["a waits"]
    with file.change() as record:
        assert (record.places.held, record.begun) == (frozenset("a"), True)


@pytest.mark.parametrize(
    ("answers", "waits_when_paused", "action"),
    [
        ([SHUT, Decision("refuse", "no")], True, "refuse"),
        ([Decision("leave", "later")], True, "leave"),
        ([Decision("pause", "later", 7)], False, "pause"),
        ([Decision("pause", "later"), None], True, "take"),
    ],
)
def test_a_host_that_does_not_start_gives_its_place_back(file, answers, waits_when_paused, action):
    decision = wait(file, *answers, waits_when_paused=waits_when_paused)
    assert decision.action == action
    with file.change() as record:
        assert (bool(record.places.held), record.begun) == (action == "take", action == "take")
    assert file.has_begun() is (action == "take")


def test_a_host_waits_until_the_other_failure_domain_is_back(file):
    with file.change() as record:
        record.places = Places(held=frozenset("b"))
    turns = []

    def pause(self, seconds):
        turns.append(seconds)
        with file.change() as record:
            assert record.waiting == {0: os.getpid()}
            record.places = Places()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Gate, "_pause", pause)
        assert wait(file, None, domains={"a": "here", "b": "there"}).action == "take"
    assert turns


def test_a_host_of_the_same_failure_domain_need_not_wait(file):
    with file.change() as record:
        record.places = Places(held=frozenset("b"))
    assert wait(file, None, domains={"a": "here", "b": "here"}).action == "take"


def test_no_host_starts_beside_one_that_failed_in_another_failure_domain(file):
    with file.change() as record:
        record.places = Places(kept=frozenset("b"))
    assert wait(file, domains={"a": "here", "b": "there"}).action == "refuse"


def canary_wait(file, host, index, *answers, hosts=1, forks=None, gone=None, **rules):
    """Let a host through a gate with one door and a canary of so many hosts; the last answer is given over and over."""
    door = iter([*answers, *[answers[-1]] * 100]).__next__
    all_rules = Rules(Limits(3, 0), Canary(hosts), (door,), forks=forks, **rules)
    return Gate(file, host, index, all_rules, lambda _: None).wait(gone or {}, lambda: None)


@pytest.mark.parametrize("shut", [Decision("refuse", "no"), Decision("leave", "later")])
def test_a_host_that_is_turned_away_lets_the_next_one_go_first(file, shut):
    assert canary_wait(file, "a", 0, shut).action == shut.action
    assert canary_wait(file, "b", 1, shut).action == shut.action
    assert canary_wait(file, "c", 2, None).action == "take"
    with file.change() as record:
        assert record.first == {"c": 0}


def test_who_waits_for_the_first_hosts_leaves_when_a_door_says_so(file):
    assert canary_wait(file, "a", 0, None).action == "take"
    paused = Decision("pause", "later")
    assert canary_wait(file, "b", 1, None, None, paused, waits_when_paused=False) == paused
    with file.change() as record:
        assert record.waiting == {}


def test_a_host_takes_the_place_of_a_first_one_that_left_the_play(file):
    assert canary_wait(file, "b", 1, None, gone={"a": 0}).action == "take"
    with file.change() as record:
        assert record.first == {"b": 0}


def test_a_host_goes_first_when_ansible_has_no_fork_for_those_before_it(file):
    with file.change() as record:
        record.arrived, record.waiting, record.first = {0, 4}, {4: 1}, {"z": 5.0}
    assert canary_wait(file, "b", 3, None, hosts=2, forks=2).action == "take"


def test_a_host_that_comes_next_does_not_pass_those_before_it(file):
    with file.change() as record:
        record.arrived, record.waiting = {0, 2}, {2: 1}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Gate, "_pause", stop)
        with pytest.raises(TimeoutError):
            canary_wait(file, "b", 3, None, forks=2)


def test_hosts_are_not_lost_while_the_play_is_suspended(file, monkeypatch):
    with file.change() as record:
        record.places = Places(held=frozenset("b"))
    monkeypatch.setattr(gate.processes, "is_stopped", lambda _main: True)
    monkeypatch.setattr(gate.processes, "live_workers", lambda _main: set())
    waiting = Gate(file, "a", 0, Rules(Limits(1, 0), Canary()), lambda _: None)
    for _ in range(gate.LOOKS + 1):
        waiting._look_for_workers()
    with file.change() as record:
        assert (record.places, record.lost) == (Places(held=frozenset("b")), set())


def test_of_hosts_that_start_at_once_only_so_many_pass_as_leave_enough_healthy_ones(file, tmp_path, monkeypatch):
    monkeypatch.setattr(health_door, "look", lambda _ports: frozenset())
    hosts = ["a", "b", "c"]
    health = HealthDoor(SharedValue(str(tmp_path), "play", "health"), {}, hosts, 3, 0)
    rules = Rules(Limits(3, 0), Canary(), health=health)

    def start(host):
        return Gate(file, host, hosts.index(host), rules, lambda _: None).wait({}, lambda: None)

    assert start("a").action == "take"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Gate, "_pause", stop)
        with pytest.raises(TimeoutError):
            start("b")
    with file.change() as record:
        assert record.under_way == {"a"}
        record.release("a", failed=False, out_of_service=False, stop=False, skipped=False, now=1)
    assert start("b").action == "take"


def stop(_gate, _seconds):
    raise TimeoutError

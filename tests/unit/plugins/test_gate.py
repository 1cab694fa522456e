"""The gate on its way from a place to the doors behind it."""

import os

import pytest
from ansible_collections.commissaire.fleet.plugins.plugin_utils import gate
from ansible_collections.commissaire.fleet.plugins.plugin_utils.canary import Canary
from ansible_collections.commissaire.fleet.plugins.plugin_utils.gate import Gate, Rules
from ansible_collections.commissaire.fleet.plugins.plugin_utils.place import Decision, Limits, Places
from ansible_collections.commissaire.fleet.plugins.plugin_utils.place_file import PlaceFile

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
    return Gate(file, "a", 0, all_rules, say).wait(frozenset(), lambda: None)


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

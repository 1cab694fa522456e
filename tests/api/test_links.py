"""Connections to hypervisors: time limits, and what becomes of one that hangs or breaks."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from api.hypervisors import mute, node
from commissaire.machines import link as module
from commissaire.machines.errors import HypervisorFailed
from commissaire.machines.hypervisors import Hypervisors
from commissaire.machines.link import Link

pytest.importorskip("libvirt", reason="no libvirt-python: install libvirt-dev, then run make setup")


def test_an_answer_comes_back_and_a_connection_is_used_again(tmp_path: Path) -> None:
    link = Link("west", node(tmp_path, "web1"))
    first = link.call(lambda connection: connection)
    assert link.call(lambda connection: connection) is first
    link.close()
    assert link.call(lambda connection: connection) is not first


def test_what_takes_too_long_is_not_waited_for_and_the_hypervisor_rests(tmp_path: Path) -> None:
    link = Link("west", node(tmp_path))
    with pytest.raises(HypervisorFailed, match=r"west did not answer within 0\.1 s"):
        link.call(lambda _: time.sleep(0.5), seconds=0.1)
    with pytest.raises(HypervisorFailed, match="just now"):
        link.call(lambda _: None)


def test_what_may_take_its_time_keeps_nobody_else(tmp_path: Path) -> None:
    link = Link("west", node(tmp_path))
    with pytest.raises(HypervisorFailed, match="may still happen"):
        link.call(lambda _: time.sleep(0.5), seconds=0.1, rests=False)
    assert link.call(lambda _: "here") == "here"


def test_calls_that_hang_on_an_opening_give_their_places_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_REST_SECONDS", 0)
    with mute() as uri:
        link = Link("hung", uri)
        for _ in range(20):  # more than there are places
            with pytest.raises(HypervisorFailed, match=r"can't be connected to|did not answer within"):
                link.call(lambda _: None, seconds=0.02)
            time.sleep(0.02)


def test_an_opening_that_hangs_is_given_up_and_another_one_is_tried(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(module, "_REST_SECONDS", 0)
    monkeypatch.setattr(module, "_OPENING_SECONDS", (0.2, 1.0))
    with mute() as uri:
        link = Link("hung", uri)
        with pytest.raises(HypervisorFailed):
            link.call(lambda _: None, seconds=0.1)
        link.uri = node(tmp_path)  # as if it answered again
        time.sleep(0.2)
        assert link.call(lambda connection: connection.getType()) == "TEST"


def test_however_many_hang_the_question_to_all_ends_in_time(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    many = Hypervisors()
    links = [many.link(f"h{number}", node(tmp_path)) for number in range(70)]
    release = threading.Event()
    begin = time.monotonic()
    _, silent = many.ask_all(links, lambda link, _: release.wait(5), seconds=0.3)
    assert time.monotonic() - begin < 3
    assert len(silent) == 70
    release.set()
    many.close()


def test_a_hypervisor_that_is_forgotten_gets_a_new_connection(tmp_path: Path) -> None:
    many, uri = Hypervisors(), node(tmp_path)
    before = many.link("west", uri)
    many.forget("west")
    assert many.link("west", uri) is not before
    many.close()

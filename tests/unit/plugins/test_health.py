"""Whether enough hosts answer for the next one to go out of service."""

import contextlib
import socket
import threading

import pytest
from ansible_collections.commissaire.fleet.plugins.plugin_utils.health import (
    Health,
    after_look,
    look,
    plan_health,
    read_min_healthy,
)
from ansible_collections.commissaire.fleet.plugins.plugin_utils.ssh_port import SshPort


@pytest.mark.parametrize(
    ("value", "hosts", "least"),
    [
        (0, 10, 0),
        ("7", 10, 7),
        (10, 10, 10),
        ("90%", 10, 9),
        ("91%", 10, 10),
        ("1%", 3, 1),
        ("100%", 3, 3),
        ("0%", 3, 0),
    ],
)
def test_at_least_so_many_rounded_up(value, hosts, least):
    assert read_min_healthy(value, hosts) == least


@pytest.mark.parametrize("value", ["most", -1, "101%", 11, True])
def test_anything_else_is_refused(value):
    with pytest.raises(ValueError, match="min_healthy is"):
        read_min_healthy(value, 10)


@pytest.mark.parametrize(
    ("before", "silent", "after", "action"),
    [
        (Health(), "", Health(1000), None),
        (Health(), "a", Health(1000, frozenset("a")), None),
        (Health(), "ab", Health(1000, frozenset("ab"), 1000), "wait"),
        (Health(990, frozenset("ab"), 901), "ab", Health(1000, frozenset("ab"), 901), "wait"),
        (Health(990, frozenset("ab"), 900), "abc", Health(1000, frozenset("abc"), 900), "refuse"),
        (Health(990, frozenset("ab"), 900), "a", Health(1000, frozenset("a")), None),
    ],
)
def test_too_few_are_waited_for_and_then_no_host_starts(before, silent, after, action):
    health = after_look(before, frozenset(silent), 10, 9, 1000)
    assert health == after
    decision = plan_health(health, 10, 9, 100, 1000)
    assert (decision and decision.action) == action


def test_the_hosts_that_are_silent_are_named():
    health = Health(1000, frozenset({"h2", "h3"}), 900)
    assert (
        plan_health(health, 4, 3, 300, 1000).message
        == "waits: only 2 of 4 hosts answer, min_healthy is 3 (h2, h3 silent)"
    )
    assert plan_health(health, 4, 3, 100, 1000).message.startswith("not started: for 100 s, only 2 of 4 hosts answer")


@pytest.mark.parametrize(
    ("silent", "away", "short_since", "action"),
    [
        ("", "a", 0, None),
        ("", "ab", 0, "wait"),
        ("a", "a", 0, None),
        ("a", "b", 0, "wait"),
        ("ab", "ab", 0, "wait"),
        ("ab", "b", 0, "wait"),
        ("ab", "", 1000, "refuse"),
        ("abc", "c", 1000, "refuse"),
    ],
)
def test_hosts_under_way_do_not_answer_but_are_waited_for(silent, away, short_since, action):
    silent, away = frozenset(silent), frozenset(away)
    health = after_look(Health(), silent, 10, 9, 1000, away)
    assert health.short_since == short_since
    decision = plan_health(health, 10, 9, 0, 1000, away)
    assert (decision and decision.action) == action


def test_a_host_under_way_is_named():
    decision = plan_health(Health(1000, frozenset("a")), 3, 3, 300, 1000, frozenset("b"))
    assert decision.message == "waits: only 1 of 3 hosts answer, min_healthy is 3 (a silent, b under way)"


def test_only_a_greeting_counts_as_an_answer():
    with contextlib.ExitStack() as stack:
        ssh, mute = (stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(2))
        closed = stack.enter_context(socket.socket())
        closed.bind(("127.0.0.1", 0))  # and doesn't listen
        for server, words in ((ssh, b"SSH-2.0-test\r\n"), (mute, b"220 mail\r\n")):
            threading.Thread(target=_greet, args=(server, words), daemon=True).start()
        ports = {
            name: SshPort("127.0.0.1", server.getsockname()[1])
            for name, server in (("ssh", ssh), ("mute", mute), ("closed", closed))
        }
        assert look(ports) == {"mute", "closed"}
    assert look({}) == frozenset()


def _greet(server, words):
    connection, _ = server.accept()
    with connection:
        connection.sendall(words)

"""A restart against a machine of paper: what is asked of it, when, and how each bad end is told."""

import itertools

import pytest
from ansible_collections.commissaire.fleet.plugins.plugin_utils import restart
from ansible_collections.commissaire.fleet.plugins.plugin_utils.machine import (
    Answer,
    CommandError,
    DeniedError,
    HostKeyError,
    NoContactError,
    ssh_words,
)
from ansible_collections.commissaire.fleet.plugins.plugin_utils.restart import (
    Observation,
    Restart,
    RestartError,
    judge,
    pause_seconds,
    read_observation,
)
from ansible_collections.commissaire.fleet.plugins.plugin_utils.ssh_port import SshPort, read_configuration

AWAY = NoContactError("ssh: connect to host h1 port 22: No route to host")


class Paper:
    """A machine that gives the answers it was made with; the last one over and over."""

    transport = "docker"

    def __init__(self, *answers):
        self.answers = itertools.chain(answers, itertools.repeat(answers[-1]))
        self.scripts = []

    def ask(self, script, _seconds):
        self.scripts.append(script)
        answer = next(self.answers)
        if isinstance(answer, Exception):
            raise answer
        return Answer(answer)

    def hang_up(self):
        pass


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    """Let time pass only when something sleeps."""
    now = [100.0]
    monkeypatch.setattr(restart.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(restart.time, "sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
    return now


def test_a_machine_is_back_with_a_new_boot_id():
    machine = Paper({"boot_id": "old"}, AWAY, AWAY, {"boot_id": "new", "system_state": "running"})
    assert Restart(machine, 60).wait("old")["boot_id"] == "new"


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (AWAY, r"did not come back within 60 s: ssh: connect to host h1 port 22: No route to host"),
        ({"boot_id": "old"}, r"did not come back within 60 s: still has the boot id old"),
        (HostKeyError("REMOTE HOST IDENTIFICATION HAS CHANGED!"), r"another host key .*host accept-key.*HAS CHANGED"),
        (DeniedError("Permission denied (publickey)."), r"refuses the login: Permission denied \(publickey\)\."),
    ],
)
def test_a_machine_that_does_not_come_back_right_may_be_out_of_service(answer, message):
    with pytest.raises(RestartError, match=message) as caught:
        Restart(Paper(answer), 60).wait("old")
    assert caught.value.out_of_service


def test_a_changed_host_key_is_not_tried_again():
    machine = Paper(HostKeyError("Host key verification failed."))
    with pytest.raises(RestartError):
        Restart(machine, 60).wait("old")
    assert len(machine.scripts) == 1


def test_a_login_may_be_refused_while_a_machine_starts():
    machine = Paper(*[DeniedError("System is booting up.")] * 4, {"boot_id": "new"})
    assert Restart(machine, 60).wait("old")["boot_id"] == "new"


def test_a_silent_host_fails_at_first_contact_in_service():
    with pytest.raises(RestartError, match=r"can't be reached: ssh: .*No route to host") as caught:
        Restart(Paper(AWAY), 60).observe()
    assert not caught.value.out_of_service


def test_a_silent_host_is_tried_again_when_asked_to(clock):
    machine = Paper(AWAY, AWAY, {"boot_id": "new", "privilege": "yes"})
    assert Restart(machine, 60).observe(contact_timeout_seconds=30).boot_id == "new"
    with pytest.raises(RestartError):
        Restart(Paper(AWAY), 60).observe(contact_timeout_seconds=30)
    assert clock[0] > 130


def test_a_hang_up_is_no_refusal_but_an_exit_status_is():
    Restart(Paper(AWAY), 60).order("old", "", [])
    with pytest.raises(RestartError, match="refused to reboot: inhibited") as caught:
        Restart(Paper(CommandError("inhibited")), 60).order("old", "", [])
    assert not caught.value.out_of_service


def test_a_package_manager_at_work_is_waited_for(clock):
    machine = Paper(*[{"packager": "dpkg (process 7)"}] * 3, {})
    Restart(machine, 60).order("old", "", [], lock_timeout_seconds=600)
    assert len(machine.scripts) == 4
    assert clock[0] == pytest.approx(106)


def test_a_host_is_not_rebooted_while_a_package_manager_does_not_come_to_an_end():
    machine = Paper({"packager": "dpkg (process 7)"})
    with pytest.raises(RestartError, match=r"dpkg \(process 7\) changes its packages") as caught:
        Restart(machine, 60).order("old", "", [], lock_timeout_seconds=30)
    assert not caught.value.out_of_service


def test_a_machine_whose_lease_was_lost_while_it_was_away_has_failed():
    machine = Paper({"boot_id": "new", "outcome": "lost", "owner": "somebody"})
    with pytest.raises(RestartError, match="is back, but lost its lease to somebody") as caught:
        Restart(machine, 60).wait("old", lease_token=7)
    assert caught.value.out_of_service


def test_the_lease_is_only_settled_where_there_is_one():
    machine = Paper({"boot_id": "new", "outcome": "held"})
    Restart(machine, 60).wait("old", lease_token=7)
    Restart(machine, 60).wait("old")
    with_lease, without = machine.scripts
    assert "shorten '' '' 0 7" in with_lease
    assert "shorten" not in without


def test_the_marker_is_written_with_an_operation_only():
    machine = Paper({})
    Restart(machine, 60).order("old", "", ["kexec", "-l now"])
    Restart(machine, 60).order("old", "op-1", [])
    plain, marked = machine.scripts
    assert "restart.json" not in plain
    assert "as_root kexec '-l now'" in plain
    assert """marker='{"operation_id": "op-1", "boot_id": "old"}'""" in marked
    assert marked.index("restart.json") < marked.index("systemctl reboot")


@pytest.mark.parametrize(
    ("marker", "operation_id", "resumed"),
    [
        ('{"operation_id": "op-1", "boot_id": "old"}', "op-1", True),
        ('{"operation_id": "op-1", "boot_id": "now"}', "op-1", False),
        ('{"operation_id": "op-1", "boot_id": "old"}', "op-2", False),
        ('{"operation_id": "", "boot_id": "old"}', "", False),
        ("", "op-1", False),
        ("{cut short", "op-1", False),
        ("[1]", "op-1", False),
    ],
)
def test_a_host_is_resumed_when_it_rebooted_for_this_operation(marker, operation_id, resumed):
    seen = read_observation(Answer({"boot_id": "now", "marker": marker, "privilege": "yes"}))
    assert seen.rebooted_for(operation_id) is resumed


@pytest.mark.parametrize(
    ("privilege", "missing"),
    [("yes", ""), ("sudo: a password is required", "sudo: a password is required"), ("", "sudo said nothing")],
)
def test_what_sudo_said_is_kept(privilege, missing):
    assert read_observation(Answer({"boot_id": "b", "privilege": privilege})) == Observation("b", "", "", missing)


@pytest.mark.parametrize(
    ("answer", "strict", "outcome"),
    [
        ({"system_state": "running"}, True, "running"),
        ({"system_state": "none"}, True, "none"),
        ({"system_state": "degraded", "units": "a.service"}, False, "degraded"),
        (
            {"system_state": "degraded", "units": "a.service"},
            True,
            "is back, but degraded: these units failed: a.service",
        ),
        ({"system_state": "starting", "units": "b.service"}, False, "still starts: these jobs are left: b.service"),
        ({"system_state": "maintenance"}, False, "systemd's state is 'maintenance'"),
    ],
)
def test_systemd_decides_whether_a_machine_is_fit(answer, strict, outcome):
    if outcome == answer["system_state"]:
        assert judge(Answer(answer), strict) == outcome
    else:
        with pytest.raises(RestartError) as caught:
            judge(Answer(answer), strict)
        assert outcome in str(caught.value)
        assert caught.value.out_of_service


@pytest.mark.parametrize(("elapsed", "pause"), [(0, 0.05), (1, 0.05), (10, 0.15), (100, 1.5), (1000, 2.0)])
def test_probes_grow_rarer_with_the_time_waited(elapsed, pause):
    assert pause_seconds(elapsed) == pytest.approx(pause)


@pytest.mark.parametrize(
    ("configuration", "port"),
    [
        ("hostname 10.0.0.1\nport 22\n", SshPort("10.0.0.1", 22)),
        ("user root\nhostname fe80::1\nport 2222\nproxycommand none\n", SshPort("fe80::1", 2222)),
        ("hostname 10.0.0.1\nport 22\nproxyjump bastion\n", None),
        ("hostname 10.0.0.1\nport 22\nproxycommand nc %h %p\n", None),
        ("", None),
    ],
)
def test_the_port_is_only_asked_when_nothing_lies_between(configuration, port):
    assert read_configuration(configuration) == port


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Failed to connect to the host via ssh: ssh: connect to host h port 22: Connection refused",
         "ssh: connect to host h port 22: Connection refused"),
        ("Warning: Permanently added 'h' to the list of known hosts.\nroot@h: Permission denied (publickey).\n",
         "root@h: Permission denied (publickey)."),
        ("@@@@@@\n@  WARNING: CHANGED!   @\n@@@@@@\nSomeone could be eavesdropping\nHost key verification failed.",
         "WARNING: CHANGED! Host key verification failed."),
        ("x" * 500, "x" * 400 + "..."),
    ],
)  # fmt: skip
def test_ssh_is_quoted_without_its_frames(text, words):
    assert ssh_words(text) == words

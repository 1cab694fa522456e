"""The lease on real machines: who works on a host keeps everybody else off it, and lets go of it in every way out."""

import fcntl
import os
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest

from lab import Lab
from lab.host import LabHost

from .playbook import ANSIBLE_PLAYBOOK, run_playbook

pytestmark = pytest.mark.integration

SHORT_SECONDS = 10
HELD = "held_restart.yml"
HOLD = "var/lib/hold"


def lease(host: LabHost) -> dict[str, str]:
    """Return what the lease's file on the host says."""
    path = host.root / "var/lib/commissaire/lease"
    return dict(line.split("=", 1) for line in path.read_text().splitlines()) if path.exists() else {}


def is_held(host: LabHost) -> bool:
    return bool(lease(host).get("owner"))


def told(host: LabHost) -> list[str]:
    """Return what the host's own journal says of leases."""
    done = host.run(["journalctl", "--output=cat", "--identifier=commissaire"], text=True, capture_output=True)
    return done.stdout.splitlines()


def until(condition, seconds: float = 60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


class Background:
    """A playbook that runs beside the test, started by ansible-playbook itself, not by a helper of ours."""

    def __init__(self, lab: Lab, name: str, *arguments: str, **variables):
        self.outcome = None
        self._thread = threading.Thread(target=self._run, args=(lab, name, *arguments), kwargs=variables)
        self._lab, self._before = lab, mains(lab)
        self._thread.start()

    def _run(self, lab, name, *arguments, **variables):
        self.outcome = run_playbook(lab, name, *arguments, **variables)

    def main(self) -> int:
        """Return the pid of ansible-playbook itself."""
        until(lambda: mains(self._lab) - self._before)
        (pid,) = mains(self._lab) - self._before
        return pid

    def wait(self):
        self._thread.join(180)
        assert self.outcome is not None
        return self.outcome


def mains(lab: Lab) -> set[int]:
    """Return the pids of the ansible-playbook processes for this lab that aren't workers of another."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            command, stat = (entry / "cmdline").read_bytes(), (entry / "stat").read_text()
        except OSError:
            continue
        name, rest = stat.partition("(")[2].rsplit(")", 1)
        if name.startswith("ansible") and b"/ansible-playbook\0" in command and bytes(lab.directory) in command:
            found[int(entry.name)] = int(rest.split()[1])
    return {pid for pid, parent in found.items() if parent not in found}


def workers(main: int) -> list[int]:
    try:
        return [int(pid) for pid in Path(f"/proc/{main}/task/{main}/children").read_text().split()]
    except OSError:
        return []


@pytest.fixture(autouse=True)
def fresh(lab):
    yield
    for host in lab.hosts:
        host.wait_for_ssh(30)
        until(lambda one=host: not processes_of(one) & {"sleep", "flock"})  # of a run that was killed
        (host.root / "var/lib/commissaire/lease").unlink(missing_ok=True)


@pytest.fixture
def held(lab):
    """The first host; what runs HELD waits there until `let_go`."""
    host = lab.host("h1")
    (host.root / HOLD).touch()
    yield host
    let_go(host)


def let_go(host: LabHost) -> None:
    (host.root / HOLD).unlink(missing_ok=True)


def test_the_second_of_two_runs_leaves_a_leased_host_alone_and_is_told_who_has_it(lab, held):
    before = len(held.boots())
    first = Background(lab, HELD, "--limit", "h1", lease_owner="the night shift", operation_id="night-1")
    until(lambda: is_held(held))
    second = run_playbook(lab, "restart", lease_owner="second")
    dry = run_playbook(lab, "restart", "--limit", "h1", "--check")
    let_go(held)
    assert first.wait().returncode == 0
    assert (second.returncode, dry.returncode) == (2, 2)
    message = second.last("h1")["message"]
    assert message.startswith("checking: h1 is leased: held by the night shift for operation night-1, for another "), (
        message
    )
    assert "commctl lease break" in message
    assert {second.last(name)["state"] for name in ("h2", "h3")} == {"not_started"}
    assert "held by the night shift" in dry.last("h1")["message"]
    assert len(held.boots()) == before + 1
    assert not is_held(held)
    assert told(held)[-2:] == [
        "lease 1 taken by the night shift for operation night-1",
        "lease 1 released",
    ]


def test_the_second_run_can_wait_for_the_lease(lab, held):
    before = len(held.boots())
    first = Background(lab, HELD, "--limit", "h1", lease_owner="first")
    until(lambda: is_held(held))
    second = Background(lab, "restart", "--limit", "h1", lease_owner="second", lease_wait_seconds=60)
    second.main()
    let_go(held)
    assert (first.wait().returncode, second.wait().returncode) == (0, 0)
    assert len(held.boots()) == before + 2
    assert lease(held)["token"] == "2"


def test_a_failed_host_is_free_as_well(lab):
    host = lab.host("h1")
    host.run(["sh", "-c", "printf '#!/bin/sh\nexit 1\n' >/usr/local/bin/systemctl; chmod +x /usr/local/bin/systemctl"])
    for name in ("shutdown", "reboot"):
        host.run(["ln", "-s", "systemctl", f"/usr/local/bin/{name}"])
    try:
        outcome = run_playbook(lab, "restart", "--limit", "h1")
    finally:
        host.run(["sh", "-c", "rm /usr/local/bin/systemctl /usr/local/bin/shutdown /usr/local/bin/reboot"])
    assert outcome.returncode == 2
    assert outcome.last("h1")["message"].startswith("rebooting: h1 refused to reboot")
    assert not is_held(host)


def test_a_dry_run_takes_no_lease(lab):
    dry = run_playbook(lab, "restart", "--check")
    assert dry.returncode == 0, dry.output
    assert {str(lease(host)) for host in lab.hosts} == {"{}"}


def test_a_killed_run_keeps_its_lease_until_it_expires_and_the_next_one_waits_for_that(lab, held):
    before = len(held.boots())
    first = Background(lab, HELD, "--limit", "h1", lease_owner="first", lease_seconds=SHORT_SECONDS)
    main = first.main()
    until(lambda: is_held(held))
    killed = time.monotonic()
    os.kill(main, signal.SIGKILL)
    second = run_playbook(lab, "restart", "--limit", "h1", lease_owner="second", lease_wait_seconds=60)
    let_go(held)
    assert second.returncode == 0, second.output
    assert time.monotonic() - killed > SHORT_SECONDS / 2
    assert lease(held)["token"] == "2"
    assert len(held.boots()) == before + 1


def test_the_same_operation_takes_its_own_lease_over_at_once_and_restarts_nothing_twice(lab):
    host = lab.host("h1")
    before = len(host.boots())
    first = Background(lab, "restart", "--limit", "h1", operation_id="one", lease_seconds=600)
    main = first.main()
    until(lambda: len(host.boots()) > before)
    os.kill(main, signal.SIGKILL)
    second = run_playbook(lab, "restart", "--limit", "h1", operation_id="one", contact_timeout_seconds=30)
    assert second.returncode == 0, second.output
    assert len(host.boots()) == before + 1
    assert not is_held(host)


def test_a_run_that_was_stopped_for_too_long_does_nothing_more_on_the_host(lab, held):
    before = len(held.boots())
    first = Background(lab, HELD, "--limit", "h1", lease_owner="first", lease_seconds=SHORT_SECONDS)
    main = first.main()
    until(lambda: is_held(held))
    stopped = [main, *workers(main)]
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    second = run_playbook(lab, "restart", "--limit", "h1", lease_owner="second", lease_wait_seconds=60)
    let_go(held)
    for pid in stopped:
        os.kill(pid, signal.SIGCONT)
    assert second.returncode == 0, second.output
    assert first.wait().returncode == 2
    assert "h1 lost its lease" in first.outcome.last("h1")["message"]
    assert len(held.boots()) == before + 1


def test_a_run_that_tells_everything_renews_its_lease_as_well(lab, held):
    run = Background(lab, HELD, "--limit", "h1", "-vvv", lease_seconds=SHORT_SECONDS)
    until(lambda: is_held(held))
    first = int(lease(held)["expires"])
    until(lambda: int(lease(held)["expires"]) > first + SHORT_SECONDS)
    let_go(held)
    assert run.wait().returncode == 0


def test_a_suspended_run_keeps_its_lease_while_its_worker_works_on(lab, held):
    run = Background(lab, HELD, "--limit", "h1", lease_seconds=SHORT_SECONDS)
    main = run.main()
    until(lambda: is_held(held) and "sleep" in processes_of(held))
    os.kill(main, signal.SIGSTOP)
    try:
        time.sleep(SHORT_SECONDS * 1.5)
        second = run_playbook(lab, "restart", "--limit", "h1", lease_owner="second")
        let_go(held)
        until(lambda: int(lease(held)["expires"]) < time.time())
    finally:
        os.kill(main, signal.SIGCONT)
    assert "h1 is leased" in second.last("h1")["message"]
    run.wait()


def test_a_killed_worker_ends_the_run_instead_of_hanging_it(lab, held):
    run = Background(lab, HELD, "--limit", "h1")
    main = run.main()
    until(lambda: is_held(held) and "sleep" in processes_of(held) and workers(main))  # not that of the task before
    begun = time.monotonic()
    for worker in workers(main):
        os.kill(worker, signal.SIGKILL)
    outcome = run.wait()
    assert outcome.returncode not in (0, None)
    assert time.monotonic() - begun < 60
    assert "a worker process of ansible-playbook was killed" in outcome.output


def test_a_broken_lease_frees_the_host_and_stops_its_holder(lab, tmp_path):
    host = lab.host("h1")
    play = tmp_path / "play.yml"
    play.write_text(
        "- hosts: h1\n  gather_facts: false\n  tasks:\n"
        "    - commissaire.fleet.lease: {owner: holder}\n      register: mine\n"
        "    - commissaire.fleet.lease: {state: broken, owner: admin, reason: nobody works there}\n"
        "      register: broken\n"
        "    - ansible.builtin.assert: {that: broken is changed and broken.owner == 'holder'}\n"
        "    - commissaire.fleet.lease: {state: verified, token: '{{ mine.token }}'}\n"
    )
    inventory = lab.inventory(tmp_path / "hosts.yml")
    done = lab.run(
        [ANSIBLE_PLAYBOOK, "-i", inventory, play], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert done.returncode == 2, done.stdout
    assert "h1 lost its lease, which was broken or has expired" in done.stdout
    assert told(host)[-1] == "lease 1 of holder broken by admin: nobody works there"
    assert not is_held(host)


def test_a_worker_killed_while_another_host_waits_ends_the_run_as_well(lab, held):
    run = Background(lab, HELD, "--limit", "h1,h2")
    main = run.main()
    until(lambda: is_held(held) and "sleep" in processes_of(held) and len(workers(main)) == 2 and len(busy(main)) == 1)
    (working,) = busy(main)
    os.kill(working, signal.SIGKILL)
    outcome = run.wait()
    assert outcome.returncode not in (0, None)
    assert "a worker process of ansible-playbook was killed" in outcome.output


def busy(main: int) -> list[int]:
    """Return those workers that have a process below them, and still have it a second later: more than a login."""
    found = [pid for pid in workers(main) if workers(pid)]
    time.sleep(1)
    return [pid for pid in found if pid in workers(main) and workers(pid)]


def test_a_worker_killed_before_there_is_a_lease_ends_the_run_as_well(lab, held):
    lock = held.root / "var/lib/commissaire/lease.lock"
    lock.parent.mkdir(exist_ok=True)
    lock.touch()
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # the lease can't be taken while the lock is held
        run = Background(lab, HELD, "--limit", "h1")
        main = run.main()
        until(lambda: "flock" in processes_of(held))
        for worker in workers(main):
            os.kill(worker, signal.SIGKILL)
        outcome = run.wait()
    assert outcome.returncode not in (0, None)
    assert "a worker process of ansible-playbook was killed" in outcome.output


def processes_of(host: LabHost) -> set[str]:
    return set(host.run(["ps", "-eo", "comm"], text=True, capture_output=True).stdout.split())


def test_a_run_that_is_interrupted_gives_its_lease_back(lab, held):
    run = Background(lab, HELD, "--limit", "h1")
    main = run.main()
    until(lambda: is_held(held) and "sleep" in processes_of(held))
    os.kill(main, signal.SIGINT)
    assert run.wait().returncode not in (0, None)
    until(lambda: not is_held(held))


def test_a_worker_killed_while_it_waits_lets_the_others_finish_and_then_ends_the_run(lab, held):
    before = len(held.boots())
    run = Background(lab, HELD, "--limit", "h1,h2")
    main = run.main()
    until(lambda: is_held(held) and "sleep" in processes_of(held) and len(workers(main)) == 2 and len(busy(main)) == 1)
    (working,) = busy(main)
    (waiting,) = set(workers(main)) - {working}
    os.kill(waiting, signal.SIGKILL)
    let_go(held)
    outcome = run.wait()
    assert outcome.returncode not in (0, None)
    assert "a worker process of ansible-playbook was killed" in outcome.output
    assert outcome.last("h1")["state"] == "finished"
    assert len(held.boots()) == before + 1

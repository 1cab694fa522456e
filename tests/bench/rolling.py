"""A sliding window of hosts against the ideal schedule, and against what one would write without it."""

import heapq
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from demo.probe import Probe
from integration import debian
from lab import Lab

from .report import Part, ratio, spread
from .server import BIN, BenchError, Server, running
from .site import CLUSTER, add_hosts

HOSTS = 12
WINDOW = 3
WORK_SECONDS = 6
SLOW_HOST, SLOWER = 5, 10
ROUNDS = 3
TARGET = 1.15

FRAME = """
- hosts: all
  gather_facts: false
  strategy: ansible.builtin.host_pinned
  tasks:
    - ansible.builtin.import_role: {name: commissaire.fleet.rolling}
      vars: {rolling_work: pause}
"""
PAUSE = """
- ansible.builtin.raw: sleep {{ pause }}
"""
SERIAL = f"""
- hosts: all
  gather_facts: false
  serial: {WINDOW}
  tasks:
    - ansible.builtin.raw: sleep {{{{ pause }}}}
"""
APT = f"""
- hosts: all
  gather_facts: false
  serial: {WINDOW}
  tasks:
    - ansible.builtin.apt: {{update_cache: true, upgrade: safe}}
"""


def measure() -> Part:
    part = Part(f"Rolling over {HOSTS} real machines")
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, Lab.make(hosts=HOSTS) as lab:
        home = Path(folder)
        with running(home, lab) as server:
            add_hosts(server, lab)
            _window(part, lab, home)
            for window in (1, WINDOW):
                _restart(part, lab, home, server, window)
            _upgrade(part, lab, home, server)
    part.notes.append(
        "The ideal schedule starts the next host of the order the moment a place gets free. It is computed from how "
        "long the hosts took in that run: the pauses as told, the restarts from the last greeting of a host's "
        f"sshd to the next one. The target is {TARGET} x that with the slow host. Overhead a host: what the whole "
        "command took beyond the ideal schedule, by the number of hosts."
    )
    return part


def ideal(seconds: Sequence[float], window: int) -> float:
    """Return how long hosts take that need *seconds* each, *window* of them at a time, in their order."""
    free = [0.0] * window
    for one in seconds:
        heapq.heappush(free, heapq.heappop(free) + one)
    return max(free)


def _window(part: Part, lab: Lab, home: Path) -> None:
    pauses = [WORK_SECONDS * (SLOWER if number == SLOW_HOST else 1) for number in range(HOSTS)]
    best = ideal(pauses, WINDOW)
    work = home / "roles/pause/tasks/work.yml"
    work.parent.mkdir(parents=True)
    work.write_text(PAUSE)
    variables = {host.name: {"pause": pause} for host, pause in zip(lab.hosts, pauses, strict=True)}
    ways = {
        f"the role rolling, max_unavailable: {WINDOW}": lambda: _play(lab, home, FRAME, variables, WINDOW),
        f"serial: {WINDOW}": lambda: _play(lab, home, SERIAL, variables),
    }
    what = f"{HOSTS} hosts of {WORK_SECONDS} s, one of {WORK_SECONDS * SLOWER} s, {WINDOW} at a time"
    part.add(f"{what}: ideal schedule", f"{best:.1f} s")
    _compare(part, what, ways, {"the ideal schedule": best})


def _restart(part: Part, lab: Lab, home: Path, server: Server, window: int) -> None:
    ways: dict[str, Callable[[], object]] = {
        "ansible-playbook": lambda: _play(lab, home, "commissaire.fleet.restart", {}, window),
        "commissaire-server": lambda: _operate(server, "restart", window),
    }
    for name, restart in ways.items():
        totals, bests = [], []
        for _ in range(ROUNDS):
            with Probe(lab, pause_seconds=0.2) as probe:
                totals.append(_timed(restart))
            if len(probe.log) != HOSTS:
                raise BenchError(f"not every host restarted once: {probe.log}")
            away = sorted(probe.log, key=lambda one: one.start)
            bests.append(ideal([one.end - one.start for one in away], window))
        total, best = statistics.median(totals), statistics.median(bests)
        what = f"restart of {HOSTS} hosts, {window} at a time: {name}"
        part.add(what, f"{total:.1f} s", ratio(total, best, f"the ideal schedule ({best:.1f} s)"), spread(totals))
        part.add(f"{what}: overhead a host", f"{(total - best) / HOSTS:.2f} s")


def _upgrade(part: Part, lab: Lab, home: Path, server: Server) -> None:
    packages = [debian.build(home, version) for version in ("1", "2")]

    def once(upgrade: Callable[[], object]) -> float:
        debian.install(lab, packages[0])
        debian.publish(lab, packages[1])
        seconds = _timed(upgrade)
        if {debian.packages(host)["canary"] for host in lab.hosts} != {"installed 2"}:
            raise BenchError("not every host was upgraded")
        return seconds

    what = f"apt upgrade of one package on {HOSTS} hosts"
    ways: dict[str, Callable[[], object]] = {
        f"{what}, {WINDOW} at a time: commissaire.fleet.upgrade": lambda: _play(
            lab, home, "commissaire.fleet.upgrade", {}, WINDOW
        ),
        f"{what}, {WINDOW} at a time: commissaire-server": lambda: _operate(server, "upgrade", WINDOW),
        f"{what}, {WINDOW} at a time: ansible.builtin.apt, serial: {WINDOW}": lambda: _play(lab, home, APT, {}),
        f"{what}, one after the other: a plain loop of ssh": lambda: _loop(lab),
    }
    middle = {}
    for name, upgrade in ways.items():
        taken = [once(upgrade) for _ in range(ROUNDS)]
        middle[name] = statistics.median(taken), spread(taken)
    loop = middle[list(ways)[-1]][0]
    for name, (seconds, on) in middle.items():
        compared = ratio(seconds, loop, "a plain loop of ssh") if seconds != loop else ""
        part.add(name, f"{seconds:.1f} s", compared, on)


def _compare(part: Part, what: str, ways: dict[str, Callable[[], object]], others: dict[str, float]) -> None:
    for name, run in ways.items():
        taken = [_timed(run) for _ in range(ROUNDS)]
        compared = ", ".join(ratio(statistics.median(taken), other, title) for title, other in others.items())
        part.add(f"{what}: {name}", f"{statistics.median(taken):.1f} s", compared, spread(taken))


def _timed(run: Callable[[], object]) -> float:
    begin = time.monotonic()
    run()
    return time.monotonic() - begin


def _play(lab: Lab, home: Path, playbook: str, hostvars: dict[str, dict[str, Any]], window: int | None = None) -> None:
    """Run a playbook, ours by its name or one given as text."""
    inventory = lab.inventory(home / "hosts.json")
    content = json.loads(inventory.read_text())
    for name, variables in hostvars.items():
        content["all"]["hosts"][name].update(variables)
    inventory.write_text(json.dumps(content))
    if "\n" in playbook:
        (home / "play.yml").write_text(playbook)
        playbook = str(home / "play.yml")
    argv = [str(BIN / "ansible-playbook"), "-i", str(inventory), "--forks", str(HOSTS), playbook]
    if window is not None:
        argv += ["-e", f"max_unavailable={window}"]
    environment = {**os.environ, "HOME": str(home), "ANSIBLE_PIPELINING": "true"}
    done = lab.run(argv, capture_output=True, text=True, env=environment, cwd=home)
    if done.returncode:
        raise BenchError(f"{playbook}: {done.stdout[-2000:]}{done.stderr[-2000:]}")


def _operate(server: Server, kind: str, window: int) -> None:
    answer = server.call("PUT", f"/api/v0/cluster/{CLUSTER}/{kind}", {"max_unavailable": window})
    server.follow(int(answer.headers["Location"].rpartition("/")[2]))


def _loop(lab: Lab) -> None:
    command = "export DEBIAN_FRONTEND=noninteractive; apt-get -qq update && apt-get -qqy upgrade"
    for host in lab.hosts:
        lab.run([*lab.ssh(host), command], check=True, capture_output=True)

"""Seconds a host for a rolling restart, one host at a time."""

import json
import math
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from demo.probe import Probe
from lab import Lab, LabHost

from .report import Part, ratio, spread
from .server import BIN, BenchError, Server, running
from .site import CLUSTER, add_hosts

HOSTS = 3
ROUNDS = 3
TARGET = 1.3
LOOP, ALONE = "a plain loop of ssh", "the machines alone"
BUILTIN = """
- name: Restart hosts one after the other
  hosts: all
  serial: 1
  gather_facts: false
  tasks:
    - name: Restart
      ansible.builtin.reboot:
"""


@dataclass(frozen=True)
class Round:
    """One rolling restart of all hosts, in seconds a host."""

    total: float
    """From the command's start to its end."""
    next_host: float
    """From one host back to the next one back: what another host adds. By the probe, the same for all."""
    away: float
    """From the order to reboot to the word that all is well, by the tool's own account; NaN without one."""


def measure() -> Part:
    part = Part(f"Rolling restart of {HOSTS} real machines, one at a time: seconds a host")
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, Lab.make(hosts=HOSTS) as lab:
        home = Path(folder)
        with running(home, lab) as server:
            add_hosts(server, lab)
            ways: dict[str, tuple[int, Callable[[], list[float]]]] = {
                LOOP: (ROUNDS, lambda: [lab.inside(_reboot, lab, host) for host in lab.hosts]),
                ALONE: (ROUNDS, lambda: [_reboot_alone(host) for host in lab.hosts]),
                "ansible-playbook commissaire.fleet.restart": (ROUNDS, lambda: _ours(lab, home)),
                "commissaire-server, PUT …/restart": (ROUNDS, lambda: _server(server)),
                "ansible.builtin.reboot, serial: 1": (1, lambda: _builtin(lab, home)),
            }
            rounds: dict[str, list[Round]] = {name: [] for name in ways}
            for number in range(ROUNDS):  # in turns, so that a busy minute meets them all
                for name, (wanted, restart) in ways.items():
                    if number < wanted:
                        rounds[name].append(_watched(lab, restart))
    _tell(part, rounds)
    return part


def _tell(part: Part, rounds: dict[str, list[Round]]) -> None:
    middle = {
        name: {key: statistics.median(getattr(one, key) for one in some) for key in Round.__annotations__}
        for name, some in rounds.items()
    }
    titles = {"total": "whole command / hosts", "next_host": "each further host", "away": "order to all well"}
    for key, title in titles.items():
        for name, figures in middle.items():
            if math.isnan(figures[key]):
                continue
            others = [other for other in (LOOP, ALONE) if name not in (LOOP, ALONE)]
            compared = ", ".join(ratio(figures[key], middle[other][key], other) for other in others)
            on = f"{HOSTS} hosts, {spread([getattr(one, key) for one in rounds[name]])}"
            part.add(f"{title}: {name}", f"{figures[key]:.2f} s", compared, on)
    part.notes.append(
        "A plain loop of ssh, the least one can do by hand: ssh systemctl reboot, the port asked every 20 ms, ssh "
        "until there is a new boot id and systemd has started everything; then the next host. The target for ours is "
        f"at most {TARGET} x that. The machines alone: the same without ssh, ordered and asked on their consoles: no "
        "restart can be quicker. Order to all well is by each tool's own account; each further host is from one "
        "host's sshd back to the next one's, by a probe that asks for sshd's greeting."
    )


def _watched(lab: Lab, restart: Callable[[], list[float]]) -> Round:
    before = {host.name: len(host.boots()) for host in lab.hosts}
    with Probe(lab, pause_seconds=0.2) as probe:
        begin = time.monotonic()
        away = restart()
        total = time.monotonic() - begin
    if any(len(host.boots()) != before[host.name] + 1 for host in lab.hosts) or len(probe.log) != len(lab.hosts):
        raise BenchError(f"not every host restarted once: {probe.log}")
    back = sorted(one.end for one in probe.log)
    return Round(total / len(back), (back[-1] - back[0]) / (len(back) - 1), statistics.mean(away))


def _reboot(lab: Lab, host: LabHost) -> float:
    look = "cat /proc/sys/kernel/random/boot_id; systemctl "
    begin = time.monotonic()
    before = _output([*lab.ssh(host), look + "reboot"]).split()[0]
    while True:
        host.wait_for_ssh()
        answer = _output([*lab.ssh(host), look + "is-system-running --wait"]).split()
        if answer and answer[0] != before and answer[-1] in ("running", "degraded"):
            return time.monotonic() - begin


def _reboot_alone(host: LabHost) -> float:
    begin = time.monotonic()
    before = host.boot_id()
    host.run(["systemctl", "reboot"], check=False, capture_output=True)
    while host.boot_id() in (None, before):
        time.sleep(0.02)
    host.wait_for_ssh()
    host.wait_until_running()
    return time.monotonic() - begin


def _output(argv: list[str]) -> str:
    return subprocess.run(argv, capture_output=True, text=True, check=False).stdout.strip()


def _ours(lab: Lab, home: Path) -> list[float]:
    return [
        float(result["reboot_seconds"])
        for result in _playbook(lab, home, "commissaire.fleet.restart")
        if "reboot_seconds" in result
    ]


def _builtin(lab: Lab, home: Path) -> list[float]:
    playbook = home / "builtin.yml"
    playbook.write_text(BUILTIN)
    _playbook(lab, home, str(playbook))
    return [math.nan]


def _playbook(lab: Lab, home: Path, playbook: str) -> list[dict[str, object]]:
    """Run a playbook on the lab; return the results of its tasks on its hosts."""
    inventory = lab.inventory(home / "hosts.json")
    environment = {**os.environ, "HOME": str(home), "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json"}
    environment["ANSIBLE_PIPELINING"] = "true"
    argv = [str(BIN / "ansible-playbook"), "-i", str(inventory), playbook]
    done = lab.run(argv, capture_output=True, text=True, env=environment, cwd=home)
    if done.returncode:
        raise BenchError(f"{playbook}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    plays = json.loads(done.stdout)["plays"]
    return [result for play in plays for task in play["tasks"] for result in task["hosts"].values()]


def _server(server: Server) -> list[float]:
    answer = server.call("PUT", f"/api/v0/cluster/{CLUSTER}/restart")
    operation = int(answer.headers["Location"].rpartition("/")[2])
    server.follow(operation)
    hosts = server.call("GET", f"/api/v1/operations/{operation}/hosts").json()["items"]
    return [float(host["data"]["reboot_seconds"]) for host in hosts]

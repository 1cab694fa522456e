"""From the request to the first task on a host."""

import json
import os
import statistics
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path

from lab import Lab

from .report import Part, ratio, spread
from .server import BIN, BenchError, Server, running
from .site import CLUSTER, add_hosts

ROUNDS = 3
PLAYBOOK = """
- name: Do the least
  hosts: all
  gather_facts: false
  tasks:
    - name: Report
      commissaire.fleet.checkpoint:
        phase: least
"""
BARE = """
import json, sys, time
began = float(sys.argv[3])
import ansible_runner
def told(event):
    if event["event"] == "runner_on_ok":
        print(json.dumps(time.time() - began), flush=True)
    return False
ansible_runner.run(private_data_dir=sys.argv[1], playbook=sys.argv[2], quiet=True, event_handler=told)
"""


def measure() -> Part:
    part = Part("From PUT …/restart to the first task on a host")
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, Lab.make(hosts=1) as lab:
        home = Path(folder)
        alone = [_bare(home / "bare", lab) for _ in range(ROUNDS)]
        bare = statistics.median(alone)
        with running(home, lab) as server:
            add_hosts(server, lab)
            time.sleep(2)  # the next operation's process has been started by now
            warm = []
            for _ in range(ROUNDS):
                warm.append(_first_task(server))
                time.sleep(1)
        cold = []
        for _ in range(ROUNDS):
            with running(home, lab) as server:
                cold.append(_first_task(server))
    for name, values in (("server that has just become ready", cold), ("server at work", warm)):
        on = "1 host, " + spread(values)
        part.add(
            name,
            f"{statistics.median(values):.2f} s",
            ratio(statistics.median(values), bare, "bare ansible-runner"),
            on,
        )
    part.add(
        "bare ansible-runner, from python's start",
        f"{bare:.2f} s",
        on=f"1 host, {ROUNDS} rounds, a playbook of one task",
    )
    part.notes.append("To the first event of a host, by its own time: a checkpoint of the role's first task.")
    return part


def _first_task(server: Server) -> float:
    began = time.time()
    answer = server.call("PUT", f"/api/v0/cluster/{CLUSTER}/restart")
    operation = int(answer.headers["Location"].rpartition("/")[2])
    server.follow(operation)
    events = server.call("GET", f"/api/v1/operations/{operation}/events").json()["items"]
    first = next(event["time"] for event in events if event["host"])
    return datetime.fromisoformat(first).timestamp() - began


def _bare(directory: Path, lab: Lab) -> float:
    (directory / "inventory").mkdir(parents=True, exist_ok=True)
    (directory / "project").mkdir(exist_ok=True)
    lab.inventory(directory / "inventory" / "hosts.json")
    (directory / "project" / "least.yml").write_text(PLAYBOOK)
    argv = [sys.executable, "-c", BARE, str(directory), "least.yml", repr(time.time())]
    environment = {**os.environ, "HOME": str(directory), "PATH": f"{BIN}:{os.environ.get('PATH', os.defpath)}"}
    done = lab.run(argv, capture_output=True, text=True, env=environment)
    if done.returncode or not done.stdout:
        raise BenchError(f"ansible-runner: {done.stdout}{done.stderr}")
    return float(json.loads(done.stdout.splitlines()[0]))

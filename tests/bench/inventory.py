"""A large fleet as an Ansible inventory: from the server, from a file, from a script."""

import json
import os
import resource
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from .fleet import record_hosts
from .report import Part, ratio
from .server import BIN, BenchError, running

HOSTS = 10_000
STATIC_HOSTS = 1_000  # all of them would take minutes


def measure() -> Part:
    part = Part(f"Inventory: {HOSTS:,} hosts by ansible-inventory --list")
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        home = Path(folder)
        with running(home, prepare=lambda database: record_hosts(database, HOSTS)) as server:
            begin = time.monotonic()
            answer = server.call("GET", "/api/v1/inventory")
            asked = time.monotonic() - begin
            plugin = home / "commissaire.yml"
            plugin.write_text("plugin: commissaire.fleet.commissaire\n")
            ours = _list(plugin, home, HOSTS)
            script = _list(_script(home / "hosts", answer.text), home, HOSTS)
            static = _list(_static(home / "static.yml", answer.json()), home, STATIC_HOSTS)
    for name, one in (("plugin commissaire.fleet.commissaire", ours), ("static YAML file", static)):
        part.add(name, f"{one.seconds:.2f} s", ratio(one.per_host, script.per_host, "the script, a host"), one.on)
    part.add("script that prints JSON it has", f"{script.seconds:.2f} s", on=script.on)
    part.add("GET /api/v1/inventory alone", f"{asked:.2f} s", on=f"{HOSTS:,} hosts, {len(answer.content):,} bytes")
    part.notes.append(
        "The same hosts, groups and variables each time. The script is `cat`: the least a source can cost."
    )
    return part


@dataclass(frozen=True)
class _Listing:
    hosts: int
    seconds: float
    cpu_seconds: float

    @property
    def per_host(self) -> float:
        return self.seconds / self.hosts

    @property
    def on(self) -> str:
        return f"{self.hosts:,} hosts, 12 variables each; {self.cpu_seconds:.2f} s CPU"


def _list(source: Path, home: Path, hosts: int) -> _Listing:
    environment = {**os.environ, "HOME": str(home)}
    argv = [str(BIN / "ansible-inventory"), "-i", str(source), "--list"]
    begin, used = time.monotonic(), _cpu_seconds()
    done = subprocess.run(argv, env=environment, cwd=home, capture_output=True, text=True, check=False)
    listing = _Listing(hosts, time.monotonic() - begin, _cpu_seconds() - used)
    found = len(json.loads(done.stdout)["_meta"]["hostvars"]) if done.returncode == 0 else 0
    if found != hosts:
        raise BenchError(f"{source.name} gives {found} hosts: {done.stderr[-1000:]}")
    return listing


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _static(path: Path, document: dict[str, Any]) -> Path:
    variables = dict(list(document["_meta"]["hostvars"].items())[:STATIC_HOSTS])
    groups = {name: content["hosts"] for name, content in document.items() if name not in ("_meta", "all")}
    children = {name: {"hosts": {host: {} for host in hosts if host in variables}} for name, hosts in groups.items()}
    tree = {"all": {"hosts": variables, "children": children}}
    path.write_text(yaml.dump(tree, Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper)))
    return path


def _script(path: Path, text: str) -> Path:
    path.with_suffix(".json").write_text(text)
    path.write_text(f"#!/bin/sh\nexec cat {path.with_suffix('.json')}\n")
    path.chmod(0o700)
    return path

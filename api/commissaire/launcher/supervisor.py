"""The process between the server and one playbook: it starts the playbook, and nothing that it started outlives it.

Standard input brings one job, then stays open as long as the playbook may run: its end, because the server stops the
operation or because the server is gone, kills everything below. So does the time that the last line `until` told: a
server that can't say any more that the operation is its own lets another one take it over soon after. If LET_GO comes
before the end, the leases on hosts are given back first; without it, whoever resumes the operation takes them over.
Standard output carries journal entries, one JSON object a line, the last one `{"type": "end", ...}`.

Ansible's workers leave their parent's process group, and ssh's connection masters leave everything. So the supervisor
is a child subreaper (prctl(2)): whatever loses its parent becomes its child, and can be found and killed.
"""

from __future__ import annotations

import contextlib
import ctypes
import math
import os
import select
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import ansible_runner
import orjson
import psutil

from commissaire.launcher.collections import collections_path
from commissaire.launcher.entry import entry_of
from commissaire.launcher.job import KUBECONFIG, LET_GO, UNTIL, Job
from commissaire.launcher.marker import RUN_MARKER
from commissaire.launcher.private import PrivateRun

RENEWER = "cmsr-lease"
"""The processes of the collection that keep a lease alive (plugin_utils/renewer.py): SIGTERM makes them return it."""
USUAL_COLLECTIONS = ("~/.ansible/collections", "/usr/share/ansible/collections")
"""Where ansible-galaxy puts them, behind ours, so that no copy of it wins: for playbooks that check hosts."""
_LET_GO_SECONDS = 3.0
_LOOK_AGAIN_SECONDS = 0.1
_PR_SET_CHILD_SUBREAPER = 36


def main() -> None:
    """Wait for a job, run it, report; exit when the server closes standard input."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    report = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # whatever prints must not end up between the entries
    line, newline, rest = _read_line(0).partition(b"\n")
    if not newline:
        return
    job = Job.from_line(line)
    deserted = threading.Event()
    letting_go = threading.Lock()
    threading.Thread(target=_kill_all_at_end_of, args=(0, rest, deserted, letting_go), daemon=True).start()
    end: dict[str, Any]
    try:
        end = _run(job, report)
    except Exception as error:
        end = {"rc": 1, "message": f"the playbook could not be started: {error}"}
    finally:
        with letting_go:  # the playbook's end is not yet that of the processes that give its leases back
            kill_descendants()
        shutil.rmtree(job.runtime_directory, ignore_errors=True)
    if deserted.is_set():
        end = {"rc": None, "message": "the server could not say that it is there, so its playbook was stopped"}
    _write(report, {"type": "end", **end})


def _run(job: Job, report: BinaryIO) -> dict[str, Any]:
    if job.private is None:
        return _run_playbook(job, report, None)
    with PrivateRun(job.private, Path(job.runtime_directory)) as private:
        end = _run_playbook(job, report, private)
        _write(report, {"type": "answer", "data": private.answer()})
        return end


def _run_playbook(job: Job, report: BinaryIO, private: PrivateRun | None) -> dict[str, Any]:
    environment = _environment(job) | (private.environment if private else {})
    os.environ.clear()
    os.environ.update(environment)
    _start_agent(job, environment["SSH_AUTH_SOCK"])
    directory = Path(job.directory)
    (directory / "known_hosts").write_text(job.known_hosts, encoding="utf-8")
    (directory / "ansible.cfg").touch()
    for name, text in job.files.items():
        (directory / name).write_text(text, encoding="utf-8")
    for key in job.keys:
        (directory / f"{key.name}.pub").write_text(key.public + "\n", encoding="utf-8")

    known_hosts = _KnownHosts(directory / "known_hosts")

    def handle(event: dict[str, Any]) -> bool:
        entry = private.entry_of(event) if private else entry_of(event)
        if entry is not None:
            added = known_hosts.added()
            if added:
                _write(report, {"type": "known_hosts", "lines": added})
            _write(report, entry)
        return False  # no file an event

    _place_kubeconfigs(job)
    _place_secret_files(job)
    variables = directory / "extra_vars.json"
    variables.touch(mode=0o600)
    variables.write_bytes(orjson.dumps(job.extra_vars))  # as an argument they could be too long, and everybody sees it
    options = [*(["--check --diff"] if job.dry_run else []), *([private.options] if private else [])]
    run = ansible_runner.run(
        private_data_dir=job.directory,
        playbook=job.playbook,
        inventory=job.inventory,
        extravars=str(variables),
        forks=job.forks,
        cmdline=" ".join(options) or None,
        artifact_dir=private.artifacts if private else None,
        event_handler=handle,
        quiet=True,
        suppress_env_files=True,
        settings={"suppress_output_file": True, "pexpect_timeout": 1},
    )
    return {"rc": run.rc, "message": ""}


def _place_kubeconfigs(job: Job) -> None:
    """Put the kubeconfigs into files that are on no disk and end with this process, and tell the hosts where."""
    paths = {}
    for name, text in job.kubeconfigs.items():
        paths[name] = _in_memory("kubeconfig", text)
    for variables in job.inventory["all"]["hosts"].values():
        if variables.get(KUBECONFIG) in paths:
            variables[KUBECONFIG] = paths[variables[KUBECONFIG]]


def _place_secret_files(job: Job) -> None:
    """Let links lead to the secret files, which are on no disk and end with this process."""
    for name, text in job.secret_files.items():
        link = Path(job.runtime_directory) / name
        link.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        link.symlink_to(_in_memory(link.name, text))


def _in_memory(name: str, text: str) -> str:
    """Return the path of a file that only this process keeps."""
    descriptor = os.memfd_create(name)
    os.fchmod(descriptor, 0o600)
    os.write(descriptor, text.encode())
    return f"/proc/{os.getpid()}/fd/{descriptor}"


class _KnownHosts:
    """The lines that ssh adds to a known_hosts file at its first contact with a host."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._size = path.stat().st_size

    def added(self) -> list[str]:
        """Return the lines since the last time."""
        if self._path.stat().st_size == self._size:
            return []
        with self._path.open("rb") as file:
            file.seek(self._size)
            text = file.read()
        complete = text[: text.rfind(b"\n") + 1]
        self._size += len(complete)
        return complete.decode().splitlines()


def _environment(job: Job) -> dict[str, str]:
    runtime = Path(job.runtime_directory)
    return {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
        "HOME": os.environ.get("HOME", "/"),
        "LANG": "C.UTF-8",
        "SSH_AUTH_SOCK": str(runtime / "agent"),
        RUN_MARKER: f"{runtime.parent}:{job.operation_id}",
        "ANSIBLE_CONFIG": str(Path(job.directory) / "ansible.cfg"),
        "ANSIBLE_HOME": str(runtime / "ansible"),
        "ANSIBLE_COLLECTIONS_PATH": os.pathsep.join([collections_path(), *USUAL_COLLECTIONS]),
        "ANSIBLE_HOST_KEY_CHECKING": "True",
        "ANSIBLE_PIPELINING": "True",
        "ANSIBLE_SSH_CONTROL_PATH_DIR": str(runtime / "ssh"),
        "ANSIBLE_LOCALHOST_WARNING": "False",
        "ANSIBLE_DEPRECATION_WARNINGS": "False",
        "ANSIBLE_NOCOLOR": "True",
    }


def _start_agent(job: Job, socket: str) -> None:
    """Give the keys to an ssh agent of this operation; they go through pipes only."""
    Path(job.runtime_directory).mkdir(mode=0o700, parents=True, exist_ok=True)
    subprocess.Popen(["ssh-agent", "-D", "-a", socket], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    waited = threading.Event()
    for _ in range(200):
        if Path(socket).exists():
            break
        waited.wait(0.01)
    for key in job.keys:
        subprocess.run(
            ["ssh-add", "-q", "-"], input=key.private.encode(), check=True, capture_output=True, start_new_session=True
        )


def _read_line(descriptor: int) -> bytes:
    chunks = []
    while chunk := os.read(descriptor, 1 << 20):
        chunks.append(chunk)
        if b"\n" in chunk:
            break
    return b"".join(chunks)


def _kill_all_at_end_of(descriptor: int, rest: bytes, deserted: threading.Event, letting_go: threading.Lock) -> None:
    """Wait for the end of what the server says, of which *rest* was read, or of the time that it told."""
    until, let_go = math.inf, False
    while True:
        *lines, rest = rest.split(b"\n")
        for line in lines:
            let_go = let_go or line == LET_GO
            until = float(line.removeprefix(UNTIL)) if line.startswith(UNTIL) else until
        left = None if until == math.inf else max(0.0, until - time.monotonic())
        if not select.select([descriptor], [], [], left)[0]:
            deserted.set()
            break
        chunk = os.read(descriptor, 1 << 16)
        if not chunk:
            break
        rest += chunk
    if let_go:
        with letting_go:
            _end_renewers()
    while True:  # until this process ends: it may be just about to start the playbook
        kill_descendants()
        time.sleep(_LOOK_AGAIN_SECONDS)


def _end_renewers() -> None:
    """Kill the playbook, and have those who renew its leases give them back; a host that is silent keeps its lease."""
    processes = [child for child in psutil.Process().children(recursive=True) if _is_alive(child)]
    renewers = [process for process in processes if _name(process) == RENEWER]
    playbook = [process for process in processes if _name(process).startswith("ansible")]
    for process, number in [*((one, signal.SIGKILL) for one in playbook), *((one, signal.SIGTERM) for one in renewers)]:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(number)
    psutil.wait_procs(renewers, timeout=_LET_GO_SECONDS)


def _name(process: psutil.Process) -> str:
    try:
        return str(process.name())
    except psutil.NoSuchProcess:
        return ""


def kill_descendants() -> None:
    """Kill every process below this one, until there is none left that isn't a zombie."""
    me = psutil.Process()
    while True:
        alive = [child for child in me.children(recursive=True) if _is_alive(child)]
        if not alive:
            return
        for child in alive:
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
        psutil.wait_procs(alive, timeout=0.2)


def _is_alive(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _write(report: BinaryIO, entry: Mapping[str, Any]) -> None:
    with contextlib.suppress(BrokenPipeError):
        report.write(orjson.dumps(entry, default=str) + b"\n")


if __name__ == "__main__":
    main()

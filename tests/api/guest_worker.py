"""A worker that answers as the playbooks for guests would, from machines in memory; it is told the real plan."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlmodel import select

from api.conftest import Fleet, checkpoint
from commissaire.dispatch.embedded import EmbeddedDispatcher
from commissaire.fleet.guests import keep_answer
from commissaire.launcher.job import Job
from commissaire.records import OF_GUESTS, Operation, OperationKind, OperationState

INFO = {
    "agent": {"name": "qemu-guest-agent", "version": "7.2.22", "dialect": "qemu", "features": ["guest-exec"]},
    "hostname": "web", "os": {"id": "debian"}, "boot_id": "5d1c7b52-0b7a-4c39-9d0a-5f8d7ad4d6b1",
    "addresses": ["10.0.0.7"], "interfaces": [{"name": "eth0", "mac": "52:54:00:00:00:01"}], "host_keys": [],
}  # fmt: skip


@dataclass
class Guests:
    """What is in the machines, all the same ones, and the jobs that were carried out."""

    files: dict[str, bytes] = field(default_factory=dict)
    passwords: dict[str, str] = field(default_factory=dict)
    jobs: list[Job] = field(default_factory=list)
    failure: str = ""
    """With which words everything fails."""
    held: threading.Event = field(default_factory=threading.Event)
    """Set while nothing is to be held up."""

    def answer(self, kind: str, job: Job) -> tuple[dict[str, Any], str]:
        """Return what the playbook's module would answer, and why it fails."""
        assert job.private is not None
        told = {name.removeprefix("guest_"): value for name, value in job.private.variables.items()}
        if self.failure:
            return {}, self.failure
        if kind == OperationKind.GUEST_INFO:
            return INFO, ""
        if kind == OperationKind.GUEST_FILE:
            return self._file(told, job.private.content)
        if kind == OperationKind.GUEST_PASSWORD:
            self.passwords[told["user"]] = told["password"]
            return {"changed": True, "user": told["user"]}, ""
        if kind == OperationKind.GUEST_COMMAND:
            said = " ".join(told["argv"][1:]) + told.get("stdin", "")
            rc = 3 if told["argv"][0] == "false" else 0
            ended = {"rc": rc, "stdout": said, "stderr": "", "replaced": "\ufffd" in said}
            return ended, "the command ended with 3" if rc else ""
        return {"changed": True, "version": told.get("version", "1.0.0")}, ""

    def _file(self, told: dict[str, Any], content: str | None) -> tuple[dict[str, Any], str]:
        path = told["path"]
        if told["state"] == "fetched":
            if path not in self.files:
                return {}, f"machine web: file {path}: No such file or directory"
            return {"content": base64.b64encode(self.files[path]).decode()}, ""
        created = path not in self.files
        self.files[path] = base64.b64decode(content or "")
        return {"changed": True, "created": created}, ""


@contextmanager
def answering(fleet: Fleet, folder: Path) -> Iterator[Guests]:
    """Let what is asked for in machines be done by a thread."""
    guests, ended = Guests(), threading.Event()
    guests.held.set()
    thread = threading.Thread(target=_work, args=(fleet, folder, guests, ended))
    thread.start()
    try:
        yield guests
    finally:
        ended.set()
        guests.held.set()
        thread.join()


def _work(fleet: Fleet, folder: Path, guests: Guests, ended: threading.Event) -> None:
    services = fleet.services
    assert isinstance(services.dispatcher, EmbeddedDispatcher)
    while not ended.is_set():
        claim = services.dispatcher.claim(OF_GUESTS, 0.05)
        if claim is None:
            continue
        guests.held.wait()
        with services.database.read() as session:
            operation = session.exec(select(Operation).where(Operation.id == claim.operation_id)).one()
        plan = fleet.plan(claim.operation_id, folder)
        name = operation.parameters["name"]
        answer, why = ({}, plan.unusable[name]) if plan.job is None else guests.answer(operation.kind, plan.job)
        guests.jobs += [plan.job] if plan.job else []
        state = "failed" if why else "finished"
        fleet.journal(claim, operation.kind).write([checkpoint(name, "done", state, why)])
        with services.database.write() as session:
            keep_answer(session, services.secrets, operation, answer)
        fleet.end(claim.operation_id, OperationState(state), why)

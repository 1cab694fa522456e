"""A playbook that is told secrets, and answers some: they lie in memory only, and stand in no entry of the journal.

The folder is one of a file system in memory (tmpfs), for this user only, and is removed with the playbook: its
variables, the file that it sends or fetches, and Ansible's own temporary files, where each task's result lies a moment.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import resource
import shutil
import tempfile
from pathlib import Path
from typing import Any

from commissaire.event_type import EventType
from commissaire.launcher.entry import MESSAGE_LIMIT, entry_of
from commissaire.launcher.job import Private
from commissaire.literal import literal
from commissaire.shared_memory import is_in_memory, is_our_own, shared_folder

_PREFIX = "private-"
_ENDS = ("runner_on_ok", "runner_on_failed")
_NO_ANSWER = ("invocation", "warnings", "deprecations", "exception", "diff", "censored", "ansible_facts")


class PrivateRun:
    """The private side of one playbook. A context manager: at its end nothing of it is left."""

    def __init__(self, private: Private, runtime: Path) -> None:
        self._private = private
        self._folder = _memory_folder(runtime)
        self._fetched = self._folder / "fetched"
        self._answer: dict[str, Any] = {}
        self._working = self._changed = False
        variables = dict(private.variables)
        if private.content is not None:
            content = self._folder / "content"
            _write(content, base64.b64decode(private.content))
            variables[private.content_as] = str(content)
        if private.fetched_as:
            variables[private.fetched_as] = str(self._fetched)
            resource.setrlimit(resource.RLIMIT_FSIZE, (private.most_bytes, private.most_bytes))
        _write(self._folder / "variables", json.dumps(literal(variables)).encode())

    def __enter__(self) -> PrivateRun:
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def options(self) -> str:
        """What tells ansible-playbook the variables."""
        return f"-e @{self._folder / 'variables'}"

    @property
    def artifacts(self) -> str:
        """Where ansible-runner puts what it writes."""
        return str(self._folder / "artifacts")

    @property
    def environment(self) -> dict[str, str]:
        """What keeps Ansible from leaving traces elsewhere."""
        return {
            "ANSIBLE_LOCAL_TEMP": str(self._folder / "local"),
            "ANSIBLE_REMOTE_TEMP": str(self._folder / "remote"),
            "ANSIBLE_NO_TARGET_SYSLOG": "True",
            "ANSIBLE_TASK_TIMEOUT": str(self._private.most_seconds),
        }

    def entry_of(self, event: dict[str, Any]) -> dict[str, Any] | None:
        """Make the journal entry of an event, without what the answer is; that is kept for `answer`."""
        self._listen(event)
        entry = entry_of(event)
        if entry is None or "data" not in entry:
            return entry
        if entry["type"] == EventType.WARNING and self._working:
            return None  # Ansible repeats there what the task says
        failed = entry["type"] in (EventType.FAILED, EventType.UNREACHABLE) or entry["state"] == "failed"
        if failed and self._answer.get("rc"):
            entry["message"] = f"the command ended with {self._answer['rc']}"  # the rest of it is the answer
        elif entry["type"] == EventType.FAILED:
            entry["message"] = self._message(event)
        return {**entry, "data": {}}

    def answer(self) -> dict[str, Any]:
        """Return what the playbook's module answered or its checkpoints told, and whether it `changed` something.

        `content` (base64) is the file that it fetched.
        """
        self._answer.setdefault("changed", self._changed)
        self._answer = _encodable(self._answer)
        if self._private.fetched_as and self._fetched.is_file():
            return {**self._answer, "content": base64.b64encode(self._fetched.read_bytes()).decode()}
        return self._answer

    def _message(self, event: dict[str, Any]) -> str:
        result = event["event_data"]["res"]
        return str(result.get("msg") or "failed without a message").strip()[:MESSAGE_LIMIT]

    def _listen(self, event: dict[str, Any]) -> None:
        data = event.get("event_data") or {}
        result = data.get("res")
        self._working = self._working or data.get("resolved_action") == self._private.module
        if event.get("event") not in _ENDS or not isinstance(result, dict):
            return
        self._changed = self._changed or bool(result.get("changed"))
        point = result.get("checkpoint")
        if isinstance(point, dict) and str(data.get("resolved_action")).startswith("commissaire.fleet."):
            told = point.get("data")
            self._answer.update(told if isinstance(told, dict) else {})
        elif data.get("resolved_action") == self._private.module and "censored" not in result:
            self._answer.update(
                {key: value for key, value in result.items() if key not in _NO_ANSWER and not key.startswith("_")}
            )
            diff = result.get("diff")
            self._answer["created"] = isinstance(diff, dict) and diff.get("before") == ""


def _encodable(value: Any) -> Any:
    """Return *value* (JSON) as it can be told on: what an agent says may hold halves of surrogate pairs."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {_encodable(str(key)): _encodable(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_encodable(part) for part in value]
    return value


def _write(path: Path, content: bytes) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)


def _memory_folder(runtime: Path) -> Path:
    """Make a folder in memory: below *runtime* where that is, else in the server's folder of shared memory.

    Raises:
        OSError: there is none.
    """
    shared = shared_folder(runtime.parent)
    for parent in (runtime, shared):
        with contextlib.suppress(OSError):
            parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if is_our_own(parent) and is_in_memory(parent):
                return Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{runtime.name}-", dir=parent))
    raise OSError(f"neither {runtime} nor {shared} is in memory (tmpfs), and secrets touch no disk")


def forget_private(runtime: Path) -> None:
    """Remove what is left of the playbook whose folder of sockets is *runtime*: its supervisor may have been killed."""
    shutil.rmtree(runtime, ignore_errors=True)
    for left in shared_folder(runtime.parent).glob(f"{_PREFIX}{runtime.name}-*"):
        shutil.rmtree(left, ignore_errors=True)

"""Ask a provider: `ansible-inventory --list` in a session of its own, within a time, knowing as little as it can."""

from __future__ import annotations

import contextlib
import os
import re
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from commissaire.launcher.collections import collections_path
from commissaire.launcher.marker import RUN_MARKER
from commissaire.settings import SourceSettings
from commissaire.sources.listing import DEFAULT_VARIABLES, ListingError, read_listing

LARGEST_BYTES = 256 * 1024**2
_GRACE_SECONDS = 2
_SAID_CHARACTERS = 400
_TIMED_OUT = 124
"""What timeout(1) exits with."""
_NOISE = re.compile(r"\x1b\[[0-9;]*m|\[(?:WARNING|ERROR|DEPRECATION WARNING)\]: ?|ERROR! ?")


def list_hosts(settings: SourceSettings, runtime: Path, name: str) -> list[dict[str, Any]]:
    """Return a provider's hosts, as `read_listing` does.

    Raises:
        ListingError: it failed, hung, or printed something else; the message is its own, as far as there is one.
    """
    if not settings.inventory.exists():
        raise ListingError(f"there is no {settings.inventory}")
    with tempfile.TemporaryDirectory(prefix="source-", dir=runtime) as folder:
        output = _run(settings, Path(folder), f"{runtime}:source-{name}")
    return read_listing(output, DEFAULT_VARIABLES | settings.variables)


def _run(settings: SourceSettings, folder: Path, marker: str) -> bytes:
    # `timeout` also ends it when this server is gone by then; `nice`, because thousands of hosts take a while
    limit = ["timeout", f"--kill-after={_GRACE_SECONDS}", f"{settings.timeout_seconds}"]
    command = [sys.executable, "-m", "ansible.cli.inventory", "-i", str(settings.inventory), "--list"]
    (folder / "ansible.cfg").touch()
    deadline = time.monotonic() + settings.timeout_seconds + 2 * _GRACE_SECONDS
    with (folder / "errors").open("w+b") as errors:
        process = subprocess.Popen(
            ["nice", *limit, *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            cwd=folder,
            env=_environment(settings, folder, marker),
            start_new_session=True,
        )
        try:
            output = _read(process, deadline)
            status = process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            status = _TIMED_OUT
        finally:
            _kill(process)
        errors.seek(0)
        said = _NOISE.sub("", errors.read(1 << 20).decode(errors="replace"))
    if status in (_TIMED_OUT, 128 + signal.SIGKILL, -signal.SIGKILL):
        raise ListingError(f"{settings.inventory} did not answer within {settings.timeout_seconds:g} s")
    if status:
        words = " ".join(said.split())[:_SAID_CHARACTERS]
        raise ListingError(f"{settings.inventory} can't be listed: {words or f'exit status {status}'}")
    return output


def _read(process: subprocess.Popen[bytes], deadline: float) -> bytes:
    if process.stdout is None:
        raise RuntimeError("the process has no pipe")
    chunks: list[bytes] = []
    size = 0
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while True:
            if not selector.select(max(0.0, deadline - time.monotonic())):
                raise subprocess.TimeoutExpired(process.args, 0)
            chunk = os.read(process.stdout.fileno(), 1 << 20)
            if not chunk:
                return b"".join(chunks)
            chunks.append(chunk)
            size += len(chunk)
            if size > LARGEST_BYTES:
                raise ListingError(f"it lists more than {LARGEST_BYTES // 1024**2} MiB")


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill the whole session: `timeout` makes a group of its own, and a script may leave children."""
    for group in _groups(process.pid):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)
    process.wait()
    if process.stdout is not None:
        process.stdout.close()


def _groups(session: int) -> set[int]:
    groups = set()
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, ValueError):
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            if int(fields[3]) == session:
                groups.add(int(fields[2]))
    return groups


def _environment(settings: SourceSettings, folder: Path, marker: str) -> dict[str, str]:
    passed = {name: os.environ[name] for name in settings.environment if name in os.environ}
    return {
        **passed,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
        "HOME": os.environ.get("HOME", "/"),
        "LANG": "C.UTF-8",
        RUN_MARKER: marker,
        "ANSIBLE_CONFIG": str(folder / "ansible.cfg"),
        "ANSIBLE_HOME": str(folder),
        "ANSIBLE_COLLECTIONS_PATH": collections_path(),
        "ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "True",
        "ANSIBLE_DEPRECATION_WARNINGS": "False",
        "ANSIBLE_NOCOLOR": "True",
    }

"""The way to a hypervisor: what libvirt is told to reach it with its credentials (https://libvirt.org/uri.html).

libvirt's transport ssh starts OpenSSH's `ssh`, or the program that the URI's parameter `command` names, and has no
parameter for the host's keys (`known_hosts` is one of libssh's and libssh2's transports only). So that program is a
script here, which adds ssh's own options. libvirt drops all capabilities before it starts it: unlike files in memory,
which only an equal process finds by /proc, the key must lie in a file. What is made here is gone when the connection is
open, or is not.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from commissaire.machines.credentials import Credentials
from commissaire.machines.uri import transport_of
from commissaire.shared_memory import is_in_memory, is_our_own

HYPERVISOR_PREFIX = "hypervisor-"
"""Of the folders that are made here."""
_SSH_OPTIONS = (
    "StrictHostKeyChecking=yes",
    "GlobalKnownHostsFile=none",
    "UpdateHostKeys=no",
    "VerifyHostKeyDNS=no",
    "IdentitiesOnly=yes",
    "PreferredAuthentications=publickey",
    "BatchMode=yes",
    "ControlPath=none",
    "ConnectTimeout=10",
    "ServerAliveInterval=5",
    "LogLevel=ERROR",
)
_REFUSALS = (
    (
        "Host key verification failed",
        "its SSH host key is none that is recorded; if it really has a new one, record it (ssh_host_keys)",
    ),
    (
        "Permission denied (",
        "its SSH server does not take the key; let it in for the user in the URI, or record another (ssh_priv_key)",
    ),
    ("authentication failed: authentication failed", "it does not take this username and password"),
    ("Unable to read TLS confirmation", "it does not take our client certificate, or wants one (tls_certificate)"),
)
"""What a hypervisor that refuses means, by what OpenSSH's and libvirt's messages hold."""


@dataclass(frozen=True)
class Way:
    """The URI for libvirt, and who signs in, "" for nobody."""

    uri: str
    username: str = ""
    password: str = field(default="", repr=False)


Ways = Callable[[str, str], AbstractContextManager[Way]]
"""`ways(name, uri)`: the way to a hypervisor, while the connection is opened."""


@contextlib.contextmanager
def without_credentials(name: str, uri: str) -> Iterator[Way]:
    """Give the way to a hypervisor that lets everybody in, or whom the server's user can reach by ssh."""
    yield Way(uri)


@contextlib.contextmanager
def way(uri: str, credentials: Credentials, places: Sequence[Path]) -> Iterator[Way]:
    """Give the way to *uri* with its credentials.

    Secrets lie in the first of *places* that is in memory, and the script in the first that may hold programs.
    """
    with contextlib.ExitStack() as stack:
        added = {"no_tty": "1"} if transport_of(uri) == "ssh" and "no_tty" not in urlsplit(uri).query else {}
        if credentials.ssh_priv_key or credentials.tls_ca:
            usable = [place for place in places if os.access(place, os.W_OK | os.X_OK) and is_our_own(place.resolve())]
            folder = _folder(stack, usable, is_in_memory)
            if credentials.ssh_priv_key:
                _write(folder / "key", credentials.private_key())
                _write(folder / "known_hosts", credentials.known_hosts(uri))
                programs = folder if _runs_programs(folder) else _folder(stack, usable, _runs_programs)
                added["command"] = str(_script(programs, folder))
            else:
                for name, text in credentials.certificates().items():
                    _write(folder / name, text)
                added["pkipath"] = str(folder)
        yield Way(_with_parameters(uri, added), credentials.username, credentials.password)


def meaning(message: str) -> str:
    """Return what a hypervisor's refusal means, with the end of what was said of it, or all of that."""
    end = message.strip().rpartition("\n")[2]
    return next((f"{told} ({end})" for words, told in _REFUSALS if words in message), message)


def _with_parameters(uri: str, added: dict[str, str]) -> str:
    parts = urlsplit(uri)
    query = "&".join([*filter(None, [parts.query]), *(f"{name}={value}" for name, value in added.items())])
    return urlunsplit(parts._replace(query=query)) if added else uri


def _script(place: Path, folder: Path) -> Path:
    """Write the script into *place*; the key and the hosts' keys are in *folder*."""
    files = (f'IdentityFile="{folder / "key"}"', f'UserKnownHostsFile="{folder / "known_hosts"}"')
    options = " ".join(f"-o {shlex.quote(option)}" for option in (*_SSH_OPTIONS, *files))
    path = place / "ssh"
    _write(path, f'#!/bin/sh\nexec ssh {options} "$@"\n', 0o700)
    return path


def _write(path: Path, text: str, mode: int = 0o600) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="utf-8") as file:
        file.write(text)


def _folder(stack: contextlib.ExitStack, places: Sequence[Path], suits: Callable[[Path], bool]) -> Path:
    """Make a folder, as long as *stack* lasts, in the first of *places* that suits; in the first where none does.

    Raises:
        OSError: there are none.
    """
    if not places:
        raise PermissionError("no folder of the server's is its user's own, who alone may write there")
    parent = next(filter(suits, places), places[0])
    return Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=HYPERVISOR_PREFIX, dir=parent)))


def _runs_programs(place: Path) -> bool:
    """Return whether programs may be run there: /run often holds none."""
    return not os.statvfs(place).f_flag & os.ST_NOEXEC

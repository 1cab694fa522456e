"""ssh with a key that is there only while ssh runs."""

from __future__ import annotations

import base64
import os
import shutil
import signal
import subprocess
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from commissaire.commctl.account import checked_user
from commissaire.commctl.errors import CommctlError, NoObjectError, RefusedError
from commissaire.commctl.keys import host_key
from commissaire.commctl.session import segment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from commissaire.commctl.client import Client

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


@dataclass(frozen=True)
class Login:
    """How to get into the host *address*. *host_keys* are lines of "type key"; empty when the server knows none."""

    address: str
    user: str
    private_key: bytes = field(repr=False)
    host_keys: str


def login_of(client: Client, address: str) -> Login:
    """Ask the server how to get into a host. Raises CommctlError for one that is unknown or has no key."""
    host = segment(address)
    try:
        creds = client.get(f"/api/v0/host/{host}/creds").body
    except NoObjectError as error:  # nothing was done: unlike a look at nothing, this must not end with 0
        raise RefusedError(error.status, "Not Found", {"detail": error.detail}) from None
    try:
        key = base64.b64decode(creds.get("ssh_priv_key") or "", validate=True)
    except ValueError:
        raise CommctlError(f"the server's private key for {address} is no base64") from None
    if not key:
        raise CommctlError(f"the server has no private key for {address}; delete the host, and create it with one")
    try:
        record = client.get(f"/api/v1/hosts/{host}").body
    except NoObjectError:  # a server that has only v0
        record = {}
    return Login(address, creds.get("remote_user") or "root", key, record.get("host_key") or "")


def ssh(login: Login, arguments: list[str]) -> int:
    """Run ssh with *arguments* after its destination; return its exit code, or 128 and the signal that ended us.

    Raises CommctlError when there is no ssh, or for a user that is none.
    """
    user = checked_user(login.user, "the server's remote_user")
    if not shutil.which("ssh"):
        raise CommctlError("there is no ssh here; install OpenSSH's client")
    with _signals() as got, _folder() as folder:
        command = ["ssh", *_options(login, folder), "-l", user, login.address, *arguments]
        process = subprocess.Popen(command)
        got.process = process
        got.pass_on()
        code = process.wait()
    return 128 + got.numbers[0] if got.numbers else code if code >= 0 else 128 - code


def _options(login: Login, folder: Path) -> list[str]:
    """Write the key, and what is known of the host's, into *folder*; return the options that lead ssh there.

    ssh takes the first of several values, so nothing that follows weakens these.
    """
    key = folder / "key"
    _write(key, login.private_key)
    options = [f"IdentityFile={_quoted(key)}", "IdentitiesOnly=yes"]
    if login.host_keys:
        known_hosts = folder / "known_hosts"
        lines = (f"{login.address} {host_key(line)}\n" for line in login.host_keys.splitlines())
        _write(known_hosts, "".join(lines).encode())
        options += [f"UserKnownHostsFile={_quoted(known_hosts)}", "GlobalKnownHostsFile=none"]
        options += ["StrictHostKeyChecking=yes", "UpdateHostKeys=no"]
        options += [f"HostKeyAlias={login.address}"]  # whatever the port
    else:
        options += ["StrictHostKeyChecking=accept-new"]
    return [word for option in options for word in ("-o", option)]


def _quoted(path: Path) -> str:
    return '"' + str(path).replace("%", "%%") + '"'


def _write(path: Path, content: bytes) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)


@contextmanager
def _folder() -> Iterator[Path]:
    """Make a folder of our own (mode 0700), in memory where that can be; it is gone afterwards."""
    memory = (os.environ.get("XDG_RUNTIME_DIR", ""), "/dev/shm")  # noqa: S108
    parent = next((path for path in memory if path and os.access(path, os.W_OK | os.X_OK)), None)
    with tempfile.TemporaryDirectory(prefix="commctl-", dir=parent) as folder:
        yield Path(folder)


@dataclass
class _Got:
    """Signals that came, and who is to have them, too."""

    numbers: list[int] = field(default_factory=list)
    process: subprocess.Popen[bytes] | None = None

    def note(self, number: int, _frame: object) -> None:
        self.numbers.append(number)
        self.pass_on()

    def pass_on(self) -> None:
        """End ssh, as soon as it is there."""
        if self.numbers and self.process is not None:
            self.process.send_signal(self.numbers[-1])


@contextmanager
def _signals() -> Iterator[_Got]:
    """Note signals instead of dying of them: ssh dies, and we get to remove the key."""
    got = _Got()
    heard = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]  # as below nohup
    before = {number: signal.signal(number, got.note) for number in heard}
    try:
        yield got
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

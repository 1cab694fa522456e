# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The credentials with which a hypervisor's libvirt is reached, as libvirt takes them (https://libvirt.org/uri.html).

Its transport ssh starts OpenSSH's `ssh`, or the program that the URI's parameter `command` names, and knows no
parameter for the host's keys; so that is a script here, which adds the options of ssh's own.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit, urlunsplit

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ARGUMENTS: dict[str, Any] = {
    "username": {"type": "str", "default": ""},
    "password": {"type": "str", "default": "", "no_log": True},
    "private_key_file": {"type": "path"},
    "known_hosts_file": {"type": "path"},
    "pki_path": {"type": "path"},
}
_SSH_OPTIONS = (
    "StrictHostKeyChecking=yes",
    "UpdateHostKeys=no",
    "VerifyHostKeyDNS=no",
    "BatchMode=yes",
    "ControlPath=none",
    "ConnectTimeout=10",
    "ServerAliveInterval=5",
    "LogLevel=ERROR",
)
_EXPLAINED = (
    ("Host key verification failed", "its SSH host key is none that is known; if it has a new one, make that known"),
    ("Permission denied (", "its SSH server does not take our key"),
    ("authentication failed: authentication failed", "it does not take this user name and password"),
    ("Unable to read TLS confirmation", "it does not take our client certificate, or wants one"),
)
"""What a hypervisor that refuses means, by what OpenSSH's and libvirt's messages hold."""


@dataclass(frozen=True)
class Access:
    """What a module was given to reach a hypervisor with; "" where there is none."""

    username: str = ""
    password: str = field(default="", repr=False)
    private_key_file: str = ""
    known_hosts_file: str = ""
    pki_path: str = ""

    @classmethod
    def of(cls, parameters: Mapping[str, Any], prefix: str = "") -> Access:
        """Take it out of a module's parameters, which begin with `prefix`. Raise ValueError when a part is missing."""
        access = cls(**{name: parameters.get(f"{prefix}{name}") or "" for name in ARGUMENTS})
        if bool(access.username) != bool(access.password):
            raise ValueError(f"{prefix}username and {prefix}password belong together; give both or none")
        return access


@contextlib.contextmanager
def way_to(uri: str, access: Access, place: str = "") -> Iterator[str]:
    """Give the URI by which libvirt reaches `uri`, while it does: a script that it names is gone afterwards.

    That is made in the folder `place`, else in one of `place_of_programs`.
    """
    with contextlib.ExitStack() as stack:
        added = {}
        if access.private_key_file or access.known_hosts_file:
            folder = tempfile.mkdtemp(prefix="commissaire-", dir=place or place_of_programs())
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
            added["command"] = _script(folder, access)
            added["no_tty"] = "1"
        if access.pki_path:
            added["pkipath"] = access.pki_path
        yield with_parameters(uri, **added)


@contextlib.contextmanager
def authentication_file(access: Access) -> Iterator[int | None]:
    """Give the descriptor of a file in memory by which libvirt's programs sign in; None when there is nothing in it.

    Raise ValueError for a password that can't be written into such a file (https://libvirt.org/auth.html).
    """
    if not access.username:
        yield None
        return
    if access.password[:1].isspace() or access.password.endswith("\\"):
        raise ValueError("a password that begins with a blank, or ends with a backslash, can't be told to virt-install")
    descriptor = os.memfd_create("auth.conf")
    try:
        os.write(
            descriptor,
            (
                f"[credentials-given]\nauthname={access.username}\npassword={access.password}\n\n"
                "[auth-libvirt-default]\ncredentials=given\n"
            ).encode(),
        )
        yield descriptor
    finally:
        os.close(descriptor)


def with_parameters(uri: str, **added: str) -> str:
    """Return a URI with further parameters."""
    if not added:
        return uri
    parts = urlsplit(uri)
    query = "&".join([*filter(None, [parts.query]), *(f"{name}={quote(value)}" for name, value in added.items())])
    return urlunsplit(parts._replace(query=query))


def explained(message: str) -> str:
    """Return what a hypervisor's refusal means, with the end of what was said of it, or all of that."""
    end = message.strip().rpartition("\n")[2]
    return next((f"{meaning} ({end})" for words, meaning in _EXPLAINED if words in message), message)


def _script(folder: str, access: Access) -> str:
    options = list(_SSH_OPTIONS)
    if access.private_key_file:
        options += ["IdentitiesOnly=yes", f"IdentityFile={_quoted(access.private_key_file)}"]
    if access.known_hosts_file:
        options += [f"UserKnownHostsFile={_quoted(access.known_hosts_file)}", "GlobalKnownHostsFile=none"]
    words = " ".join(f"-o {shlex.quote(option)}" for option in options)
    path = Path(folder, "ssh")
    path.write_text(f'#!/bin/sh\nexec ssh {words} "$@"\n', encoding="utf-8")
    path.chmod(0o700)
    return str(path)


def _quoted(path: str) -> str:
    """Return a path as an option of ssh_config(5) has it."""
    return '"' + path.replace("%", "%%") + '"'


def place_of_programs() -> str:
    """Return a folder whose files may be run: often /run or /tmp is not one."""
    places = [os.environ.get("XDG_RUNTIME_DIR", ""), "/dev/shm", tempfile.gettempdir(), str(Path.home())]  # noqa: S108
    for place in filter(None, places):
        if os.access(place, os.W_OK | os.X_OK) and not os.statvfs(place).f_flag & os.ST_NOEXEC:
            return place
    return tempfile.gettempdir()

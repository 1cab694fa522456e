"""What the guest is called: /etc/hostname and its kin, and the lines of /etc/hosts. Other people's lines stay."""

from __future__ import annotations

import logging
import re
import socket
from typing import TYPE_CHECKING, Iterable, List, Sequence, Tuple

from singularity.files import Change

if TYPE_CHECKING:
    from singularity.network.system import System

HOSTS = "/etc/hosts"
_OURS = "# singularity"
_FILES = (
    ("/etc/conf.d/hostname", r"^\s*hostname=.*$", 'hostname="{}"'),  # openrc
    ("/etc/sysconfig/network", r"^\s*HOSTNAME=.*$", "HOSTNAME={}"),  # Red Hat's before systemd
)
_log = logging.getLogger("singularity")


def hostname_plan(name: str, system: System) -> List[Change]:
    """Return the changes by which the guest is called `name` from its next boot on."""
    changes = [Change("/etc/hostname", f"{name}\n".encode("ascii"))]
    for path, pattern, line in _FILES:
        text = system.read(path)
        if re.search(pattern, text, re.MULTILINE):
            new = re.sub(pattern, line.format(name), text, flags=re.MULTILINE)
            changes.append(Change(path, new.encode("utf-8", "surrogateescape")))
    if system.exists("/etc/HOSTNAME") and not system.link("/etc/HOSTNAME"):
        changes.append(Change("/etc/HOSTNAME", f"{name}\n".encode("ascii")))
    return changes


def use_hostname(name: str) -> None:
    """Call the running system `name`, too."""
    try:
        if socket.gethostname() != name:
            socket.sethostname(name)
    except OSError as error:
        _log.warning("the running system can not be called %s before its next boot: %s", name, error.strerror)


def current_hostname(system: System) -> str:
    """Return what the guest is called at its next boot, "" where that is not told."""
    lines = [line.strip() for line in system.read("/etc/hostname").splitlines()]
    return next((line for line in lines if line and not line.startswith("#")), "")


def hosts_plan(entries: Iterable[Tuple[str, Sequence[str]]], system: System) -> List[Change]:
    """Return the change by which /etc/hosts has `entries` (address, names): ours alone, each marked as such."""
    return [Change(HOSTS, with_entries(system.read(HOSTS), entries).encode("utf-8", "surrogateescape"))]


def names_of(hostname: str) -> List[str]:
    """Return the names that a host has in hosts(5): its full name first, then the short one."""
    return list(dict.fromkeys([hostname, hostname.partition(".")[0]]))


def with_entries(text: str, entries: Iterable[Tuple[str, Sequence[str]]]) -> str:
    """Return a hosts file with exactly these of our entries. They follow the loopback's: the first line counts."""
    kept = [line for line in text.splitlines() if not line.rstrip().endswith(_OURS)]
    said = {(words[0], name) for words in (line.partition("#")[0].split() for line in kept) if words for name in words}
    ours = []
    for address, names in entries:
        missing = [name for name in names if (address, name) not in said]
        if missing:
            ours.append(f"{address}\t{' '.join(names)}\t{_OURS}")
    if not kept:
        kept = ["127.0.0.1\tlocalhost", "::1\tlocalhost"]
    at = 0
    for line in kept:
        words = line.partition("#")[0].split()
        if words and not words[0].startswith("127.") and words[0] != "::1":
            break
        at += 1
    while at and not kept[at - 1].partition("#")[0].strip():  # remarks belong to what follows
        at -= 1
    return "\n".join([*kept[:at], *ours, *kept[at:]]) + "\n"

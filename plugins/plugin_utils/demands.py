# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a host must be like before and after somebody works on it, and whether it is, without any I/O."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ansible_collections.commissaire.fleet.plugins.plugin_utils.machine import Answer

SHOWN_CHARACTERS = 400
_URL = re.compile(r"https?://[^\s\x00-\x1f]+")
_PLAYBOOK = re.compile(r"[a-z_]\w*(\.[a-zA-Z_]\w*){2,}", re.ASCII)


@dataclass(frozen=True)
class Disk:
    """The least that must be free, for anybody, on the file system of a path."""

    path: str
    free_bytes: int = 0
    free_percent: float = 0


@dataclass(frozen=True)
class Demands:
    """What is demanded of one host. `timeout_seconds` is how long it may take to become true.

    `command` and `url` are asked for again until then, `playbook` (a FQCN) is run once, for `playbook_timeout_seconds`
    at most.
    """

    units: tuple[str, ...] = ()
    no_failed_units: bool = False
    disk: tuple[Disk, ...] = ()
    no_pending_reboot: bool = False
    command: tuple[str, ...] = ()
    url: str = ""
    url_from: str = "controller"
    url_statuses: tuple[int, ...] = (200,)
    playbook: str = ""
    timeout_seconds: float = 60
    playbook_timeout_seconds: float = 3600


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: `found` is what was there, and what was wanted where that is something else."""

    name: str
    passed: bool
    found: str


def read_demands(given: dict[str, Any], host: str) -> Demands:
    """Turn options as `ARGUMENTS` of the action host_check has them into demands on *host*, or raise ValueError.

    `{host}` in the URL is the host's name or address.
    """
    known = {field.name for field in fields(Demands)}
    options = {name: value for name, value in given.items() if name in known and value is not None}
    options["disk"] = tuple(_disk(one) for one in options.get("disk", ()))
    for name in ("units", "command", "url_statuses"):
        if name in options:
            options[name] = tuple(options[name])
    if "url" in options:
        options["url"] = options["url"].replace("{host}", f"[{host}]" if ":" in host else host)
        if not _URL.fullmatch(options["url"]):
            raise ValueError(f"url is {options['url']!r}; give one that begins with http:// or https://")
    if "playbook" in options and not _PLAYBOOK.fullmatch(options["playbook"]):
        raise ValueError(f"playbook is {options['playbook']!r}; give one as namespace.collection.playbook")
    for name in ("timeout_seconds", "playbook_timeout_seconds"):
        if options.get(name, 0) < 0:
            raise ValueError(f"{name} is {options[name]:g}; give 0 or more")
    return Demands(**options)


def find(demands: Demands, answer: Answer) -> list[Finding]:
    """Judge by what the script of `host_look` printed."""
    findings = [Finding("reachable", True, f"boot id {answer['boot_id']}")]
    for index, unit in enumerate(demands.units):
        state = answer[f"unit.{index}"]
        findings.append(_finding(f"unit {unit}", state == "active", state or "unknown", "active"))
    if demands.no_failed_units:
        names = answer["failed_units"].strip()
        findings.append(_finding("failed units", answer["failed_units_known"] == "yes" and not names, names or "none"))
    findings += [_space(disk, answer[f"disk.{index}"]) for index, disk in enumerate(demands.disk)]
    if demands.no_pending_reboot:
        found = answer["reboot"] or "nothing on the host tells"
        findings.append(Finding("pending reboot", found == "none", found))
    if demands.command:
        status, _, said = answer["command"].partition(" ")
        findings.append(Finding("command", status == "0", f"exit status {status or 'unknown'}: {said}".rstrip(": ")))
    if demands.url and demands.url_from == "host":
        findings.append(find_url(demands, answer["url"]))
    return findings


def find_url(demands: Demands, said: str) -> Finding:
    """Judge by what a request came to: its status, or in other words why it has none."""
    wanted = " or ".join(map(str, demands.url_statuses))
    passed = said in map(str, demands.url_statuses)
    return _finding(f"url {demands.url}", passed, said[-SHOWN_CHARACTERS:] or "no answer", wanted)


def failures(findings: list[Finding]) -> str:
    """Say what is not as it must be; "" when all is."""
    return "; ".join(f"{finding.name}: {finding.found}" for finding in findings if not finding.passed)


def _disk(given: dict[str, Any]) -> Disk:
    disk = Disk(**{name: value for name, value in given.items() if value is not None})
    if not disk.path.startswith("/"):
        raise ValueError(f"disk: path is {disk.path!r}; give an absolute one")
    if disk.free_bytes < 0 or not 0 <= disk.free_percent <= 100:
        raise ValueError(f"disk: {disk.path} can't have so much free; give free_bytes, or free_percent up to 100")
    return disk


def _space(disk: Disk, line: str) -> Finding:
    """Read the last line of `df -P -k`: device, size, used, available, capacity, path."""
    columns = re.search(r"\s(\d+)\s+(\d+)\s+(\d+)\s+\S+\s+/", line)
    if not columns:
        return Finding(f"disk {disk.path}", False, line.strip() or "unknown")
    size, free = int(columns[1]) * 1024, int(columns[3]) * 1024
    percent = 100 * free / size if size else 0
    enough = free >= disk.free_bytes and percent >= disk.free_percent
    wanted = [f"{disk.free_bytes} bytes"] * bool(disk.free_bytes) + [f"{disk.free_percent:g} %"] * bool(
        disk.free_percent
    )
    return _finding(f"disk {disk.path}", enough, f"{free} bytes free ({percent:.0f} %)", " and ".join(wanted))


def _finding(name: str, passed: bool, found: str, wanted: str = "") -> Finding:
    return Finding(name, passed, found if passed or not wanted else f"{found}, wanted {wanted}")

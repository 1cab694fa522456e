# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Read what the role investigate's probe printed about a host."""

from __future__ import annotations

import re
import shlex
from typing import Any

FAMILIES = {
    "debian": "debian",
    "ubuntu": "debian",
    "rhel": "redhat",
    "fedora": "redhat",
    "centos": "redhat",
    "suse": "suse",
    "opensuse": "suse",
    "sles": "suse",
    "alpine": "alpine",
    "arch": "arch",
    "gentoo": "gentoo",
}


def read_facts(text: str) -> dict[str, Any]:
    """Turn the probe's sections into the facts of a host record; raise ValueError when the output is cut short.

    Facts a host does not tell are None (memory_kb, space_bytes, cpus, python …) or "" (names).
    """
    sections = _sections(text)
    if "end" not in sections:
        raise ValueError(f"the probe's output ends early; the host said: {text.strip()[-300:] or 'nothing'}")
    first = {name: lines[0] if lines else "" for name, lines in sections.items()}
    release = _assignments(sections["os_release"])
    atomic = first["ostree"] == "yes"
    python, _, python_version = first["python"].partition(" ")
    return {
        "os": "atomic" if atomic else release.get("ID", "").lower(),
        "os_version": release.get("VERSION_ID", ""),
        "os_family": _family(release),
        "cpus": _number(first["cpus"]),
        "memory_kb": _number(first["memory"]),
        "space_bytes": _space_bytes(sections["filesystems"]),
        "kernel": first["kernel"],
        "boot_id": first["boot_id"],
        "machine_id": first["machine_id"],
        "hostname": first["hostname"],
        "python": python or None,
        "python_version": python_version or None,
        "system_state": first["system_state"] or "none",
        "login": first["login"],
        "privileged": first["privileged"] == "yes",
        "package_manager": first["package_manager"] or None,
        "atomic": atomic,
        "bootc": first["bootc"] == "yes",
        "virtualization": first["virtualization"] or "none",
    }


def _sections(text: str) -> dict[str, list[str]]:
    sections: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in text.splitlines():
        header = re.fullmatch(r"== ([a-z_]+)\s*", line)
        if header:
            lines = sections.setdefault(header[1], [])
        elif line.strip():
            lines.append(line.strip())
    return sections


def _assignments(lines: list[str]) -> dict[str, str]:
    """Read os-release(5): shell assignments, quoted or not."""
    assigned = {}
    for line in lines:
        name, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            try:
                assigned[name] = "".join(shlex.split(value))
            except ValueError:
                assigned[name] = value
    return assigned


def _family(release: dict[str, str]) -> str:
    """Return the family by ID, else by the first known word of ID_LIKE, else "" (os-release(5): closest first)."""
    words = [release.get("ID", ""), *release.get("ID_LIKE", "").split()]
    for word in words:
        for name, family in FAMILIES.items():
            if word.lower() == name or word.lower().startswith(f"{name}-"):
                return family
    return ""


def _number(text: str) -> int | None:
    found = re.search(r"\d+", text)
    return int(found[0]) if found else None


def _space_bytes(lines: list[str]) -> int | None:
    """Add up `df -P -k`: each block device once, and the root whatever it lies on (in a container it is no device)."""
    sizes: dict[str, int] = {}
    for line in lines:
        row = re.fullmatch(r"(\S+)\s+(\d+)\s+\S+\s+\S+\s+\S+\s+(/.*)", line)
        if row and (row[3] == "/" or (row[1].startswith("/dev/") and not row[1].startswith("/dev/loop"))):
            sizes[row[1]] = int(row[2]) * 1024
    return sum(sizes.values()) if sizes else None

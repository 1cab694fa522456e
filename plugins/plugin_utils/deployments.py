# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Read what programs that manage a host's deployments say of them: ostree, rpm-ostree, bootc."""

from __future__ import annotations

import json
import re
from typing import Any

_DEPLOYMENT = re.compile(r"(?P<mark>[* ]) \S+ (?P<checksum>[0-9a-f]{64})\.\d+(?: .*)?")
_DETAIL = re.compile(r" +(?P<name>Version|origin refspec): (?P<value>.*)")
_KEYS = {"Version": "version", "origin refspec": "origin"}

Deployments = list[dict[str, Any]]
"""The one that boots next first; each has `checksum`, `version`, `origin`, `booted`."""


def read_deployments(text: str, system: str = "ostree") -> Deployments:
    """Return the deployments that *system* told of; ValueError when it is none of ostree, rpm-ostree and bootc.

    What the host does not tell is "". An empty list says that there are none, or that this program has none of its own.
    """
    readers = {"ostree": _read_ostree, "rpm-ostree": _read_rpm_ostree, "bootc": _read_bootc}
    if system not in readers:
        raise ValueError(f"system is {system!r}; give one of {', '.join(readers)}")
    return readers[system](text)


def _read_ostree(text: str) -> Deployments:
    """Read `ostree admin status`, which could not print JSON before 2024."""
    deployments: Deployments = []
    for line in text.splitlines():
        if found := _DEPLOYMENT.fullmatch(line.rstrip()):
            mark, checksum = found.groups()
            deployments.append({"checksum": checksum, "version": "", "origin": "", "booted": mark == "*"})
        elif deployments and (detail := _DETAIL.fullmatch(line.rstrip())):
            deployments[-1][_KEYS[detail["name"]]] = detail["value"]
    return deployments


def _read_rpm_ostree(text: str) -> Deployments:
    """Read `rpm-ostree status --json`. `base_checksum` is what was deployed, where packages are layered upon it."""
    return [
        {
            "checksum": each["checksum"],
            "base_checksum": each.get("base-checksum") or each["checksum"],
            "version": each.get("version") or "",
            "origin": each.get("container-image-reference") or each.get("origin") or "",
            "booted": bool(each.get("booted")),
        }
        for each in _object(text).get("deployments") or []
    ]


def _read_bootc(text: str) -> Deployments:
    """Read `bootc status --format json` (its host-v1 schema); none on a host whose deployments bootc can't change.

    The checksum is the image's digest. `cached` is that of the newest one seen in the registry, `staged` says that a
    deployment has not been finalised, `download_only` that it isn't going to be by itself.
    """
    status = _object(text).get("status") or {}
    booted = status.get("booted") or {}
    if status.get("type") != "bootcHost" or not booted.get("image") or booted.get("incompatible"):
        return []
    staged, rollback = status.get("staged"), status.get("rollback")
    order = [rollback, booted] if status.get("rollbackQueued") else [staged, booted, rollback]
    return [
        {
            "checksum": each["image"]["imageDigest"],
            "version": each["image"].get("version") or "",
            "origin": each["image"]["image"]["image"],
            "booted": each is booted,
            "staged": each is staged,
            "download_only": bool(each.get("downloadOnly")),
            "cached": (each.get("cachedUpdate") or {}).get("imageDigest", ""),
        }
        for each in order
        if each and each.get("image")
    ]


def _object(text: str) -> dict[str, Any]:
    """Return a JSON object; an empty one where the program said nothing."""
    said = json.loads(text or "{}")
    return said if isinstance(said, dict) else {}

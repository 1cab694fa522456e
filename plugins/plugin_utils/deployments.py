# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Read what `ostree admin status` prints."""

from __future__ import annotations

import re
from typing import Any

_DEPLOYMENT = re.compile(r"(?P<mark>[* ]) (?P<osname>\S+) (?P<checksum>[0-9a-f]{64})\.\d+(?: .*)?")
_DETAIL = re.compile(r" +(?P<name>Version|origin refspec): (?P<value>.*)")
_KEYS = {"Version": "version", "origin refspec": "origin"}


def read_deployments(text: str) -> list[dict[str, Any]]:
    """Return the deployments, the one that boots next first: `osname`, `checksum`, `booted`, `version`, `origin`."""
    deployments: list[dict[str, Any]] = []
    for line in text.splitlines():
        if found := _DEPLOYMENT.fullmatch(line.rstrip()):
            mark, osname, checksum = found.groups()
            head = {"osname": osname, "checksum": checksum, "booted": mark == "*", "version": "", "origin": ""}
            deployments.append(head)
        elif deployments and (detail := _DETAIL.fullmatch(line.rstrip())):
            deployments[-1][_KEYS[detail["name"]]] = detail["value"]
    return deployments

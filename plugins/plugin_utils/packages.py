# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Compare what packages a host had with what it has."""

from __future__ import annotations


def package_changes(before: str, after: str) -> list[dict[str, str | None]]:
    """Compare two lists of lines `name version`; return `{"name", "before", "after"}` of each package that differs.

    A version is None where the package was not there. Versions of one name that are installed together (kernels, on
    RPM systems) are told together.
    """
    old, new = _read(before), _read(after)
    return [
        {"name": name, "before": old.get(name), "after": new.get(name)}
        for name in sorted({*old, *new})
        if old.get(name) != new.get(name)
    ]


def _read(text: str) -> dict[str, str]:
    versions: dict[str, list[str]] = {}
    for line in text.splitlines():
        name, _, version = line.strip().partition(" ")
        if version:
            versions.setdefault(name, []).append(version)
    return {name: ", ".join(sorted(several)) for name, several in versions.items()}

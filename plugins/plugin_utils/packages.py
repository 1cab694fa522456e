# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Compare what packages a host had with what it has, and with what was asked for.

A listing has a line `name version` for each package; *separator* is what parts a name from an architecture in it:
`:` of dpkg, which names it only where it must, `.` of rpm, which always does.
"""

from __future__ import annotations

from fnmatch import fnmatchcase


def package_changes(before: str, after: str) -> list[dict[str, str | None]]:
    """Compare two listings; return `{"name", "before", "after"}` of each package that differs.

    A version is None where the package was not there. Versions of one name that are installed together (kernels, on
    RPM systems) are told together.
    """
    old, new = _read(before), _read(after)
    return [
        {"name": name, "before": _told(old.get(name)), "after": _told(new.get(name))}
        for name in sorted({*old, *new})
        if old.get(name) != new.get(name)
    ]


def package_selection(listing: str, wanted: list[str], hold: list[str], separator: str) -> dict[str, list[str]]:
    """Return which of *wanted* (`name`, or `name=version`) this host is to upgrade, and which packages it holds.

    `wanted` are those that are installed and not held, in their order; `held` are the installed packages that a
    pattern of *hold* (`*` and `?` are wildcards) matches, by name.
    """
    installed = _by_name(listing, separator)
    held = sorted(name for name in installed if any(fnmatchcase(name, pattern) for pattern in hold))
    names = [entry.partition("=")[0] for entry in wanted]
    return {
        "wanted": [entry for entry, name in zip(wanted, names, strict=True) if name in installed and name not in held],
        "held": held,
    }


def unmet_wishes(before: str, after: str, wanted: list[str], hold: list[str], separator: str) -> list[str]:
    """Say of each `name=version` of *wanted* that is installed in other versions only, which these are, and of each
    package that a pattern of *hold* matches, whether it changed nevertheless.

    On RPM systems the version may be told without its release.
    """
    old, new = _by_name(before, separator), _by_name(after, separator)
    unmet = []
    for entry in wanted:
        name, equals, version = entry.partition("=")
        versions = new.get(name, [])
        if equals and versions and not any(_is(each, version) for each in versions):
            unmet.append(f"{name} is {', '.join(versions)}, not {version}")
    held = package_selection(before, [], hold, separator)["held"]
    changed = [(name, ", ".join(old[name]), ", ".join(new.get(name, ["none"]))) for name in held]
    return unmet + [f"{name} was to be held, but {was} became {now}" for name, was, now in changed if was != now]


def _is(installed: str, version: str) -> bool:
    return any(each == version or each.startswith(f"{version}-") for each in (installed, installed.partition(":")[2]))


def _by_name(listing: str, separator: str) -> dict[str, list[str]]:
    """Return the versions of each package by its name without architecture."""
    versions: dict[str, set[str]] = {}
    for qualified, several in _read(listing).items():
        name = qualified.rpartition(separator)[0] or qualified
        versions.setdefault(name, set()).update(each.partition(" ")[0] for each in several)  # dpkg's state left out
    return {name: sorted(several) for name, several in versions.items()}


def _read(listing: str) -> dict[str, list[str]]:
    versions: dict[str, list[str]] = {}
    for line in listing.splitlines():
        name, _, version = line.strip().partition(" ")
        if version:
            versions.setdefault(name, []).append(version)
    return {name: sorted(several) for name, several in versions.items()}


def _told(versions: list[str] | None) -> str | None:
    return None if versions is None else ", ".join(versions)

# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Read what zypper prints with --xmlout; its form: xmlout.rnc of zypper's sources."""

from __future__ import annotations

import re

_LISTS = {"update-list", "to-install", "to-upgrade", "to-downgrade", "to-reinstall"}
_TAG = re.compile(r"<(/?)([a-z-]+)([^>]*)>")
_ATTRIBUTE = re.compile(r'([a-z-]+)="([^"]*)"')


def zypper_updates(text: str) -> list[str]:
    """Return `name old -> new` of each package that zypper would change, or lists as an update.

    Of a package that is new, `old` is left out. Patches are no packages.

    Raises:
        ValueError: this is not zypper's XML, or not all of it.
    """
    if "</stream>" not in text:
        raise ValueError(f"zypper's XML has no end: {text.strip()[-300:] or 'it printed nothing'}")
    found = []
    inside = ""
    for closing, tag, rest in _TAG.findall(text):
        attributes = dict(_ATTRIBUTE.findall(rest))
        if tag in _LISTS:
            inside = "" if closing else tag
        elif inside and "package" in (attributes.get("type"), attributes.get("kind")):
            versions = [attributes[name] for name in ("edition-old", "edition") if name in attributes]
            found.append(f"{attributes.get('name')} {' -> '.join(versions)}")
    return found

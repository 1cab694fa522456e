# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Read a list as modules do: a text is one, too, as surveys and command lines have it."""

from __future__ import annotations

DOCUMENTATION = r"""
name: as_list
short_description: Read a list as modules do
version_added: 0.1.0
author: The Commissaire authors (@commissaire)
description:
  - A text is split at its commas, anything else that is no list is the only part of one.
  - Where a role's variable is a list, Ansible lets such a text pass; without this filter it would be taken letter by
    letter.
options:
  _input:
    description: A list, or what stands for one.
    type: raw
    required: true
"""

EXAMPLES = r"""
- name: Tell two names
  ansible.builtin.debug:
    msg: "{{ 'blue, green' | commissaire.fleet.as_list }}"
"""

RETURN = r"""
_value:
  description: Its parts; those of a text have no blanks at their ends, and are not empty.
  type: list
  elements: raw
"""

from typing import Any


class FilterModule:
    """Ansible's way to find filters."""

    def filters(self) -> dict[str, Any]:
        """Return the filters of this file by name."""
        return {"as_list": as_list}


def as_list(value: Any) -> list[Any]:
    """Return the list that *value* is or stands for."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return list(value) if isinstance(value, (list, tuple)) else [value]

# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Let cloud-init make a user who may log in."""

from __future__ import annotations

DOCUMENTATION = r"""
name: cloud_config
short_description: Let cloud-init make a user who may log in
version_added: 0.1.0
author: The Commissaire authors (@commissaire)
description: Adds a user with keys to a C(#cloud-config).
positional: _input, user, authorized_keys
options:
  _input:
    description: The keys of a C(#cloud-config); what it says itself of users or keys holds.
    type: dict
    required: true
  user:
    description: The user, who gets C(sudo) without a password; empty for the image's own, or C(root).
    type: str
    required: true
  authorized_keys:
    description: The public keys with which that user may log in.
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
- name: Let ann in
  ansible.builtin.debug:
    msg: "{{ {} | commissaire.fleet.cloud_config('ann', ['ssh-ed25519 AAAA ann']) }}"
"""

RETURN = r"""
_value:
  description: The configuration.
  type: dict
"""

from typing import Any


class FilterModule:
    """Ansible's way to find filters."""

    def filters(self) -> dict[str, Any]:
        """Return the filters of this file by name."""
        return {"cloud_config": cloud_config}


def cloud_config(config: dict[str, Any], user: str, authorized_keys: list[str]) -> dict[str, Any]:
    """Return `config` with a user who may log in with `authorized_keys`."""
    if user == "root":
        own: dict[str, Any] = {
            "disable_root": False,
            "users": [{"name": "root", "ssh_authorized_keys": authorized_keys}],
        }
    elif user:
        rights = {"sudo": "ALL=(ALL) NOPASSWD:ALL", "shell": "/bin/bash", "lock_passwd": True}
        own = {"users": ["default", {"name": user, "ssh_authorized_keys": authorized_keys, **rights}]}
    else:
        own = {"ssh_authorized_keys": authorized_keys} if authorized_keys else {}
    return {**own, **config}

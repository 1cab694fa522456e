# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: guest_program
short_description: Put the guest agent's program on a host
version_added: 0.1.0
author: The Commissaire authors (@commissaire)
description:
  - Builds the program of Commissaire's guest agent on the controller, as one file that any Python from 3.8 on runs, and
    copies it to the host.
  - The same collection always builds the same bytes, whoever builds them. A host that has them is left alone.
  - The copy takes the place of the old one only once it has arrived whole, which its checksum tells, and has run with
    the host's own Python.
  - Nothing is started, and nothing is restarted.
options:
  dest:
    description: The file on the host. Its folder must be there.
    type: path
    required: true
  mode:
    description: Its permissions.
    type: raw
    default: "0755"
  owner:
    description: Its owner; by default whoever makes it.
    type: str
    default: ""
  group:
    description: Its group; by default that of whoever makes it.
    type: str
    default: ""
  python:
    description: The Python on the host that is to run it. With an empty one it is not tried.
    type: str
    default: /usr/bin/python3
attributes:
  check_mode:
    description: It tells whether it would change something, and changes nothing.
    support: full
  diff_mode:
    description: It shows versions and checksums.
    support: full
seealso:
  - module: commissaire.fleet.guest_agent_update
    description: Lets an agent that runs replace itself.
"""

EXAMPLES = r"""
- name: Install the program
  commissaire.fleet.guest_program:
    dest: /usr/local/lib/singularity/singularity
    owner: root
    group: root
"""

RETURN = r"""
dest:
  description: The file.
  returned: always
  type: str
version:
  description: The version of the program that was built.
  returned: always
  type: str
sha256:
  description: Its checksum.
  returned: always
  type: str
size:
  description: How many bytes it has.
  returned: always
  type: int
"""

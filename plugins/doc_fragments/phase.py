# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation that our actions share."""

from __future__ import annotations


class ModuleDocFragment:
    """The option by which an action reports progress without a task of its own."""

    DOCUMENTATION = r"""
options:
  phase:
    description:
      - The phase the host enters when this task has succeeded.
      - With it the result carries the key C(checkpoint), as M(commissaire.fleet.checkpoint) returns it.
    type: str
"""

# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Values that others chose, as variables that Ansible does not evaluate as templates."""

from __future__ import annotations

from typing import Any

from ansible.release import __version__

BEFORE_TRUST = tuple(int(part) for part in __version__.split(".")[:2]) < (2, 19)
"""Whether this ansible-core takes any text for a template. Later ones want it marked as one."""
if BEFORE_TRUST:
    from ansible.utils.unsafe_proxy import wrap_var


def untrusted(value: Any) -> Any:
    """Return `value`, with everything in it, as one that is no template."""
    return wrap_var(value) if BEFORE_TRUST else value

# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Read the file in which flannel tells the subnet of a host."""

from __future__ import annotations

DOCUMENTATION = r"""
name: flannel_subnet
short_description: Read the file in which flannel tells the subnet of a host
version_added: 0.1.0
author: The Commissaire authors (@commissaire)
description: Turns the content of C(/run/flannel/subnet.env) into what a network plugin has to know.
options:
  _input:
    description: The file's content.
    type: str
    required: true
"""

EXAMPLES = r"""
subnet: "{{ 'FLANNEL_SUBNET=10.5.72.1/24\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=true' | commissaire.fleet.flannel_subnet }}"
# {"subnet": "10.5.72.0/24", "mtu": 1450, "masquerades": true}
"""

RETURN = r"""
_value:
  description: C(subnet), C(mtu), and whether flannel C(masquerades).
  type: dict
"""

import ipaddress
from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleFilterError


def flannel_subnet(text: str) -> dict[str, Any]:
    """Return {"subnet", "mtu", "masquerades"}. Raise AnsibleFilterError when the file is not flannel's."""
    values = dict(line.strip().split("=", 1) for line in text.splitlines() if "=" in line)
    try:
        subnet = str(ipaddress.ip_interface(values["FLANNEL_SUBNET"]).network)
        return {
            "subnet": subnet,
            "mtu": int(values["FLANNEL_MTU"]),
            "masquerades": values.get("FLANNEL_IPMASQ") == "true",
        }
    except (KeyError, ValueError) as error:
        raise AnsibleFilterError(f"flannel has not told its subnet and MTU, but {text[:200]!r}") from error


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return them by name."""
        return {"flannel_subnet": flannel_subnet}

# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: kubernetes_server
short_description: Ask a Kubernetes API server what a node has to know of it
version_added: 0.1.0
author: The Commissaire authors (@commissaire)
description:
  - Runs on the controller, which needs the Python package C(kubernetes); the host takes no part in it.
extends_documentation_fragment:
  - commissaire.fleet.kubeconfig
options:
  dns:
    description: Whether RV(dns_address) is asked for, which takes the right to read that Service.
    type: bool
    default: false
  timeout_seconds:
    description: For how long a server that is away or busy is asked again.
    type: float
    default: 60
attributes:
  check_mode:
    description: Asks as well.
    support: full
"""

EXAMPLES = r"""
- name: Ask the API server what it is
  commissaire.fleet.kubernetes_server:
    kubeconfig: ~/.kube/config
  register: server
"""

RETURN = r"""
server:
  description: Its URL.
  returned: success
  type: str
version:
  description: Its version, as v1.35.4.
  returned: success
  type: str
certificate_authority:
  description: Who signed its certificate, as PEM; empty where the kubeconfig names nobody.
  returned: success
  type: str
dns_address:
  description: The address of the Service C(kube-dns) in C(kube-system), empty when there is none, or without O(dns).
  returned: success
  type: str
"""

# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: node_certificate
short_description: Get a host the certificate by which it is its node of a Kubernetes cluster
version_added: 0.1.0
author: The Commissaire authors (@commissaire)
description:
  - The host makes a key, which never leaves it, and a certificate signing request. When that asks for the certificate
    of the node O(name) and for nothing else, it is put before the API server, approved, and the certificate installed
    where the kubelet looks for it, which renews it from then on.
  - A host that has a certificate of this node, valid for another day, keeps it.
  - The credentials must be allowed to create and approve certificate signing requests for the signer
    C(kubernetes.io/kube-apiserver-client-kubelet).
  - The host needs C(openssl); the controller the Python packages C(kubernetes) and C(cryptography).
extends_documentation_fragment:
  - commissaire.fleet.kubeconfig
options:
  state:
    description: With V(absent) the certificate and its key are removed from the host.
    type: str
    choices: [present, absent]
    default: present
  name:
    description: The node's name.
    type: str
    required: true
  folder:
    description: Where the kubelet keeps its certificates.
    type: path
    default: /var/lib/kubelet/pki
  may_exist:
    description:
      - Whether the host may become a node that is there already. A host chooses its own host name, so only who knows
        that it is that node may say so.
    type: bool
    default: false
  expiration_seconds:
    description: How long the certificate is to be valid, 600 at least; the cluster decides when nothing is given.
    type: int
  timeout_seconds:
    description: How long the API server may take to sign it.
    type: float
    default: 60
attributes:
  check_mode:
    description: Tells whether the host has a certificate; makes nothing.
    support: full
"""

EXAMPLES = r"""
- name: Get the certificate of this node
  commissaire.fleet.node_certificate:
    kubeconfig: ~/.kube/config
    name: web7
"""

RETURN = r"""
changed:
  description: Whether the host got a certificate, or would get one.
  returned: always
  type: bool
"""

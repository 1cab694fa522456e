# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: node
short_description: Take a host's node out of a Kubernetes cluster's service, and back
version_added: 0.1.0
author: The Commissaire authors (@commissaire)
description:
  - Cordons and drains the node that a host is, waits until it is Ready, uncordons it, or deletes it.
  - Runs on the controller, which needs the Python package C(kubernetes). The host is only asked which machine it is.
  - While the API server is away or busy it is asked again, as long as O(timeout_seconds) allows.
  - A node that is another machine than the host, by its machine id, is left alone.
extends_documentation_fragment:
  - commissaire.fleet.kubeconfig
  - commissaire.fleet.phase
options:
  state:
    description:
      - V(drained) cordons the node and evicts its pods by the Eviction API, so that no PodDisruptionBudget is violated,
        and waits until they have ended. Pods of DaemonSets, static ones and those that have ended are left. Of the
        nodes with the role C(control-plane) or C(master) all others must be in service before.
      - V(found) only looks which node the host is; with none RV(node) is empty, and the task succeeds.
      - V(ready) waits until the node is Ready, by what its kubelet told since the host's present boot.
      - V(uncordoned) takes back the cordon of the same O(token), and no other.
      - V(absent) deletes the Node object. With O(name) the host is not asked.
    type: str
    choices: [found, drained, ready, uncordoned, absent]
    required: true
  name:
    description:
      - The node's name. Without it the node is looked for by the inventory's name for the host, its own host name, and
        its address.
    type: str
    default: ""
  token:
    description:
      - The token of the lease on the host. A cordon is its holder's. One that an earlier holder left becomes that of
        this one; one of somebody else stays theirs.
    type: int
    default: 0
  operation_id:
    description: The operation for which the node is cordoned, for people.
    type: str
    default: ""
  owner:
    description: Who cordons it, for people.
    type: str
    default: ""
  timeout_seconds:
    description: How long it may take.
    type: float
    default: 600
  grace_period_seconds:
    description: How long pods may take to end; -1 for what each of them says.
    type: int
    default: -1
  delete_emptydir_data:
    description: Whether pods are evicted that lose an C(emptyDir) volume. Without it they fail the task.
    type: bool
    default: false
  force:
    description: Whether pods are evicted that belong to no controller. Without it they fail the task.
    type: bool
    default: false
  labels:
    description: Labels that the node gets when it is Ready, with O(state=ready).
    type: dict
    default: {}
  kubelet_version:
    description: Of which version its kubelet must be, as C(1.35) or C(1.35.4), with O(state=ready).
    type: str
    default: ""
attributes:
  check_mode:
    description: Tells what would be done, and whether the pods could be evicted; waits for nothing.
    support: full
seealso:
  - module: kubernetes.core.k8s_drain
"""

EXAMPLES = r"""
- name: Drain the node
  commissaire.fleet.node:
    state: drained
    kubeconfig: ~/.kube/config
    timeout_seconds: 900
"""

RETURN = r"""
node:
  description: The node's name.
  returned: when it was found, or given
  type: str
cordoned:
  description: Whether the cordon is ours to take back; it is not when somebody else had cordoned the node before.
  returned: when O(state=drained)
  type: bool
left_over:
  description: Whether an earlier run had left the node cordoned, as one does whose work failed on the host.
  returned: when O(state=drained)
  type: bool
evicted:
  description: The pods that were evicted, or would be, as namespace/name.
  returned: when O(state=drained)
  type: list
  elements: str
kubelet_version:
  description: The version of its kubelet.
  returned: when O(state=ready)
  type: str
msg:
  description: What was done; when it failed why, with the pods that are left and what keeps them.
  returned: always
  type: str
checkpoint:
  description: As M(commissaire.fleet.checkpoint) returns it.
  returned: when O(phase) is given
  type: dict
"""

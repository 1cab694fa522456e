# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Take a host's node out of a Kubernetes cluster's service, and back; documented in plugins/modules/node.py."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.commissaire.fleet.plugins.plugin_utils import processes
from ansible_collections.commissaire.fleet.plugins.plugin_utils.cluster_node import (
    ClusterNode,
    DrainOptions,
    NodeError,
)
from ansible_collections.commissaire.fleet.plugins.plugin_utils.drain import tell_left
from ansible_collections.commissaire.fleet.plugins.plugin_utils.kubernetes_client import (
    KubernetesClient,
    KubernetesError,
    patiently,
)
from ansible_collections.commissaire.fleet.plugins.plugin_utils.machine import CommandError, Machine, NoContactError
from ansible_collections.commissaire.fleet.plugins.plugin_utils.node import (
    Holder,
    find_row,
    is_other_machine,
    kubelet_version,
    plan_uncordon,
)
from ansible_collections.commissaire.fleet.plugins.plugin_utils.progress import checkpoint

if TYPE_CHECKING:
    from ansible_collections.commissaire.fleet.plugins.plugin_utils.machine import Answer

display = Display()

ARGUMENTS = {
    "state": {"type": "str", "choices": ["found", "drained", "ready", "uncordoned", "absent"], "required": True},
    "kubeconfig": {"type": "path", "required": True},
    "context": {"type": "str", "default": ""},
    "name": {"type": "str", "default": ""},
    "token": {"type": "int", "default": 0},
    "operation_id": {"type": "str", "default": ""},
    "owner": {"type": "str", "default": ""},
    "timeout_seconds": {"type": "float", "default": 600},
    "grace_period_seconds": {"type": "int", "default": -1},
    "delete_emptydir_data": {"type": "bool", "default": False},
    "force": {"type": "bool", "default": False},
    "labels": {"type": "dict", "default": {}},
    "kubelet_version": {"type": "str", "default": ""},
    "phase": {"type": "str"},
}
IDENTITY = """
printf 'boot_id=%s\\n' "$(cat /proc/sys/kernel/random/boot_id)"
printf 'machine_id=%s\\n' "$(cat /etc/machine-id)"
printf 'hostname=%s\\n' "$(uname -n)"
"""
CONTACT_SECONDS = 30.0
POLL_SECONDS = 1.0


class NoNodeError(Exception):
    """The host is no node of the cluster."""


class ActionModule(ActionBase):
    """Find the node that the host is, then bring it into the state."""

    TRANSFERS_FILES = False

    def run(self, tmp: None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return what the module's documentation promises; every trouble is a failure, never `unreachable`."""
        super().run(tmp, task_vars)
        _result, arguments = self.validate_argument_spec(ARGUMENTS)
        self._host = (task_vars or {}).get("inventory_hostname", "the host")
        self._main = processes.main_process()
        self._said = ""
        result: dict[str, Any] = {"changed": False, "node": arguments["name"]}
        if arguments["phase"]:
            result["checkpoint"] = checkpoint(arguments["phase"])
        try:
            client = KubernetesClient(arguments["kubeconfig"], arguments["context"])
            if arguments["state"] == "absent" and arguments["name"]:
                node, identity = ClusterNode(client, arguments["name"], arguments["timeout_seconds"], self._wait), None
            else:
                node, identity = self._wait_for_node(client, arguments)
            result["node"] = node.name
            if arguments["state"] != "found":
                getattr(self, f"_{arguments['state']}")(node, identity, arguments, result)
        except NoNodeError as error:
            result.update(failed=arguments["state"] != "found", node="", msg=f"{self._host}: {error}")
        except (NodeError, KubernetesError) as error:
            result.update(failed=True, msg=f"{self._host}: {error}")
        except ImportError as error:
            raise AnsibleActionFail(
                f"a kubeconfig needs the Python package kubernetes on the controller: {error}"
            ) from error
        return result

    def _drained(self, node: ClusterNode, _identity: Answer, arguments: dict[str, Any], result: dict[str, Any]) -> None:
        seconds = arguments["grace_period_seconds"]
        options = DrainOptions(seconds if seconds >= 0 else None, arguments["delete_emptydir_data"], arguments["force"])
        result.update(cordoned=False, left_over=False, evicted=[])
        if self._task.check_mode:
            plan = node.plan(options)
            if plan.refused:
                raise NodeError(f"node {node.name} could not be drained: {tell_left(plan, {})}")
            result["evicted"] = [str(pod) for pod in plan.evict]
            result["changed"] = True
            result["msg"] = f"node {node.name} would be drained of {len(plan.evict)} pods"
            return
        result["cordoned"] = True  # from here on it may be so; to take back what is not there does no harm
        alone = any(row.is_control_plane and row.name == node.name for row in self._rows)
        cordon = (node.cordon_alone if alone else node.cordon)(_holder(arguments))
        result.update(cordoned=cordon.ours, left_over=cordon.left_over, changed=cordon.changed)
        try:
            node.drain(options)
        finally:
            result["evicted"] = node.evicted
            result["changed"] |= bool(node.evicted)
        result["msg"] = f"node {node.name} is drained of {len(node.evicted)} pods"

    def _ready(self, node: ClusterNode, identity: Answer, arguments: dict[str, Any], result: dict[str, Any]) -> None:
        found = node.wait_until_ready(identity["boot_id"], arguments["kubelet_version"])
        result["kubelet_version"] = kubelet_version(found)
        labels = {str(name): str(value) for name, value in arguments["labels"].items()}
        result["changed"] = bool(labels) and node.label(labels)
        result["msg"] = f"node {node.name} is Ready"

    def _uncordoned(
        self, node: ClusterNode, _identity: Answer, arguments: dict[str, Any], result: dict[str, Any]
    ) -> None:
        holder = _holder(arguments)
        if self._task.check_mode:
            result["changed"] = plan_uncordon(node.read(), holder) is not None
        else:
            result["changed"] = node.uncordon(holder)
        result["msg"] = f"node {node.name} {'is uncordoned' if result['changed'] else 'stays as it is'}"

    def _absent(
        self, node: ClusterNode, _identity: Answer | None, arguments: dict[str, Any], result: dict[str, Any]
    ) -> None:
        result["changed"] = True if self._task.check_mode else node.delete()
        result["msg"] = f"node {node.name} is deleted" if result["changed"] else f"there is no node {node.name}"

    def _wait_for_node(self, client: KubernetesClient, arguments: dict[str, Any]) -> tuple[ClusterNode, Answer]:
        """Find the node; one that is to be Ready may be about to register."""
        deadline = time.monotonic() + arguments["timeout_seconds"]
        while True:
            try:
                return self._identify(client, arguments)
            except NoNodeError as error:
                if arguments["state"] != "ready" or time.monotonic() > deadline:
                    raise
                self._wait(str(error), POLL_SECONDS)

    def _identify(self, client: KubernetesClient, arguments: dict[str, Any]) -> tuple[ClusterNode, Answer]:
        """Find the node by the name that is told, or else by the host's names and address."""
        told, seconds = arguments["name"], arguments["timeout_seconds"]
        address = str(self._play_context.remote_addr or self._host)
        try:
            identity = Machine(self).ask(IDENTITY, CONTACT_SECONDS)
        except (NoContactError, CommandError) as error:
            raise NodeError(f"can't be asked which machine it is: {error}") from error
        self._rows = patiently(client.nodes, seconds, self._wait)
        names = [told] if told else [self._host, identity["hostname"], identity["hostname"].lower()]
        row = find_row(self._rows, names, "" if told else address)
        if row is None:
            looked = f"called {told}" if told else f"called {' or '.join(dict.fromkeys(names))}, or at {address}"
            raise NoNodeError(
                f"{client.server} has no node {looked}; give its name in node_name, or let the host join the cluster"
            )
        node = ClusterNode(client, row.name, seconds, self._wait)
        if other := is_other_machine(node.read(), identity["machine_id"]):
            raise NodeError(
                f"node {row.name} is another machine, with the machine id {other}, not {identity['machine_id']}; "
                "give the name of this host's own in node_name"
            )
        return node, identity

    def _wait(self, why: str, seconds: float) -> None:
        """Tell a reader why nothing happens, once a reason, and wait; but not for a play that has ended."""
        if why != self._said:
            self._said = why
            display.display(f"{self._host} {why}")
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if os.getppid() != self._main:
                raise AnsibleActionFail("ansible-playbook ended while this host's node was waited for")
            time.sleep(min(left, 1.0))


def _holder(arguments: dict[str, Any]) -> Holder:
    return Holder(arguments["token"], arguments["operation_id"], arguments["owner"])

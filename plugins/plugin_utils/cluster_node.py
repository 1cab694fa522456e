# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A node of a Kubernetes cluster: taken out of service and back, with patience for a server that is away or busy."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from ansible_collections.commissaire.fleet.plugins.plugin_utils.drain import plan_drain, tell_left
from ansible_collections.commissaire.fleet.plugins.plugin_utils.kubernetes_client import (
    BudgetError,
    ConflictError,
    MissingError,
    UnavailableError,
    patiently,
)
from ansible_collections.commissaire.fleet.plugins.plugin_utils.node import (
    LostError,
    cordoned_by,
    is_left_over,
    not_ready,
    plan_cordon,
    plan_uncordon,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from ansible_collections.commissaire.fleet.plugins.plugin_utils.drain import DrainPlan, Pod
    from ansible_collections.commissaire.fleet.plugins.plugin_utils.kubernetes_client import KubernetesClient
    from ansible_collections.commissaire.fleet.plugins.plugin_utils.node import Holder

T = TypeVar("T")
POLL_SECONDS = 1.0
ASK_AGAIN_SECONDS = 5.0
"""After so long a pod is asked for again that a disruption budget kept, as kubectl does."""


class NodeError(Exception):
    """The node did not become what it was to be; the message says why."""


@dataclass(frozen=True)
class DrainOptions:
    """How pods are made to leave. Without `grace_period_seconds` each has its own."""

    grace_period_seconds: int | None = None
    delete_emptydir_data: bool = False
    force: bool = False


@dataclass(frozen=True)
class Cordon:
    """Whether a cordon is `ours` to take back, and whether an earlier run had left it, because the node was not fit."""

    ours: bool
    changed: bool
    left_over: bool


@dataclass
class ClusterNode:
    """The node `name`; all that is done with it ends within `timeout_seconds`.

    `wait` is told why nothing happens, and waits so many seconds; `evicted` are the pods that were made to leave.
    """

    client: KubernetesClient
    name: str
    timeout_seconds: float
    wait: Callable[[str, float], None]
    evicted: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._deadline = time.monotonic() + self.timeout_seconds

    def read(self) -> dict[str, Any]:
        """Return the Node object."""
        return self._patiently(lambda: self.client.node(self.name))

    def cordon(self, holder: Holder) -> Cordon:
        """Let no more pods come."""
        while True:
            node = self.read()
            try:
                patch, ours = plan_cordon(node, holder)
            except LostError as error:
                raise NodeError(f"node {self.name} is left alone: {error}") from error
            if patch is None or self._changes(patch):
                return Cordon(ours, changed=patch is not None, left_over=is_left_over(node, holder))

    def cordon_alone(self, holder: Holder) -> Cordon:
        """Let no more pods come to a node of the control plane, of which no other may be away meanwhile."""
        while True:
            self.wait_for_control_plane()
            cordon = self.cordon(holder)
            if not self._others_away() or not cordon.changed or cordon.left_over:
                return cordon
            self.uncordon(holder)  # another one was cordoned at the same moment: both step back
            pause = random.uniform(POLL_SECONDS, 5 * POLL_SECONDS)  # noqa: S311  no secret
            self.wait("waits for its turn among the nodes of the control plane", pause)

    def uncordon(self, holder: Holder) -> bool:
        """Take back what `holder` did; return whether there was anything to take back.

        Raise NodeError when the node is cordoned for another run of ours.
        """
        while True:
            node = self.read()
            patch = plan_uncordon(node, holder)
            if patch is None and (other := cordoned_by(node)):
                raise NodeError(
                    f"node {self.name} stays cordoned, for another run: {other.owner or other.operation_id}"
                )
            if patch is None or self._changes(patch):
                return patch is not None

    def plan(self, options: DrainOptions) -> DrainPlan:
        """Return which pods would have to leave."""
        pods = self._patiently(lambda: self.client.pods_on(self.name))
        return plan_drain(pods, delete_emptydir_data=options.delete_emptydir_data, force=options.force)

    def drain(self, options: DrainOptions) -> None:
        """Evict the pods, and wait until they have ended.

        Raise NodeError when there are some that may not be evicted, or the time is up; it names them, and what keeps
        them.
        """
        blocked: dict[str, str] = {}
        again: dict[str, float] = {}
        while True:
            plan = self.plan(options)
            if plan.done:
                return
            if plan.refused:
                raise NodeError(f"node {self.name} can't be drained: {tell_left(plan, blocked)}")
            for pod in plan.evict:
                if time.monotonic() >= again.get(pod.uid, 0):
                    again[pod.uid] = time.monotonic() + ASK_AGAIN_SECONDS
                    self._evict(pod, options, blocked)
            left = tell_left(plan, blocked)
            if time.monotonic() > self._deadline:
                raise NodeError(f"node {self.name} is not drained after {self.timeout_seconds:g} s: {left}")
            self.wait(f"waits for pods to leave node {self.name}: {left}", POLL_SECONDS)

    def wait_until_ready(self, boot_id: str, version: str = "") -> dict[str, Any]:
        """Wait until the node is Ready, by what its kubelet told since the boot with that id; return it.

        With a `version` the kubelet must be of that one.
        """
        while why := not_ready(node := self.read(), boot_id, version):
            if time.monotonic() > self._deadline:
                raise NodeError(f"node {self.name} is not Ready after {self.timeout_seconds:g} s: {why}")
            self.wait(f"waits for node {self.name}: {why}", POLL_SECONDS)
        return node

    def wait_for_control_plane(self) -> None:
        """Wait until all other nodes of the control plane serve: it bears the loss of one, whatever is asked for."""
        while True:
            away = self._others_away()
            if not away:
                return
            why = f"{', '.join(away)} of the control plane is not in service, and only one node of it may be away"
            if time.monotonic() > self._deadline:
                raise NodeError(f"node {self.name} was not cordoned: after {self.timeout_seconds:g} s, {why}")
            self.wait(f"waits: {why}", POLL_SECONDS)

    def label(self, labels: dict[str, str]) -> bool:
        """Give the node labels; return whether it had not all of them."""
        has = self.read()["metadata"].get("labels") or {}
        if has.items() >= labels.items():
            return False
        self._patiently(lambda: self.client.patch_node(self.name, {"metadata": {"labels": labels}}))
        return True

    def delete(self) -> bool:
        """Delete the Node object; return whether there was one."""
        try:
            node = self.read()
            self._patiently(lambda: self.client.delete_node(self.name, node["metadata"]["uid"]))
        except MissingError:
            return False
        return True

    def _others_away(self) -> list[str]:
        rows = self._patiently(self.client.nodes)
        others = [row for row in rows if row.is_control_plane and row.name != self.name]
        return [row.name for row in others if not (row.ready and row.schedulable)]

    def _evict(self, pod: Pod, options: DrainOptions, blocked: dict[str, str]) -> None:
        try:
            self.client.evict(pod, options.grace_period_seconds)
        except MissingError:
            return
        except (BudgetError, UnavailableError) as error:
            blocked[pod.uid] = str(error)
            return
        except ConflictError:  # another pod of this name by now
            return
        blocked.pop(pod.uid, None)
        self.evicted.append(str(pod))

    def _changes(self, patch: dict[str, Any]) -> bool:
        try:
            self._patiently(lambda: self.client.patch_node(self.name, patch))
        except ConflictError:
            return False
        return True

    def _patiently(self, ask: Callable[[], T]) -> T:
        return patiently(ask, max(0.0, self._deadline - time.monotonic()), self.wait)

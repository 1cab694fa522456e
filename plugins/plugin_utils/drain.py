# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Decide which pods have to leave a node before it goes out of service, without any I/O.

Pods that the node itself would start again are left: those of a DaemonSet, and static ones, which the API only mirrors
(https://kubernetes.io/docs/tasks/administer-cluster/safely-drain-node/). So are those that have ended.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ansible_collections.commissaire.fleet.plugins.plugin_utils.place import SHOWN_HOSTS

MIRROR = "kubernetes.io/config.mirror"
ENDED = ("Succeeded", "Failed")


@dataclass(frozen=True)
class Pod:
    """A pod, and this very one of its name."""

    namespace: str
    name: str
    uid: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True)
class DrainPlan:
    """Pods to `evict`, pods that are `leaving` already, and for those that may not be evicted why."""

    evict: tuple[Pod, ...] = ()
    leaving: tuple[Pod, ...] = ()
    refused: tuple[str, ...] = ()

    @property
    def done(self) -> bool:
        """Whether nothing is left to wait for."""
        return not (self.evict or self.leaving or self.refused)


def plan_drain(pods: list[dict[str, Any]], *, delete_emptydir_data: bool, force: bool) -> DrainPlan:
    """Sort the pods of a node, as the API shows them.

    `delete_emptydir_data` allows to lose what lies in emptyDir volumes, `force` to lose pods that nobody makes again.
    """
    evict, leaving, refused = [], [], []
    for item in pods:
        metadata = item["metadata"]
        pod = Pod(metadata["namespace"], metadata["name"], metadata["uid"])
        owner = _controller(metadata)
        if MIRROR in (metadata.get("annotations") or {}) or owner == "DaemonSet":
            continue
        if (item.get("status") or {}).get("phase") in ENDED:
            continue
        if metadata.get("deletionTimestamp"):
            leaving.append(pod)
        elif not owner and not force:
            refused.append(f"{pod} belongs to no controller, so nobody would make it again (drain_force allows it)")
        elif _has_emptydir(item) and not delete_emptydir_data:
            refused.append(f"{pod} would lose an emptyDir volume (drain_delete_emptydir_data allows it)")
        else:
            evict.append(pod)
    return DrainPlan(tuple(evict), tuple(leaving), tuple(refused))


def tell_left(plan: DrainPlan, blocked: dict[str, str]) -> str:
    """Say what is still on the node, and what keeps it there: `blocked` has the API's words by the pods' uid."""
    words = [f"{pod} ({blocked[pod.uid]})" if pod.uid in blocked else str(pod) for pod in plan.evict]
    words += [f"{pod} (does not end)" for pod in plan.leaving]
    words += plan.refused
    more = f" and {len(words) - SHOWN_HOSTS} more" if len(words) > SHOWN_HOSTS else ""
    return ", ".join(words[:SHOWN_HOSTS]) + more


def _controller(metadata: dict[str, Any]) -> str:
    owners = metadata.get("ownerReferences") or []
    return next((owner["kind"] for owner in owners if owner.get("controller")), "")


def _has_emptydir(pod: dict[str, Any]) -> bool:
    return any("emptyDir" in volume for volume in pod["spec"].get("volumes") or [])

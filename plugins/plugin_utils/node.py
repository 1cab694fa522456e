# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a Node object tells, and how it is changed to cordon and uncordon it, without any I/O."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ansible_collections.commissaire.fleet.plugins.plugin_utils.kubernetes_client import NodeRow

CORDONED = "commissaire.fleet/cordoned"
"""The annotation of a node that we cordoned: it says who did, and tells it from one that somebody else cordoned."""
MANAGER = "commissaire.fleet"
"""As what the API server knows us: who set a field is in an object's managedFields."""


class LostError(Exception):
    """A later holder of the host's lease has cordoned its node: this run is not to touch it any more."""


@dataclass(frozen=True)
class Holder:
    """Who works on a host: the token of its lease, the operation's id if it has one, and a name for people."""

    token: int
    operation_id: str = ""
    owner: str = ""


def find_row(rows: Iterable[NodeRow], names: Sequence[str], address: str) -> NodeRow | None:
    """Return the node of one of these names, else the one at `address`; None when there is none."""
    known = list(rows)
    by_name = {row.name: row for row in known}
    for name in names:
        if name in by_name:
            return by_name[name]
    return next((row for row in known if address and row.address == address), None)


def cordoned_by(node: dict[str, Any]) -> Holder | None:
    """Return who of us cordoned a node; None when it is not cordoned, or somebody else did."""
    text = (node["metadata"].get("annotations") or {}).get(CORDONED)
    if not text or not is_cordoned(node):
        return None
    owners = {
        entry.get("manager")
        for entry in node["metadata"].get("managedFields") or []
        if "f:unschedulable" in ((entry.get("fieldsV1") or {}).get("f:spec") or {})
    }
    if owners and MANAGER not in owners:  # the annotation is left over: somebody took our cordon back, and made theirs
        return None
    try:
        told = json.loads(text)
        return Holder(int(told["token"]), str(told["operation_id"]), str(told["owner"]))
    except (ValueError, KeyError, TypeError):
        return Holder(0, "", "somebody who wrote what can't be read")


def is_cordoned(node: dict[str, Any]) -> bool:
    """Return whether no pods are to come to a node."""
    return bool(node["spec"].get("unschedulable"))


def is_left_over(node: dict[str, Any], holder: Holder) -> bool:
    """Return whether a node is cordoned since another operation than that of `holder`, which left it so."""
    before = cordoned_by(node)
    return before is not None and before != holder and before.operation_id != (holder.operation_id or None)


def plan_cordon(node: dict[str, Any], holder: Holder) -> tuple[dict[str, Any] | None, bool]:
    """Return the patch that cordons a node for `holder`, and whether the cordon is ours to take back.

    A cordon of ours that is left over from another run becomes that of `holder`, who has the lease on the host; one of
    somebody else stays theirs. Raise LostError when it is that of a later holder of the lease.
    """
    if is_cordoned(node):
        before = cordoned_by(node)
        if before is None:
            return None, False
        if before == holder:
            return None, True
        if before.token > holder.token:
            raise LostError(f"it is cordoned for {before.owner or 'somebody'}, who holds the host's lease since")
    return _patch(node, json.dumps(asdict(holder)), unschedulable=True), True


def plan_uncordon(node: dict[str, Any], holder: Holder) -> dict[str, Any] | None:
    """Return the patch that takes back what `holder` did; None when the cordon is not theirs (any more)."""
    before = cordoned_by(node)
    if before is None or before.token != holder.token:
        return None
    return _patch(node, None, unschedulable=False)


def not_ready(node: dict[str, Any], boot_id: str, version: str = "") -> str:
    """Say why a node is not ready since the boot with that id; "" when it is. Without an id any boot will do.

    With a `version`, such as 1.35 or 1.35.4, its kubelet must be of that one.
    """
    status = node.get("status") or {}
    info = status.get("nodeInfo") or {}
    told = info.get("bootID", "")
    if boot_id and told != boot_id:
        return f"its kubelet has not reported since the host booted (it told of boot {told or 'none'})"
    if version and not f"{kubelet_version(node)}.".startswith(f"{version}."):
        return f"its kubelet is {kubelet_version(node) or 'of no version'}, not {version}"
    ready = next((one for one in status.get("conditions") or [] if one["type"] == "Ready"), None)
    if ready is None:
        return "its kubelet has told nothing yet"
    if ready["status"] == "True":
        return ""
    return f"{ready.get('reason') or 'NotReady'}: {ready.get('message') or 'no reason given'}"


def kubelet_version(node: dict[str, Any]) -> str:
    """Return the version of a node's kubelet, as 1.35.4; "" before it has told."""
    info = (node.get("status") or {}).get("nodeInfo") or {}
    return str(info.get("kubeletVersion", "")).removeprefix("v")


def is_other_machine(node: dict[str, Any], machine_id: str) -> str:
    """Return the machine id of the machine that a node is, where it is not this one's; "" otherwise."""
    told = ((node.get("status") or {}).get("nodeInfo") or {}).get("machineID", "")
    return told if told and told != machine_id else ""


def _patch(node: dict[str, Any], annotation: str | None, *, unschedulable: bool) -> dict[str, Any]:
    return {
        "metadata": {
            "resourceVersion": node["metadata"]["resourceVersion"],  # else it is refused: it has changed
            "annotations": {CORDONED: annotation},
        },
        "spec": {"unschedulable": unschedulable},
    }

"""REST v1: snapshots of machines."""

from __future__ import annotations

from fastapi import APIRouter

from commissaire.auth.role import Role
from commissaire.machines.snapshot import create_snapshot, delete_snapshot, list_snapshots, revert
from commissaire.problems import responses
from commissaire.routes.machine_access import with_domain
from commissaire.routes.v1.machine_bodies import SnapshotList, SnapshotShown, SnapshotWanted
from commissaire.services import Parts

router = APIRouter(prefix="/api/v1/machines/{hypervisor}/{name}/snapshots", tags=["machines"])
_OPERATOR = {"x-role": Role.OPERATOR}
_SECONDS = 300.0
"""The memory of a machine that runs is written, or read, meanwhile."""
_PROBLEMS = responses(400, 404, 409, 502)


@router.get("", responses=_PROBLEMS)
def list_all(hypervisor: str, name: str, parts: Parts) -> SnapshotList:
    """Return a machine's snapshots, the oldest first."""
    found = with_domain(parts, hypervisor, name, list_snapshots)
    return SnapshotList(items=[SnapshotShown.of(snapshot) for snapshot in found])


@router.post("", status_code=201, openapi_extra=_OPERATOR, responses=_PROBLEMS)
def create(hypervisor: str, name: str, body: SnapshotWanted, parts: Parts) -> SnapshotShown:
    """Take a snapshot of a machine's disks, and of its memory when it runs."""
    return SnapshotShown.of(
        with_domain(
            parts,
            hypervisor,
            name,
            lambda domain: create_snapshot(domain, body.name, body.description),
            seconds=_SECONDS,
            rests=False,
        )
    )


@router.post("/{snapshot}/revert", status_code=204, openapi_extra=_OPERATOR, responses=_PROBLEMS)
def revert_to(hypervisor: str, name: str, snapshot: str, parts: Parts) -> None:
    """Bring a machine back into the state of a snapshot. What came after it is lost."""
    with_domain(parts, hypervisor, name, lambda domain: revert(domain, snapshot), seconds=_SECONDS, rests=False)


@router.delete("/{snapshot}", status_code=204, openapi_extra=_OPERATOR, responses=_PROBLEMS)
def delete(hypervisor: str, name: str, snapshot: str, parts: Parts) -> None:
    """Delete a snapshot. Those taken after it stay."""
    with_domain(
        parts, hypervisor, name, lambda domain: delete_snapshot(domain, snapshot), seconds=_SECONDS, rests=False
    )

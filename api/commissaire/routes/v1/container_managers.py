"""REST v1: what trying a container manager shows."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel, Field

from commissaire.fleet.addresses import check_name
from commissaire.fleet.container_managers import get_container_manager, revealed_options
from commissaire.managers.finding import Finding, examine
from commissaire.problems import responses
from commissaire.records import ContainerManagerType
from commissaire.services import Parts

router = APIRouter(prefix="/api/v1/container-managers", tags=["container managers"])


class FindingShown(BaseModel):
    """What was found just now."""

    reachable: bool = Field(description="Whether it answered, and took the credentials.")
    error: str = Field(description="Why it can't be used; empty when it can.")
    version: str = Field(description="Its version, as v1.35.4; empty when it did not tell.")
    missing: dict[str, list[str]] = Field(
        description="Of our functions those that the credentials don't suffice for, with the rights that each lacks."
    )


@router.get("/{name}/finding", responses=responses(404))
def find(name: str, parts: Parts) -> FindingShown:
    """Try a container manager now: whether it answers, its version, and what its credentials may not do."""
    with parts.database.read() as session:
        manager = get_container_manager(session, check_name(name))
        trivial = manager.type == ContainerManagerType.TRIVIAL
        options = {} if trivial else revealed_options(session, parts.secrets, manager)
    finding = Finding(True) if trivial else examine(options)
    return FindingShown(
        reachable=finding.reachable, error=finding.error, version=finding.version, missing=finding.missing
    )

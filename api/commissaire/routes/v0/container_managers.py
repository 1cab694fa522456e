"""REST v0: container managers."""

from __future__ import annotations

from fastapi import APIRouter

from commissaire.fleet import container_managers
from commissaire.fleet.addresses import check_name
from commissaire.problems import responses
from commissaire.routes.v0.bodies import ContainerManagerShown, ContainerManagerWanted, check_repeated
from commissaire.routes.v0.json_route import JsonRoute
from commissaire.services import Parts

router = APIRouter(prefix="/api/v0", tags=["container managers"], route_class=JsonRoute)


@router.get("/containermanagers")
def list_container_managers(parts: Parts) -> list[str]:
    """Return all container managers' names."""
    with parts.database.read() as session:
        return container_managers.list_names(session)


@router.get("/containermanager/{name}", responses=responses(404))
def get_container_manager(name: str, parts: Parts) -> ContainerManagerShown:
    """Return a container manager, its secrets masked."""
    with parts.database.read() as session:
        return ContainerManagerShown.of(container_managers.get_container_manager(session, check_name(name)))


@router.put("/containermanager/{name}", status_code=201, responses=responses(400, 404, 409))
def put_container_manager(name: str, parts: Parts, body: ContainerManagerWanted | None = None) -> ContainerManagerShown:
    """Create a container manager. The same again changes nothing; another type or other options are refused."""
    wanted = body or ContainerManagerWanted()
    check_repeated("name", wanted.name, name)
    with parts.database.write() as session:
        manager = container_managers.put_container_manager(
            session, parts.secrets, check_name(name), wanted.type, wanted.options
        )
        return ContainerManagerShown.of(manager)


@router.delete("/containermanager/{name}", responses=responses(400, 404, 409))
def delete_container_manager(name: str, parts: Parts) -> list[str]:
    """Delete a container manager and its secrets; also right when there is none."""
    with parts.database.write() as session:
        container_managers.delete_container_manager(session, parts.secrets, check_name(name))
    return []

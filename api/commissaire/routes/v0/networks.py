"""REST v0: networks."""

from __future__ import annotations

from fastapi import APIRouter

from commissaire.fleet import networks
from commissaire.fleet.addresses import check_name
from commissaire.problems import responses
from commissaire.routes.v0.bodies import NetworkShown, NetworkWanted, check_repeated
from commissaire.routes.v0.json_route import JsonRoute
from commissaire.services import Parts

router = APIRouter(prefix="/api/v0", tags=["networks"], route_class=JsonRoute)


@router.get("/networks")
def list_networks(parts: Parts) -> list[str]:
    """Return all networks' names."""
    with parts.database.read() as session:
        return networks.list_names(session)


@router.get("/network/{name}", responses=responses(404))
def get_network(name: str, parts: Parts) -> NetworkShown:
    """Return a network."""
    with parts.database.read() as session:
        return NetworkShown.of(networks.get_network(session, check_name(name)))


@router.put("/network/{name}", status_code=201, responses=responses(400, 404, 409))
def put_network(name: str, parts: Parts, body: NetworkWanted | None = None) -> NetworkShown:
    """Create a network. The same again changes nothing; another type or other options are refused."""
    wanted = body or NetworkWanted()
    check_repeated("name", wanted.name, name)
    with parts.database.write() as session:
        return NetworkShown.of(networks.put_network(session, check_name(name), wanted.type, wanted.options))


@router.delete("/network/{name}", responses=responses(400, 404, 409))
def delete_network(name: str, parts: Parts) -> list[str]:
    """Delete a network; also right when there is none."""
    with parts.database.write() as session:
        networks.delete_network(session, check_name(name))
    return []

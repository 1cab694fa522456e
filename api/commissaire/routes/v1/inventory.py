"""REST v1: the fleet as an Ansible inventory."""

from __future__ import annotations

import hashlib
from typing import Annotated, Any

from fastapi import APIRouter, Header, Response

from commissaire.fleet.inventory import inventory
from commissaire.services import Parts

router = APIRouter(prefix="/api/v1/inventory", tags=["inventory"])


@router.get("", response_model=dict[str, Any], responses={304: {"description": "The inventory is the one you have"}})
def get(parts: Parts, if_none_match: Annotated[str | None, Header()] = None) -> Response:
    """Return what `ansible-inventory --list` prints, `_meta` included."""
    with parts.database.read() as session:
        body = inventory(session)
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    known = [tag.strip().removeprefix("W/") for tag in (if_none_match or "").split(",")]
    if etag in known or "*" in known:
        return Response(status_code=304, headers={"ETag": etag})
    return Response(body, media_type="application/json", headers={"ETag": etag})

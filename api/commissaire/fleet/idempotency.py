"""Requests that may be sent twice: one `Idempotency-Key` of a requester is one operation, for good."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

from sqlmodel import Session

from commissaire.fleet.errors import Unprocessable
from commissaire.fleet.operations import Requester
from commissaire.records import IdempotencyKey, Operation


def once(
    session: Session,
    requester: Requester,
    key: str | None,
    request: dict[str, Any],
    ask: Callable[[], tuple[Operation, bool]],
) -> tuple[Operation, bool]:
    """Return what *ask* returns (an operation, and whether it is new), or what it returned for this key before.

    *request* is all that was given (JSON), and no defaults: a later release may have more of them.

    Raises:
        Unprocessable: something else was asked for with this key.
        IntegrityError (when the transaction ends): another request with this key came first; ask once more.
    """
    if key is None:
        return ask()
    text = json.dumps(request, sort_keys=True)  # unlike orjson it bears integers of any size
    digest = hashlib.sha256(text.encode()).hexdigest()
    earlier = session.get(IdempotencyKey, (requester.name, key))
    if earlier is not None:
        if earlier.digest != digest:
            raise Unprocessable(
                f"the Idempotency-Key {key!r} belongs to another request, which became operation "
                f"{earlier.operation_id}; give each new request a new key"
            )
        return session.get_one(Operation, earlier.operation_id), False
    operation, new = ask()
    session.flush()
    session.add(IdempotencyKey(requested_by=requester.name, key=key, digest=digest, operation_id=operation.id or 0))
    return operation, new

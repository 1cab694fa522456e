"""Operations inside virtual machines: asking for them, what they are given, and what they answer.

Passwords, commands and the contents of files are in no record: they are kept in the store of secrets under their
operation, what it is given until its end, what it answers for some minutes more.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from typing import Any

import orjson
from sqlmodel import Session, col, select

from commissaire.clock import now
from commissaire.fleet.errors import Conflict
from commissaire.fleet.hypervisors import usable_hypervisor
from commissaire.fleet.machines import check_worked_on
from commissaire.fleet.operation_secrets import forget_secrets, secret_owner
from commissaire.fleet.operations import Requester, add_hosts, record_operation
from commissaire.records import OF_GUESTS, TERMINAL, Operation, OperationKind, Secret
from commissaire.records.batches import batched
from commissaire.secrets.store import SecretStore

ANSWER_KEPT = timedelta(minutes=15)
"""So long an answer can be had after the end of its operation."""
MOST_A_MACHINE = 4
"""Operations at once that one machine may have under way or waiting: all machines share the workers."""
_GIVEN, _ANSWER = "given", "answer"
_ALONE = (
    OperationKind.GUEST_PASSWORD,
    OperationKind.GUEST_NETWORK,
    OperationKind.GUEST_AGENT_UPDATE,
    OperationKind.GUEST_AGENT,
)
"""Kinds of which a machine bears one at a time: the agent's keys and network, and the agent itself, change by them."""


@dataclass(frozen=True)
class Given:
    """What an operation is given that is in no record: variables of its playbook, and a file's content (base64).

    A file that it fetches has `most_bytes` at most.
    """

    variables: dict[str, Any] = field(default_factory=dict, repr=False)
    content: str | None = field(default=None, repr=False)
    most_bytes: int = 0


def request_guest(
    session: Session,
    store: SecretStore,
    kind: OperationKind,
    name: str,
    parameters: dict[str, Any],
    given: Given,
    requester: Requester,
) -> Operation:
    """Record an operation in the machine called *name*; *parameters*, which everybody sees, say where that is.

    Raises:
        Invalid: a machine can't be called so.
        NotFound: there is no such hypervisor.
        Conflict: it is not allowed, or another operation changes the same of the machine.
        StoreUnavailable: what it is given can't be kept.
    """
    where = parameters.get("hypervisor")
    if where is not None:
        usable_hypervisor(session, where)
    operation = Operation(kind=kind, parameters={**parameters, "name": check_worked_on(name)})
    if kind in _ALONE:
        operation.exclusive_key = f"guest/{hashlib.sha256(repr(_machine(operation)).encode()).hexdigest()}"
        active = session.exec(select(Operation).where(Operation.exclusive_key == operation.exclusive_key)).first()
        if active is not None:
            raise Conflict(
                f"operation {active.id} ({active.kind}) works in machine {name}; wait for its end or cancel it"
            )
    _check_number(session, operation)
    record_operation(session, operation, requester, f"machine {name} on {where or 'this Xen host'}")
    add_hosts(session, operation, [{"address": name}])
    if given != Given():
        told = orjson.dumps(asdict(given)).decode()
        store.put(session, secret_owner(operation), _GIVEN, told)
    return operation


def _check_number(session: Session, operation: Operation) -> None:
    """See that a machine has not so many operations before it that others' would wait for it. Raise Conflict."""
    of_guests = select(Operation).where(col(Operation.kind).in_(OF_GUESTS), col(Operation.state).not_in(TERMINAL))
    before = [other for other in session.exec(of_guests) if _machine(other) == _machine(operation)]
    if len(before) >= MOST_A_MACHINE:
        raise Conflict(
            f"{len(before)} operations are under way in machine {operation.parameters['name']}, the most there may be; "
            f"wait for one, as {before[0].id}, or cancel it"
        )


def _machine(operation: Operation) -> tuple[str | None, str]:
    """Return which machine an operation is in. One with a domid of Xen's can be called anything."""
    told = operation.parameters
    return told.get("hypervisor"), f"domain {told['domid']}" if "domid" in told else told["name"]


def given_to(session: Session, store: SecretStore, operation: Operation) -> Given:
    """Return what *operation* was given.

    Raises:
        SecretError: it can't be had.
        StoreUnavailable: the store does not answer.
    """
    text = store.get(session, secret_owner(operation), _GIVEN)
    return Given() if text is None else Given(**orjson.loads(text))


def keep_answer(session: Session, store: SecretStore, operation: Operation, answer: dict[str, Any]) -> None:
    """Keep what *operation* answers, in place of what it was given.

    Raises:
        StoreUnavailable: it can't be kept.
    """
    forget_secrets(session, store, operation)
    if answer:
        store.put(session, secret_owner(operation), _ANSWER, orjson.dumps(answer).decode())


def answer_of(session: Session, store: SecretStore, operation: Operation) -> dict[str, Any] | None:
    """Return what *operation* has answered; None when there is nothing, or nothing any more.

    Raises:
        SecretError: it can't be had.
        StoreUnavailable: the store does not answer.
    """
    ended = operation.finished_at
    if ended is None or ended < now() - ANSWER_KEPT:
        return None
    text = store.get(session, secret_owner(operation), _ANSWER)
    return None if text is None else dict(orjson.loads(text))


def has_old_answers(session: Session) -> bool:
    """Return whether there is something for `forget_old_answers`."""
    return bool(_old_answers(session))


def forget_old_answers(session: Session, store: SecretStore) -> None:
    """Forget the answers that have been kept long enough."""
    for operation in _old_answers(session):
        forget_secrets(session, store, operation)


def _old_answers(session: Session) -> list[Operation]:
    owners = session.exec(select(Secret.owner).where(Secret.field == _ANSWER)).all()
    ids = [int(owner.rpartition("/")[2]) for owner in owners if owner.startswith("operation/")]
    ended = col(Operation.finished_at) < now() - ANSWER_KEPT
    return [
        operation
        for some in batched(ids)
        for operation in session.exec(
            select(Operation).where(col(Operation.id).in_(some), col(Operation.kind).in_(OF_GUESTS), ended)
        )
    ]

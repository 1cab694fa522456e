"""Hypervisors: recording, finding and forgetting them. The rules, on a session that the caller commits."""

from __future__ import annotations

from collections.abc import Iterable

from sqlmodel import Session, col, select

from commissaire.fleet.errors import Conflict, Invalid, NotFound
from commissaire.fleet.hypervisor_credentials import forget_credentials, keep_credentials
from commissaire.machines.credentials import Credentials
from commissaire.machines.uri import check_uri, host_of
from commissaire.records import OF_GUESTS, OF_MACHINES, TERMINAL, Hypervisor, Operation
from commissaire.secrets.store import SecretStore

LOCAL = "local"
"""The name of the hypervisor that a server finds on its own machine."""
VIRT_TYPES = ("auto", "kvm", "qemu")
NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"


def get_hypervisor(session: Session, name: str) -> Hypervisor:
    """Return a hypervisor.

    Raises:
        NotFound: there is none of that name.
    """
    hypervisor = session.get(Hypervisor, name)
    if hypervisor is None:
        raise NotFound(f"there is no hypervisor {name}")
    return hypervisor


def usable_hypervisor(session: Session, name: str) -> Hypervisor:
    """Return a hypervisor that may be asked.

    Raises:
        NotFound: there is none of that name.
        Conflict: it is not allowed.
    """
    hypervisor = get_hypervisor(session, name)
    if not hypervisor.allowed:
        raise Conflict(f"hypervisor {name} is not allowed; allow it first (PUT /api/v1/hypervisors/{name})")
    return hypervisor


def list_hypervisors(session: Session, *, allowed: bool = False) -> list[Hypervisor]:
    """Return all hypervisors, or those that are allowed, by name."""
    query = select(Hypervisor).order_by(col(Hypervisor.name))
    return list(session.exec(query.where(col(Hypervisor.allowed).is_(True)) if allowed else query))


def hypervisors_to_ask(session: Session, announced: Iterable[str] = ()) -> dict[str, str]:
    """Return the hypervisors whose union /virt is: the URI of each by its name.

    Those that are *announced*, URIs, are called as their host is. One that is recorded is asked, or not, as its record
    says.
    """
    recorded = list_hypervisors(session)
    known = {hypervisor.name: hypervisor.uri for hypervisor in recorded if hypervisor.allowed}
    names = {hypervisor.name for hypervisor in recorded}
    for uri in sorted(set(announced) - {hypervisor.uri for hypervisor in recorded}):
        name = host_of(uri)
        known[uri if name in names else name] = uri
        names.add(name)
    return known


def put_hypervisor(
    session: Session,
    store: SecretStore,
    name: str,
    *,
    uri: str,
    allowed: bool,
    virt_type: str,
    pool: str,
    credentials: Credentials | None = None,
) -> tuple[Hypervisor, bool]:
    """Record a hypervisor, or change it; return it and whether it is new.

    *credentials* take the place of all those before; without any, those before stay as long as the URI does: they are
    for nobody else.

    Raises:
        Invalid: the URI, the type or the credentials can't be used.
        StoreUnavailable: the credentials can't be kept just now.
    """
    check_uri(uri)
    if virt_type not in VIRT_TYPES:
        raise Invalid(f"virt_type is one of {', '.join(VIRT_TYPES)}, not {virt_type!r}")
    hypervisor = session.get(Hypervisor, name)
    new = hypervisor is None
    hypervisor = hypervisor or Hypervisor(name=name, uri=uri)
    if hypervisor.uri != uri:
        hypervisor.probed_virt_type = ""
        forget_credentials(session, store, name)
    hypervisor.uri, hypervisor.allowed, hypervisor.virt_type, hypervisor.pool = uri, allowed, virt_type, pool
    session.add(hypervisor)
    if credentials is not None:
        keep_credentials(session, store, hypervisor, credentials)
    return hypervisor, new


def delete_hypervisor(session: Session, store: SecretStore, name: str) -> None:
    """Forget a hypervisor and its credentials; its machines go on.

    Raises:
        NotFound: there is none of that name.
        Conflict: an operation works on it.
    """
    hypervisor = get_hypervisor(session, name)
    of_machines = select(Operation).where(col(Operation.kind).in_((*OF_MACHINES, *OF_GUESTS)))
    active = session.exec(of_machines.where(col(Operation.state).not_in(TERMINAL))).all()
    busy = next((operation for operation in active if operation.parameters.get("hypervisor") == name), None)
    if busy is not None:
        raise Conflict(f"operation {busy.id} ({busy.kind}) works on hypervisor {name}; wait for its end or cancel it")
    forget_credentials(session, store, name)
    session.delete(hypervisor)


def record_local(session: Session, store: SecretStore, uri: str) -> None:
    """Record the hypervisor on this machine, where none is recorded yet."""
    if uri and session.exec(select(Hypervisor.name).limit(1)).first() is None:
        put_hypervisor(session, store, LOCAL, uri=uri, allowed=True, virt_type="auto", pool="default")

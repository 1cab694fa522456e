"""The credentials of hypervisors, in the store of secrets. They come out of it to connect, and for nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from sqlmodel import Session, col, select

from commissaire.database import Database
from commissaire.machines.credentials import FIELDS, Credentials, check_credentials
from commissaire.machines.errors import HypervisorFailed
from commissaire.machines.way import Way, Ways, way
from commissaire.records import Hypervisor, Secret
from commissaire.secrets.errors import SecretError
from commissaire.secrets.store import SecretStore


def keep_credentials(session: Session, store: SecretStore, hypervisor: Hypervisor, given: Credentials) -> None:
    """Keep what a hypervisor is reached with, in place of all that was before; nothing, when nothing is given.

    Raises:
        Invalid: it does not fit the hypervisor's URI, or is not what it should be.
        StoreUnavailable: it can't be kept just now.
    """
    check_credentials(hypervisor.uri, given)
    forget_credentials(session, store, hypervisor.name)
    for field in FIELDS:
        if getattr(given, field):
            store.put(session, _owner(hypervisor.name), field, getattr(given, field))


def forget_credentials(session: Session, store: SecretStore, name: str) -> None:
    """Forget what a hypervisor was reached with."""
    store.forget(session, _owner(name))


def kept_credentials(session: Session, store: SecretStore, name: str) -> Credentials:
    """Return what a hypervisor is reached with.

    Raises:
        SecretError: it is recorded, and can't be had.
    """
    owner = _owner(name)
    found = {field: store.get(session, owner, field) or "" for field in _fields(session, [owner]).get(owner, ())}
    return Credentials(**found)


def names_of_credentials(session: Session, names: Iterable[str]) -> dict[str, list[str]]:
    """Return which credentials each hypervisor has, never what they hold."""
    owners = {_owner(name): name for name in names}
    found = _fields(session, owners)
    return {name: [field for field in FIELDS if field in found.get(owner, ())] for owner, name in owners.items()}


def ways_of(database: Database, store: SecretStore, places: Sequence[Path]) -> Ways:
    """Return the ways to hypervisors with the credentials that are recorded for them; see `machines.way`."""

    @contextmanager
    def ways(name: str, uri: str) -> Iterator[Way]:
        try:
            with database.read() as session:
                hypervisor = session.get(Hypervisor, name)
                is_recorded = hypervisor is not None and hypervisor.uri == uri  # another may only be announced so
                credentials = kept_credentials(session, store, name) if is_recorded else Credentials()
        except SecretError as error:
            raise HypervisorFailed(f"hypervisor {name}: {error}") from error
        with way(uri, credentials, places) as told:
            yield told

    return ways


def _fields(session: Session, owners: Iterable[str]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for owner, field in session.exec(select(Secret.owner, Secret.field).where(col(Secret.owner).in_(list(owners)))):
        found.setdefault(owner, set()).add(field)
    return found


def _owner(name: str) -> str:
    return f"hypervisor/{name}"

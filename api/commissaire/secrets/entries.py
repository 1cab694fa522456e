"""Secrets that clients keep by `/api/v0/secrets`, with the semantics of Custodia, where that is not what keeps them.

The rules, on a session that the caller commits.
"""

from __future__ import annotations

from sqlmodel import Session, col, select

from commissaire.fleet.errors import Conflict, NotFound
from commissaire.records import SecretEntry
from commissaire.secrets.path import SecretPath
from commissaire.secrets.store import SecretStore

_FIELD = "value"


def secret_owner(entry: SecretEntry) -> str:
    """Return the owner under which the store of secrets keeps an entry's value."""
    return f"entry/{entry.id}"


def list_container(session: Session, api_id: str, path: SecretPath) -> list[str]:
    """Return what lies below a container, at any depth, by paths relative to it; containers end with `/`.

    Raises:
        NotFound: there is no such container.
    """
    if path.names:
        _entry(session, api_id, path)
    prefix = str(path)
    found = session.exec(
        select(SecretEntry.path)
        .where(SecretEntry.api_id == api_id, col(SecretEntry.path).startswith(prefix, autoescape=True))
        .where(SecretEntry.path != prefix)
    )
    return sorted(each.removeprefix(prefix) for each in found if each.startswith(prefix))


def make_container(session: Session, api_id: str, path: SecretPath) -> bool:
    """Make a container; return whether it is new.

    Raises:
        NotFound: the container that it would lie in does not exist.
    """
    if not path.names or _find(session, api_id, path) is not None:
        return False
    _check_parent(session, api_id, path)
    session.add(SecretEntry(api_id=api_id, path=str(path)))
    return True


def get_value(session: Session, store: SecretStore, api_id: str, path: SecretPath) -> str:
    """Return a secret's value.

    Raises:
        NotFound: there is no such secret.
        SecretError: its value can't be had.
    """
    value = store.get(session, secret_owner(_entry(session, api_id, path)), _FIELD)
    if value is None:
        raise NotFound(f"secret {path} has lost its value; delete it, and put it anew")
    return value


def put_value(session: Session, store: SecretStore, api_id: str, path: SecretPath, value: str) -> None:
    """Keep a new secret; the container that is called as the API id exists for the asking.

    Raises:
        NotFound: the container does not exist.
        Conflict: there is a secret of that name.
        StoreUnavailable: nothing can be kept just now.
    """
    if path.parent.names == (api_id,):
        make_container(session, api_id, path.parent)
    _check_parent(session, api_id, path)
    if _find(session, api_id, path) is not None:
        raise Conflict(f"there is a secret {path} already; delete it first to give it another value")
    entry = SecretEntry(api_id=api_id, path=str(path))
    session.add(entry)
    session.flush()
    store.put(session, secret_owner(entry), _FIELD, value)


def delete_entry(session: Session, store: SecretStore, api_id: str, path: SecretPath) -> None:
    """Forget a secret, or a container that is empty.

    Raises:
        NotFound: it does not exist.
        Conflict: the container is not empty.
    """
    entry = _entry(session, api_id, path)
    if path.is_container and list_container(session, api_id, path):
        raise Conflict(f"container {path} is not empty; delete what is in it first")
    store.forget(session, secret_owner(entry))
    session.delete(entry)


def _check_parent(session: Session, api_id: str, path: SecretPath) -> None:
    if path.parent.names:
        _entry(session, api_id, path.parent)


def _entry(session: Session, api_id: str, path: SecretPath) -> SecretEntry:
    entry = _find(session, api_id, path)
    if entry is None:
        what = "container" if path.is_container else "secret"
        raise NotFound(f"there is no {what} {path}" + ("; POST makes it" if path.is_container else ""))
    return entry


def _find(session: Session, api_id: str, path: SecretPath) -> SecretEntry | None:
    return session.exec(select(SecretEntry).where(SecretEntry.api_id == api_id, SecretEntry.path == str(path))).first()

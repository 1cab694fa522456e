"""Virtual machines that were created to be hosts: their keys until then, and their records afterwards."""

from __future__ import annotations

import base64
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from sqlmodel import Session, select

from commissaire.fleet.addresses import check_address, check_host_key
from commissaire.fleet.errors import Conflict, Invalid
from commissaire.fleet.hosts import HostRequest, put_host
from commissaire.fleet.keys import SSH_KEY_FIELD, UnusableKey, check_encoded_key, private_text, public_text
from commissaire.fleet.operation_secrets import secret_owner
from commissaire.fleet.operations import Requester, request_bootstrap
from commissaire.records import Operation, OperationHost
from commissaire.secrets.store import SecretStore

REGISTER = "register"
"""The parameter that says as what a machine is recorded: `cluster` and `remote_user`."""


def new_key() -> str:
    """Return a private key of a host's own, as requests hold it."""
    key = Ed25519PrivateKey.generate()
    return base64.b64encode(key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())).decode()


def login(wanted: dict[str, Any], user: str, encoded: str | None) -> tuple[dict[str, Any], str]:
    """Return the parameters of a machine that is to be a host, *wanted* with its login, and its private key.

    *encoded* is the key it is reached by as *user*; without one a new key is made.

    Raises:
        Invalid: it is no private key that ssh can read.
    """
    key = new_key() if encoded is None else check_encoded_key(encoded)
    try:
        public = public_text(private_text(key))
    except UnusableKey as error:
        raise Invalid(str(error)) from error
    keys = [*wanted.get("authorized_keys", []), public]
    return {**wanted, "user": wanted.get("user", user), "authorized_keys": keys}, key


def keep_key(session: Session, store: SecretStore, operation: Operation, encoded: str) -> None:
    """Keep the private key by which a machine is reached that *operation* makes."""
    store.put(session, secret_owner(operation), SSH_KEY_FIELD, encoded)


def kept_key(session: Session, store: SecretStore, operation: Operation) -> str | None:
    """Return that key; None when there is none."""
    return store.get(session, secret_owner(operation), SSH_KEY_FIELD)


def register(session: Session, store: SecretStore, operation: Operation) -> str:
    """Record the machine that *operation* has made as a host, with its keys pinned, and ask for its bootstrap.

    Return what there is to say of that, "" when nobody wants it.

    Raises:
        Conflict: the address is recorded already as another host, or its cluster is gone.
    """
    wanted = operation.parameters.get(REGISTER)
    if wanted is None:
        return ""
    row = session.exec(select(OperationHost).where(OperationHost.operation_id == operation.id)).one()
    address = check_address(str(row.data.get("address", "")))
    keys = [check_host_key(str(key)) for key in row.data.get("host_keys", [])]
    host, new = put_host(
        session,
        store,
        HostRequest(
            address=address,
            ssh_priv_key=kept_key(session, store, operation),
            remote_user=wanted.get("remote_user") or None,
            cluster=wanted.get("cluster"),
            source="",
            host_key="\n".join(keys) or None,
        ),
    )
    if not new:
        raise Conflict(f"host {address} is recorded already; delete it, then add the machine as a host")
    bootstrap = request_bootstrap(session, host, Requester(operation.requested_by, operation.request_id))
    return f"recorded as host {address}, bootstrapped by operation {bootstrap.id}"

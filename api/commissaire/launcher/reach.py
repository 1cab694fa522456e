"""How ssh gets to hosts: their variables, keys and pinned host keys, for any job."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlmodel import Session, select

from commissaire.fleet import keys
from commissaire.fleet.hosts import hosts_at
from commissaire.launcher.job import PrivateKey
from commissaire.records import Cluster, Host, Network
from commissaire.secrets.backend import Opened
from commissaire.secrets.errors import SecretError
from commissaire.secrets.store import SecretStore


@dataclass
class Reach:
    """The hosts that can be talked to, those in a cluster with it, and why the others can't (`unusable`)."""

    hosts: dict[str, dict[str, Any]] = field(default_factory=dict)
    clusters: dict[str, tuple[Cluster, Network]] = field(default_factory=dict)
    keys: dict[str, PrivateKey] = field(default_factory=dict)
    known_hosts: str = ""
    unusable: dict[str, str] = field(default_factory=dict)


def reach(
    session: Session,
    store: SecretStore,
    addresses: list[str],
    directory: Path,
    public_halves: dict[str, str] | None = None,
) -> Reach:
    """Gather what a job in *directory* needs to get to the hosts at *addresses*.

    *public_halves* are those of keys seen before, by fingerprint, and grow: to read an RSA key takes some tenths of a
    second in which nothing else runs.

    Raises:
        StoreUnavailable: the keys can't be had just now.
    """
    found = Reach()
    public_halves = {} if public_halves is None else public_halves
    known = _hosts(session, addresses)
    owners = [keys.secret_owner(host) for host, _ in known.values()]
    encoded = store.get_many(session, owners, keys.SSH_KEY_FIELD)
    for address in addresses:
        if address not in known:
            found.unusable[address] = "the host was deleted before its turn"
            continue
        host, cluster = known[address]
        try:
            key = _key(encoded.get(keys.secret_owner(host)), public_halves)
        except (keys.UnusableKey, SecretError) as error:
            found.unusable[address] = str(error)
            continue
        found.keys[key.name] = key
        found.hosts[address] = _host_vars(host, cluster[0].name if cluster else "", key, directory)
        if cluster:
            found.clusters[address] = cluster
        if host.host_key:
            found.known_hosts += "".join(f"{address} {line}\n" for line in host.host_key.splitlines())
    return found


def common_vars(directory: Path, **ssh_options: str) -> dict[str, Any]:
    """Return the variables of all hosts; *ssh_options* (ssh_config(5)) come first, so they win."""
    options = ssh_options | {
        "ControlMaster": "auto",
        "ControlPersist": "60s",
        "GlobalKnownHostsFile": "none",
        "HashKnownHosts": "no",
        "IdentitiesOnly": "yes",
        "PreferredAuthentications": "publickey",
        "ServerAliveCountMax": "3",
        "ServerAliveInterval": "10",
        "UpdateHostKeys": "no",
        "UserKnownHostsFile": f'"{directory / "known_hosts"}"',
    }
    return {
        "ansible_ssh_args": shlex.join(f"-o{name}={value}" for name, value in options.items()),
        "ansible_ssh_common_args": "-o StrictHostKeyChecking=yes",
        "ansible_python_interpreter": "auto_silent",
    }


def private_key(encoded: str, public_halves: dict[str, str] | None = None) -> PrivateKey:
    """Return a key for the ssh agent. Raise UnusableKey when it is none."""
    public_halves = {} if public_halves is None else public_halves
    private = keys.private_text(encoded)
    name = keys.fingerprint(private)
    if name not in public_halves:
        public_halves[name] = keys.public_text(private)
    return PrivateKey(name=name, private=private, public=public_halves[name])


def login_vars(user: str, key: PrivateKey, directory: Path) -> dict[str, Any]:
    """Return the variables by which ssh signs in as *user* with *key*, whose public half is in *directory*."""
    variables: dict[str, Any] = {
        "ansible_user": user,
        "ansible_ssh_private_key_file": str(directory / f"{key.name}.pub"),
    }
    return variables | ({"ansible_become": True} if user != "root" else {})


def _hosts(session: Session, addresses: list[str]) -> dict[str, tuple[Host, tuple[Cluster, Network] | None]]:
    """Return hosts by address, each with its cluster and that one's network."""
    pairs = session.exec(select(Cluster, Network).where(Cluster.network == Network.name)).all()
    clusters = {cluster.id: (cluster, network) for cluster, network in pairs}
    found = hosts_at(session, addresses)
    return {address: (host, clusters.get(host.cluster_id)) for address, host in found.items()}


def _key(encoded: Opened | None, public_halves: dict[str, str]) -> PrivateKey:
    if isinstance(encoded, SecretError):
        raise encoded
    if not encoded:
        raise keys.UnusableKey("no ssh_priv_key is recorded for it; PUT the host with one")
    return private_key(encoded, public_halves)


def _host_vars(host: Host, cluster: str, key: PrivateKey, directory: Path) -> dict[str, Any]:
    variables: dict[str, Any] = {
        "ansible_host": host.address,
        "commissaire_cluster": cluster,
        "commissaire_labels": host.labels,
        **login_vars(host.remote_user, key, directory),
    }
    if not host.host_key:
        variables["ansible_ssh_common_args"] = "-o StrictHostKeyChecking=accept-new"
    return variables

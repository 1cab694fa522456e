"""Networks: how the containers of a cluster's hosts reach each other. The rules, on a session the caller commits."""

from __future__ import annotations

import re
from typing import Any

from sqlmodel import Session, col, select

from commissaire.fleet.errors import Conflict, Invalid, NotFound
from commissaire.records import DEFAULT_NETWORK, Cluster, Network, NetworkType

CERTIFICATE_FOLDER = "/etc/commissaire/certificates/"
"""Only what lies here is copied to hosts: not every file of the server is for whoever may make a network."""

_FILE_OPTIONS = {"certificate_authority", "certificate_path", "certificate_key_path"}
_TEXT_OPTIONS = _FILE_OPTIONS | {"address", "server_url", "prefix", "flannel_url", "flannel_checksum"}
_PLAIN = re.compile(r"[A-Za-z0-9._~:/?#@!$&()*+,;=%\[\]-]{1,1000}", re.ASCII)
_HOST_AND_PORT = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):(\d{1,5})", re.ASCII)


def get_network(session: Session, name: str) -> Network:
    """Return a network.

    Raises:
        NotFound: there is none of that name.
    """
    network = session.get(Network, name)
    if network is None:
        raise NotFound(f"there is no network {name}")
    return network


def list_names(session: Session) -> list[str]:
    """Return all networks' names, sorted."""
    return list(session.exec(select(Network.name).order_by(col(Network.name))))


def put_network(session: Session, name: str, kind: str, options: dict[str, Any]) -> Network:
    """Record a network. The same request again changes nothing.

    Raises:
        Invalid: the type is unknown, or the options don't fit it.
        Conflict: a network of that name has another type or other options.
    """
    check_network(kind, options)
    network = session.get(Network, name)
    if network is None:
        network = Network(name=name, type=kind, options=options)
        session.add(network)
    elif (network.type, network.options) != (kind, options):
        raise Conflict(f"network {name} is recorded with another type or other options; delete it first to change it")
    return network


def delete_network(session: Session, name: str) -> None:
    """Forget a network; nothing happens when there is none (the documents: idempotent).

    Raises:
        Conflict: it is the default network, or a cluster is on it.
    """
    network = session.get(Network, name)
    if network is None:
        return
    if name == DEFAULT_NETWORK:
        raise Conflict(f"network {name} is what clusters are on when they name none; it stays")
    cluster = session.exec(select(Cluster.name).where(Cluster.network == name).limit(1)).first()
    if cluster is not None:
        raise Conflict(f"cluster {cluster} is on network {name}; give the cluster another network first")
    session.delete(network)


def check_network(kind: str, options: dict[str, Any]) -> None:
    """See that *options* fit a network of type *kind*.

    Raises:
        Invalid: they don't, or there is no such type.
    """
    if kind not in list(NetworkType):
        raise Invalid(f"there is no network type {kind!r}; there are {', '.join(NetworkType)}")
    for name in sorted(_TEXT_OPTIONS & options.keys()):
        for value in options[name] if name == "server_url" and isinstance(options[name], list) else [options[name]]:
            if not isinstance(value, str) or not _PLAIN.fullmatch(value):
                raise Invalid(f"option {name} must be plain text without blanks and templates, not {value!r}")
            if "://" in value and "@" in value:
                raise Invalid(f"option {name} is shown to everybody who may read; user and password don't belong there")
    for name in sorted(_FILE_OPTIONS & options.keys()):
        if ".." in options[name] or not options[name].startswith(CERTIFICATE_FOLDER):
            raise Invalid(f"option {name} must name a file of the server below {CERTIFICATE_FOLDER}")
    if not isinstance(options.get("docker", True), bool):
        raise Invalid("option docker must be true or false")
    address = options.get("address", "")
    if kind == NetworkType.FLANNEL_ETCD and not address:
        return
    match = _HOST_AND_PORT.fullmatch(address)
    if match is None or not 0 < int(match[2]) <= 65535:
        raise Invalid(f"options of a {kind} network need an address HOST:PORT of the flannel server, not {address!r}")


def bootstrap_options(network: Network) -> dict[str, Any]:
    """Return what a bootstrap needs to know of *network*: its type, and those of its options that mean something."""
    known = {name: value for name, value in network.options.items() if name in _TEXT_OPTIONS or name == "docker"}
    return {"type": network.type, "options": known}

"""A container manager's options as a kubeconfig: what the official client and the playbooks read."""

from __future__ import annotations

import base64
import re
from typing import Any

import yaml

from commissaire.managers.error import ManagerError

_NAME = "commissaire"
_PEM = re.compile(r"\s*-----BEGIN ")
_CLUSTER = ("server", "tls-server-name", "certificate-authority-data")
_USER = ("token", "client-certificate-data", "client-key-data")
_OUTSIDE = {
    "auth-provider": "runs code of the client",
    "certificate-authority": "names a file",
    "client-certificate": "names a file",
    "client-key": "names a file",
    "exec": "runs a program",
    "insecure-skip-tls-verify": "switches off who the server must be",
    "proxy-url": "sends everything through somebody else",
    "tokenFile": "names a file",
}
"""What may not be in a kubeconfig that somebody sends: the server would do it, or read it, with its own rights."""


def kubeconfig_of(options: dict[str, Any]) -> dict[str, Any]:
    """Return the kubeconfig for a container manager's *options*, their secrets in clear.

    Raises:
        ManagerError: they say of no server, or hold a kubeconfig that can't be used.
    """
    if options.get("kubeconfig"):
        try:
            return read_kubeconfig(options["kubeconfig"])
        except ValueError as error:
            raise ManagerError(f"the option kubeconfig {error}") from error
    cluster: dict[str, Any] = {"server": server_url(options)} | _file(options, "certificate_authority")
    user: dict[str, Any] = {}
    if options.get("token"):
        user = {"token": options["token"]}
    elif options.get("client_key"):
        user = {
            "client-certificate-data": _encoded(options.get("client_certificate", "")),
            "client-key-data": _encoded(options["client_key"]),
        }
    elif options.get("certificate_path"):
        user = {"client-certificate": options["certificate_path"], "client-key": options["certificate_key_path"]}
    return _document(cluster, user)


def server_url(options: dict[str, Any]) -> str:
    """Return where the API is; `apiserver` is how the documents' example of a record calls it.

    Raises:
        ManagerError: the options don't say.
    """
    url = options.get("server_url") or options.get("apiserver")
    if not isinstance(url, str) or not url:
        raise ManagerError("the container manager's options have no server_url; delete it, and create it with one")
    return url.rstrip("/").removesuffix("/api")


def read_kubeconfig(text: str) -> dict[str, Any]:
    """Return what a kubeconfig holds for its current context; all of that must be in it.

    Raises:
        ValueError: it can't be read, or has something that the server would fetch from elsewhere; the message goes on
            after the thing's name.
    """
    try:
        content = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(f"is no YAML: {(str(error).splitlines() or ['nothing'])[0]}") from error
    name = content.get("current-context") if isinstance(content, dict) else None
    if not isinstance(name, str) or not name:
        raise ValueError("has no current-context; choose one: kubectl config use-context NAME")
    context = _named(content, "contexts", "context", name)
    cluster = _named(content, "clusters", "cluster", context.get("cluster"))
    user = _named(content, "users", "user", context.get("user"))
    for part in (cluster, user):
        for key in sorted(_OUTSIDE.keys() & part.keys()):
            raise ValueError(
                f"has {key}, which {_OUTSIDE[key]}; files go into it by kubectl config view --flatten --minify"
            )
    cluster, user = _texts(cluster, _CLUSTER), _texts(user, _USER)
    if not cluster.get("server", "").startswith("https://"):
        raise ValueError("has a server that is not https://")
    return _document(cluster, user)


def _document(cluster: dict[str, Any], user: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": _NAME, "cluster": cluster}],
        "users": [{"name": _NAME, "user": user}],
        "contexts": [{"name": _NAME, "context": {"cluster": _NAME, "user": _NAME}}],
        "current-context": _NAME,
    }


def _texts(given: dict[str, Any], names: tuple[str, ...]) -> dict[str, str]:
    """Return what is known of a part of a kubeconfig, and nothing else that somebody put there."""
    found = {name: given[name] for name in names if given.get(name)}
    for name, value in found.items():
        if not isinstance(value, str):
            raise ValueError(f"has a {name} that is no text")
        if name.endswith("-data"):
            try:
                base64.b64decode(value, validate=True)
            except ValueError as error:
                raise ValueError(f"has a {name} that is no base64") from error
    return found


def _named(content: dict[str, Any], kind: str, part: str, name: Any) -> dict[str, Any]:
    entries = content.get(kind)
    for entry in entries if isinstance(entries, list) else []:
        if isinstance(entry, dict) and entry.get("name") == name and isinstance(entry.get(part), dict):
            found: dict[str, Any] = entry[part]
            return found
    raise ValueError(f"has no {part} {name}")


def _file(options: dict[str, Any], name: str) -> dict[str, str]:
    """Return a certificate authority as it was given: itself, or the name of a file of the server."""
    value = options.get(name)
    if not value:
        return {}
    if _PEM.match(value):
        return {"certificate-authority-data": _encoded(value)}
    return {"certificate-authority": value}


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()

"""The credentials that kubectl would use: those of the current context in a kubeconfig."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

from commissaire.commctl.credentials import Credentials
from commissaire.commctl.errors import CommctlError
from commissaire.commctl.files import read_text


def credentials(path: Path) -> Credentials:
    """Read the current context's user. Raises CommctlError for a file that makes no sense or a user without any."""
    import yaml

    try:
        document = yaml.safe_load(read_text(path, "kubeconfig"))
    except yaml.YAMLError as error:
        raise CommctlError(f"the kubeconfig {path} is no YAML: {error}") from None
    context = document.get("current-context") if isinstance(document, dict) else None
    if not context:
        raise CommctlError(f"the kubeconfig {path} has no current-context; choose one: kubectl config use-context NAME")
    name = _named(document, "contexts", context, path).get("user")
    user = _named(document, "users", name, path)

    def text(key: str) -> str:
        value = user.get(key)
        if value is not None and not isinstance(value, str):
            raise CommctlError(f"the kubeconfig {path}: {key} of user {name} must be a string")
        return value or ""

    def pem(key: str) -> str:
        """Return what KEY-data holds or the file KEY names; a path is relative to the kubeconfig's folder."""
        if data := text(f"{key}-data"):
            try:
                return base64.b64decode(data, validate=True).decode()
            except ValueError:
                raise CommctlError(f"the kubeconfig {path}: {key}-data of user {name} is no base64") from None
        return read_text(path.parent / text(key), key) if text(key) else ""

    token_file = text("tokenFile")
    found = Credentials(
        username=text("username"),
        password=text("password"),
        token=text("token") or (read_text(path.parent / token_file, "token file").strip() if token_file else ""),
        certificate=pem("client-certificate"),
        key=pem("client-key"),
    )
    if not (found.token or found.username or found.certificate):
        known = ", ".join(user) or "nothing"
        raise CommctlError(
            f"the kubeconfig {path}: user {name} has {known}, of which commctl can use nothing; "
            "give a token, a client certificate, or username and password"
        )
    return found


def _named(document: dict[str, Any], kind: str, name: Any, path: Path) -> dict[str, Any]:
    """Return the entry called *name* of the list *kind*: `users: [{name: NAME, user: {...}}]`."""
    entries = document.get(kind)
    for entry in entries if isinstance(entries, list) else []:
        if isinstance(entry, dict) and entry.get("name") == name:
            value = entry.get(kind.removesuffix("s"))
            return value if isinstance(value, dict) else {}
    raise CommctlError(f"the kubeconfig {path} has no {kind.removesuffix('s')} {name}")

"""Where the server is and who asks: the configuration file, completed by asking on a terminal."""

from __future__ import annotations

import json
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from commissaire.commctl.credentials import Credentials
from commissaire.commctl.errors import CommctlError
from commissaire.commctl.files import read_text
from commissaire.commctl.output import tell, warn
from commissaire.commctl.prompt import ask, on_terminal

DEFAULT_PATH = Path("~/.commissaire.json")
DEFAULT_ENDPOINT = "http://127.0.0.1:8000"
KEYS = ("endpoint", "kubeconfig", "username", "password", "client-certificate")


@dataclass(frozen=True)
class Settings:
    """Everything a client needs. Endpoints are tried in order and end without a slash."""

    endpoints: tuple[str, ...]
    credentials: Credentials
    authorities: str = field(default="", repr=False)
    """Certificates (PEM) of those who may have signed the server's; "" leaves it to the system."""
    origin: str = ""
    """Where each comes from, in words."""


def load(path: Path | None, named_by: str = "") -> Settings:
    """Read *path*, or ~/.commissaire.json when it is None, and ask for what is missing.

    *named_by* says what named *path*, like "$COMMCTL_CONFIG". Raises CommctlError for a file that can't be read or
    makes no sense, and for a missing value when there is no terminal to ask on.
    """
    chosen = (path or DEFAULT_PATH).expanduser()
    values = read(path)
    if not chosen.exists():
        if not on_terminal():
            raise _missing(chosen)
        tell(str(_missing(chosen)))
    endpoints = endpoints_of(values, chosen) or (_ask("endpoint", chosen, default=DEFAULT_ENDPOINT),)
    return Settings(
        endpoints=tuple(checked_endpoint(one, str(chosen)) for one in endpoints),
        credentials=_credentials(values, chosen),
        authorities=pem(values, "certificate-authority", chosen),
        origin=_origin(values, f"{chosen} (named by {named_by})" if named_by else str(chosen)),
    )


def read(path: Path | None) -> dict[str, Any]:
    """Return what *path* holds, its keys with - for _; nothing when it is None and there is no ~/.commissaire.json.

    Raises CommctlError for a file that can't be read or holds no JSON object. Warns of one that others can read.
    """
    chosen = (path or DEFAULT_PATH).expanduser()
    try:
        mode = stat.S_IMODE(chosen.stat().st_mode)
    except FileNotFoundError:
        if path is not None:
            raise _missing(chosen) from None
        return {}
    except OSError as error:
        raise CommctlError(f"the configuration file {chosen} can't be read: {error.strerror}") from None
    try:
        values = json.loads(read_text(chosen, "configuration file"))
    except ValueError as error:
        raise CommctlError(f"the configuration file {chosen} is no JSON: {error}") from None
    if not isinstance(values, dict):
        raise CommctlError(f"the configuration file {chosen} holds no JSON object")
    if mode & 0o077:
        warn(f"{chosen} is open to other users of this machine (mode {mode:04o}); chmod 600 {chosen}")
    return {key.replace("_", "-"): value for key, value in values.items()}


def endpoints_of(values: dict[str, Any], path: Path) -> tuple[str, ...]:
    """Return the endpoints that *values*, read from *path*, name. Raises CommctlError for what can't be any."""
    endpoint = values.get("endpoint")
    listed = endpoint if isinstance(endpoint, list) else [endpoint] if endpoint else []
    if not all(isinstance(one, str) and one for one in listed):
        raise CommctlError(f"{path}: endpoint must be a URL or a list of URLs")
    return tuple(listed)


def checked_endpoint(endpoint: str, source: str) -> str:
    """Return *endpoint* without a slash at its end. Raises CommctlError, naming its *source*, for what is no URL."""
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(endpoint)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or parts.query or parts.fragment:
        raise CommctlError(f"{source}: endpoint {endpoint!r} is no URL like {DEFAULT_ENDPOINT}")
    return endpoint.rstrip("/")


def pem(values: dict[str, Any], key: str, path: Path) -> str:
    """Return the content of the file that *key* names; a relative one lies beside *path*."""
    name = _text(values, key, path)
    return read_text(path.expanduser().parent / Path(name).expanduser(), key) if name else ""


def _credentials(values: dict[str, Any], path: Path) -> Credentials:
    if kubeconfig := _text(values, "kubeconfig", path):
        from commissaire.commctl.kubeconfig import credentials

        return credentials(path.parent / Path(kubeconfig).expanduser())
    certificate, key = (pem(values, name, path) for name in ("client-certificate", "client-key"))
    if certificate and not values.get("username"):
        return Credentials(certificate=certificate, key=key)
    username = _text(values, "username", path) or _ask("username", path)
    password = _text(values, "password", path) or _ask("password", path, hide=True)
    return Credentials(username, password, certificate=certificate, key=key)


def _origin(values: dict[str, Any], file: str) -> str:
    found = [key for key in KEYS if values.get(key)]
    if "kubeconfig" in found:
        found = [key for key in found if key in ("endpoint", "kubeconfig")]
    needed = ("endpoint",) if {"kubeconfig", "client-certificate"} & {*found} else ("endpoint", "username", "password")
    asked = [key for key in needed if key not in found]
    parts = [f"{', '.join(found)} from {file}"] if found else []
    return "; ".join([*parts, f"{', '.join(asked)} as typed in"] if asked else parts)


def _missing(path: Path) -> CommctlError:
    return CommctlError(
        f"there is no configuration file {path}\n"
        f"A server's first start writes {DEFAULT_PATH} on its machine. Elsewhere write one with these three keys, "
        "and chmod 600 it:\n"
        f'{{"endpoint": "{DEFAULT_ENDPOINT}", "username": "admin", "password": "..."}}'
    )


def _text(values: dict[str, Any], key: str, path: Path) -> str:
    value = values.get(key)
    if value is not None and not isinstance(value, str):
        raise CommctlError(f"{path}: {key} must be a string")
    return value or ""


def _ask(what: str, path: Path, **how: Any) -> str:
    if not on_terminal():
        raise CommctlError(f'no {what}: put "{what}" into {path}, or run commctl on a terminal to be asked for it')
    return ask(what, **how)

"""Where the server is and who asks: the configuration file, completed by asking on a terminal."""

from __future__ import annotations

import json
import stat
import sys
from dataclasses import dataclass, field
from getpass import getpass
from pathlib import Path
from typing import Any

from commissaire.commctl.errors import CommctlError
from commissaire.commctl.output import tell, warn

DEFAULT_PATH = Path("~/.commissaire.json")
DEFAULT_ENDPOINT = "http://127.0.0.1:8000"


@dataclass(frozen=True)
class Settings:
    """Everything a client needs. Endpoints are tried in order and end without a slash."""

    endpoints: tuple[str, ...]
    username: str
    password: str = field(repr=False)
    origin: str = ""
    """Where each comes from, in words."""


def load(path: Path | None, named_by: str = "") -> Settings:
    """Read *path*, or ~/.commissaire.json when it is None, and ask for what is missing.

    *named_by* says what named *path*, like "$COMMCTL_CONFIG". Raises CommctlError for a file that can't be read or
    makes no sense, and for a missing value when there is no terminal to ask on.
    """
    chosen = (path or DEFAULT_PATH).expanduser()
    values = _read(chosen, required=path is not None)
    if "kubeconfig" in values:
        raise CommctlError(f"{chosen}: credentials from a kubeconfig are not supported; give username and password")
    if not chosen.exists():
        if not _terminal():
            raise _missing(chosen)
        tell(str(_missing(chosen)))
    endpoint = _endpoints(values, chosen) or (_ask("endpoint", chosen, default=DEFAULT_ENDPOINT),)
    return Settings(
        endpoints=tuple(_checked(one, chosen) for one in endpoint),
        username=_text(values, "username", chosen) or _ask("username", chosen),
        password=_text(values, "password", chosen) or _ask("password", chosen, hide=True),
        origin=_origin(values, f"{chosen} (named by {named_by})" if named_by else str(chosen)),
    )


def _origin(values: dict[str, Any], file: str) -> str:
    keys = ("endpoint", "username", "password")
    read = [key for key in keys if values.get(key)]
    asked = [key for key in keys if key not in read]
    parts = [f"{', '.join(read)} from {file}"] if read else []
    return "; ".join([*parts, f"{', '.join(asked)} as typed in"] if asked else parts)


def _missing(path: Path) -> CommctlError:
    return CommctlError(
        f"there is no configuration file {path}\n"
        f"A server's first start writes {DEFAULT_PATH} on its machine. Elsewhere write one with these three keys, "
        "and chmod 600 it:\n"
        f'{{"endpoint": "{DEFAULT_ENDPOINT}", "username": "admin", "password": "..."}}'
    )


def _terminal() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty()


def _read(path: Path, *, required: bool) -> dict[str, Any]:
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if required:
            raise _missing(path) from None
        return {}
    except OSError as error:
        raise CommctlError(f"the configuration file {path} can't be read: {error.strerror}") from None
    except ValueError as error:
        raise CommctlError(f"the configuration file {path} is no JSON: {error}") from None
    if not isinstance(values, dict):
        raise CommctlError(f"the configuration file {path} holds no JSON object")
    if mode & 0o077:
        warn(f"{path} is open to other users of this machine (mode {mode:04o}); chmod 600 {path}")
    return values


def _endpoints(values: dict[str, Any], path: Path) -> tuple[str, ...]:
    endpoint = values.get("endpoint")
    listed = endpoint if isinstance(endpoint, list) else [endpoint] if endpoint else []
    if not all(isinstance(one, str) and one for one in listed):
        raise CommctlError(f"{path}: endpoint must be a URL or a list of URLs")
    return tuple(listed)


def _checked(endpoint: str, path: Path) -> str:
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(endpoint)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or parts.query or parts.fragment:
        raise CommctlError(f"{path}: endpoint {endpoint!r} is no URL like {DEFAULT_ENDPOINT}")
    return endpoint.rstrip("/")


def _text(values: dict[str, Any], key: str, path: Path) -> str:
    value = values.get(key)
    if value is not None and not isinstance(value, str):
        raise CommctlError(f"{path}: {key} must be a string")
    return value or ""


def _ask(what: str, path: Path, *, default: str | None = None, hide: bool = False) -> str:
    if not _terminal():
        raise CommctlError(f'no {what}: put "{what}" into {path}, or run commctl on a terminal to be asked for it')
    prompt = f"{what.capitalize()}{f' [{default}]' if default else ''}: "
    while True:
        try:
            answer = getpass(prompt, stream=sys.stderr) if hide else _line(prompt)
        except EOFError:
            raise CommctlError(f"no {what} given") from None
        if answer or default:
            return answer or default or ""


def _line(prompt: str) -> str:
    """Ask as input() does, but on standard error: standard output may be a file."""
    print(prompt, end="", file=sys.stderr, flush=True)  # noqa: T201
    line = sys.stdin.readline()
    if not line:
        raise EOFError
    return line.strip()

"""The user-data with which hosts register themselves (Commissaire 0.0.6, chapter 13.6)."""

from __future__ import annotations

import ipaddress
import json
import os
import re
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from commissaire.commctl import config
from commissaire.commctl.errors import CommctlError
from commissaire.commctl.files import read_text
from commissaire.commctl.output import warn
from commissaire.commctl.prompt import ask, ask_password, on_terminal

EC2_BYTES = 16384
PATH = re.compile(r"[/~][^\x00-\x1f]*")
NO_CLOUD_CONFIG = "#cloud-config\n{}\n"


def multipart(cloud_config: str, settings: dict[str, Any]) -> str:
    """Return the user-data. The handler comes before the part that it handles: cloud-init takes them in their order."""
    message = MIMEMultipart("mixed")
    handler = Path(__file__).with_name("part_handler.py").read_text(encoding="utf-8")
    message.attach(MIMEText(cloud_config, "cloud-config", "utf-8"))
    message.attach(MIMEText(handler, "part-handler", "utf-8"))
    message.attach(MIMEText(json.dumps(settings), "x-commissaire-host", "utf-8"))
    return message.as_string()


def endpoint(given: str | None, known: dict[str, Any]) -> str:
    """Return the URL that hosts find the server at: the one *given*, else our own unless it leads to ourselves."""
    if given:
        return config.checked_endpoint(given, "--endpoint")
    listed = config.endpoints_of(known, config.DEFAULT_PATH)
    if not listed:
        raise CommctlError("no endpoint: say with --endpoint where the hosts find the server")
    ours = config.checked_endpoint(listed[0], "the configuration file")
    if _is_loopback(urlsplit(ours).hostname or ""):
        raise CommctlError(f"a host would look for {ours} on itself; say with --endpoint where it finds the server")
    return ours


def credentials(username: str | None, known: dict[str, Any], *, ask_again: bool) -> tuple[str, str]:
    """Return name and password: those *known*, if they are the user's and *ask_again* is false, else what is typed."""
    user = username or known.get("username")
    if not user:
        if not on_terminal():
            raise CommctlError("no username: say with --username whom the hosts sign in as")
        user = ask("username")
    if ask_again or user != known.get("username") or not known.get("password"):
        return user, ask_password()
    warn(
        "your own password travels in this user-data: better use one of a user with the role registrar, with -u and -p"
    )
    return user, known["password"]


def authorities(path: Path | None, known: dict[str, Any], configuration: Path) -> str:
    """Return the certificates in *path*, else in the configuration's certificate-authority, "" for neither."""
    if path:
        return read_text(path, "CA file")
    return config.pem(known, "certificate-authority", configuration)


def cloud_config(path: Path | None) -> str:
    """Return what *path* holds. Raises CommctlError for what cloud-init wouldn't take for a cloud-config."""
    if path is None:
        return NO_CLOUD_CONFIG
    text = read_text(path, "cloud-init file")
    if text.split("\n", 1)[0].strip() != "#cloud-config":
        raise CommctlError(f"the cloud-init file {path} is no cloud-config: its first line must be #cloud-config")
    return text


def checked_path(path: str) -> str:
    """Return *path*. Raises CommctlError for one that would depend on where the host happens to be."""
    if not PATH.fullmatch(path):
        raise CommctlError(f"{path!r} is no path from / or ~ on")
    return path


def write(path: Path, text: str) -> None:
    """Write *text* to *path*, which only its owner may read: there is a password in it."""
    try:
        with os.fdopen(os.open(path.expanduser(), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(text)
    except OSError as error:
        raise CommctlError(f"{path} can't be written: {error.strerror}") from None


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"

"""The first administrator: made at the first start, when nobody has configured how to sign in."""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path

from commissaire.auth.httpbasicauth import hash_password

NAME = "admin"


def create(users_file: Path) -> str | None:
    """Make *users_file* (mode 0600) with an administrator; return the password, None when the file was there."""
    password = secrets.token_urlsafe(18)
    document = json.dumps({NAME: {"hash": hash_password(password)}}, indent=2)
    return password if write_once(users_file, document) else None


def write_client_configuration(path: Path, endpoint: str, password: str) -> bool:
    """Make commctl's configuration file (mode 0600) unless there is one; return whether it was made."""
    document = {"username": NAME, "password": password, "endpoint": endpoint}
    return write_once(path, json.dumps(document, indent=2))


def write_once(path: Path, text: str) -> bool:
    """Write *text* to *path* (mode 0600) if there is no such file; return whether there was none."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return False
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text + "\n")
    return True

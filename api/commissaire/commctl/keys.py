"""SSH keys as they are given on the command line."""

from __future__ import annotations

import base64
import re
from itertools import pairwise
from typing import TYPE_CHECKING

from commissaire.commctl.errors import CommctlError

if TYPE_CHECKING:
    from pathlib import Path

PUBLIC_KEY = re.compile(r"(ssh-|ecdsa-sha2-|sk-)[a-z0-9@.-]+")


def private_key(path: Path) -> str:
    """Return the file's content in base64. Raises CommctlError for one that is unreadable, empty or a public key."""
    try:
        content = path.expanduser().read_bytes()
    except OSError as error:
        raise CommctlError(f"the key file {path} can't be read: {error.strerror}") from None
    head = content.lstrip()[:200].decode(errors="replace")
    if not head:
        raise CommctlError(f"the key file {path} is empty")
    if PUBLIC_KEY.match(head) or re.match(r"-+ ?BEGIN [A-Z0-9 ]*PUBLIC KEY", head):
        private = f": {path.with_suffix('')}" if path.suffix == ".pub" else ""
        raise CommctlError(f"{path} holds a public key; give the private key that belongs to it{private}")
    return base64.b64encode(content).decode()


def host_key(text: str) -> str:
    """Return "type key" from a public key line, also one of known_hosts. Raises CommctlError for anything else."""
    words = text.split()
    for kind, key in pairwise(words):
        if PUBLIC_KEY.fullmatch(kind) and key.startswith("AAAA"):
            return f"{kind} {key}"
    raise CommctlError(f'{text!r} is no SSH host key like "ssh-ed25519 AAAA..." (quoted: one argument)')

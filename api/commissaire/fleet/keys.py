"""The fleet's private ssh keys: what a client sends, and what ssh needs of it."""

from __future__ import annotations

import base64
import binascii
import hashlib

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
    load_ssh_private_key,
)

from commissaire.fleet.errors import Invalid
from commissaire.records import Host

SSH_KEY_FIELD = "ssh_priv_key"
"""The field under which the store of secrets keeps a host's private key, base64 as it came."""


class UnusableKey(Exception):
    """A private key that ssh can't use; the message says why, never what it holds."""


def secret_owner(host: Host) -> str:
    """Return the owner under which the store of secrets keeps a host's secrets."""
    return f"host/{host.id}"


def check_encoded_key(value: object) -> str:
    """Return *value* when it is base64, as `ssh_priv_key` must be; what it encodes is looked at when it is used.

    Raises:
        Invalid: it is not a string, or not base64 on one line.
    """
    if not isinstance(value, str):
        raise Invalid(
            "ssh_priv_key must be a string: the private key, base64 encoded without newlines (base64 -w0 FILE)"
        )
    try:
        base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Invalid(f"ssh_priv_key is not base64 without newlines (base64 -w0 FILE): {error}") from error
    return value


def private_text(encoded: str) -> str:
    """Decode a stored key to the text ssh-add reads.

    Raises:
        UnusableKey: it is not text.
    """
    try:
        return base64.b64decode(encoded).decode("ascii").replace("\r\n", "\n").strip() + "\n"
    except UnicodeDecodeError as error:
        raise UnusableKey("its ssh_priv_key is no private key: not even text") from error


def public_text(private: str) -> str:
    """Return the public half as `TYPE BASE64`.

    Raises:
        UnusableKey: it is no private key, or one behind a passphrase.
    """
    data = private.encode()
    loader = load_ssh_private_key if b"BEGIN OPENSSH PRIVATE KEY" in data else load_pem_private_key
    try:
        key = loader(data, password=None)
        return key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    except TypeError as error:
        raise UnusableKey("its ssh_priv_key is behind a passphrase; give a key without one") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise UnusableKey("its ssh_priv_key is no private key that ssh can read; give another one") from error


def fingerprint(private: str) -> str:
    """Return a short name for a key, the same for the same key."""
    return hashlib.sha256(private.encode()).hexdigest()[:20]

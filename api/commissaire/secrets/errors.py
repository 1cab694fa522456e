"""What can go wrong with secrets. No message ever holds one."""

from __future__ import annotations


class SecretError(Exception):
    """A secret or the master key can't be used; the message names it, the cause and the next step."""


class StoreUnavailable(SecretError):
    """The backend that keeps the secret does not answer just now."""

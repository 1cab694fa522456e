"""The Unix account that a host is signed in to."""

import re

from commissaire.commctl.errors import CommctlError

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}", re.ASCII)


def checked_user(user: str, what: str) -> str:
    """Return *user*. Raises CommctlError, which says *what* it was, when no account can be called that."""
    if not _NAME.fullmatch(user):
        raise CommctlError(f"{what} {user!r} is no name of a Unix account")
    return user

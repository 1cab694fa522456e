"""Paths whose routes authenticate their clients themselves (CPD-101), so that the gate lets them pass."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from commissaire.configuration import SettingsError

SELF_AUTHENTICATING = ("/api/v0/secrets",)
"""Where every route asks for credentials of its own."""


class SelfAuths:
    """The configured paths, each with everything below it.

    A path is compared as it is routed: decoded, without one slash at its end; `..` means nothing to either.
    """

    def __init__(self, paths: Iterable[str]) -> None:
        self._paths = tuple(path.rstrip("/") for path in paths)

    def cover(self, path: str) -> bool:
        """Tell whether the routes at *path* authenticate their clients themselves."""
        return any(path == covered or path.startswith(f"{covered}/") for covered in self._paths)


def check_self_auths(paths: Sequence[str]) -> None:
    """Refuse a path whose routes don't authenticate their clients: it would be open to everybody.

    Raises:
        SettingsError: there is such a path.
    """
    authenticated = SelfAuths(SELF_AUTHENTICATING)
    for path in paths:
        if not authenticated.cover(path.rstrip("/")):
            raise SettingsError(
                f"self_auths: nothing at {path!r} authenticates its clients, so it would be open to everybody; "
                f"only {', '.join(SELF_AUTHENTICATING)} and paths below it can be named"
            )

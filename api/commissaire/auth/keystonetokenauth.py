"""Keystone's tokens, in the header X-Auth-Token."""

from __future__ import annotations

from typing import ClassVar

from commissaire.auth.keystone import Keystone
from commissaire.auth.plugin import Identity, SignIn


class KeystoneTokenAuth:
    """Users of Keystone; those of other domains than *domain* are called NAME@DOMAIN.

    With *project*, one of *domain*, their tokens must be for it, and their roles in it are groups.
    """

    cacheable = True
    warn_of_default_role = True
    security: ClassVar = {"type": "apiKey", "in": "header", "name": "X-Auth-Token"}

    def __init__(
        self, url: str, domain: str = "Default", project: str | None = None, certificate_authority: str | None = None
    ) -> None:
        self._keystone = Keystone(url, domain, project, certificate_authority)

    def authenticate(self, sign_in: SignIn) -> Identity | None:
        """See `Authenticator.authenticate`."""
        token = sign_in.headers.get("x-auth-token", "")
        return self._keystone.of_token(token) if token and token.isascii() else None


PluginClass = KeystoneTokenAuth

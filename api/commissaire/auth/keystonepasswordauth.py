"""User and password of HTTP basic authentication, exchanged at Keystone."""

from __future__ import annotations

from commissaire.auth.basic import SECURITY, basic_credentials
from commissaire.auth.keystone import Keystone
from commissaire.auth.plugin import Identity, SignIn


class KeystonePasswordAuth:
    """Users of *domain*. With *project* they need a role in it, and their roles in it are groups."""

    cacheable = True
    warn_of_default_role = True
    security = SECURITY

    def __init__(
        self, url: str, domain: str = "Default", project: str | None = None, certificate_authority: str | None = None
    ) -> None:
        self._keystone = Keystone(url, domain, project, certificate_authority)

    def authenticate(self, sign_in: SignIn) -> Identity | None:
        """See `Authenticator.authenticate`."""
        credentials = basic_credentials(sign_in.headers.get("authorization", ""))
        return self._keystone.of_password(*credentials) if credentials else None


PluginClass = KeystonePasswordAuth

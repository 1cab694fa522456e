"""What an authentication plugin is: ours and the users' own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from cryptography.x509 import Certificate

from commissaire.auth.role import Role


@dataclass(frozen=True)
class SignIn:
    """What a request shows of its sender.

    `certificate` is the TLS client certificate, verified against `tls_clientverifyfile`; `scheme` is `http` or `https`,
    `client` the sender's address.
    """

    headers: Mapping[str, str] = field(default_factory=dict, repr=False)  # names in lower case
    certificate: Certificate | None = None
    scheme: str = "http"
    client: str = ""


@dataclass(frozen=True)
class Identity:
    """Who it is. `role` is for plugins that know it; what the configuration says of a name or a group comes first."""

    name: str
    groups: frozenset[str] = frozenset()
    role: Role | None = None


class Authenticator(Protocol):
    """Tells who sends a request. A plugin's module has one as `PluginClass`, made with the plugin's options.

    It may have these, too:

    - `cacheable = True`: its answer follows from the headers `Authorization` and `X-Auth-Token` and the client
      certificate alone, so that it may be remembered for them.
    - `default_role`, a `Role`: what those have of whom the configuration says nothing; administrator without it.
    - `default_roles`: as the option `roles`, when the configuration has neither `role` nor `roles`.
    - `security`: an OpenAPI security scheme; `{"type": "http", "scheme": …}` also makes the challenge of a 401.
    """

    def authenticate(self, sign_in: SignIn) -> Identity | None:
        """Return who it is, or None: then the next plugin is asked.

        May block, in a thread. To answer by itself it raises `fastapi.HTTPException`, and nobody else is asked.
        Whatever else it raises counts as None, and is logged.
        """

"""What a client proves with who it is."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Credentials:
    """A name and a password, a bearer token, a client certificate (PEM text, its key apart or in it), or several."""

    username: str = ""
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    certificate: str = field(default="", repr=False)
    key: str = field(default="", repr=False)

    @property
    def owner(self) -> str:
        """Whom the server sees, in words."""
        if self.token:
            return "the token's owner"
        return self.username or "the certificate's owner"

"""Names below `/api/v0/secrets`, as Custodia has them: a container ends with a slash, a secret does not."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote, unquote_to_bytes

from commissaire.fleet.errors import Invalid

_MAX_COMPONENT = 255
_MAX_PATH = 1000


@dataclass(frozen=True)
class SecretPath:
    """A checked path, without API id; the root is a container without names."""

    names: tuple[str, ...]
    is_container: bool

    def __str__(self) -> str:
        return "/".join(self.names) + ("/" if self.names and self.is_container else "")

    @property
    def parent(self) -> SecretPath:
        """The container it lies in."""
        return SecretPath(self.names[:-1], is_container=True)

    @property
    def quoted(self) -> str:
        """The path as it stands in a URL."""
        return "/".join(quote(name, safe="") for name in self.names) + ("/" if self.names and self.is_container else "")


def parse_path(raw: bytes, prefix: str) -> SecretPath:
    """Read the path of a URL, still percent-encoded, behind *prefix*: what is encoded never separates names.

    Raises:
        Invalid: a name that is empty, `.`, `..`, too long, not UTF-8, or with a slash or a control character.
    """
    parts = raw.removeprefix(prefix.encode()).removeprefix(b"/").split(b"/")
    is_container = parts[-1] == b""
    names = tuple(_name(part) for part in (parts[:-1] if is_container else parts))
    if len("/".join(names)) > _MAX_PATH:
        raise Invalid(f"the path is longer than {_MAX_PATH} characters")
    return SecretPath(names, is_container)


def _name(quoted: bytes) -> str:
    try:
        name = unquote_to_bytes(quoted).decode("utf-8")
    except UnicodeDecodeError:
        raise Invalid("a name in the path is not UTF-8") from None
    if name in ("", ".", "..") or "/" in name or not name.isprintable() or len(name) > _MAX_COMPONENT:
        raise Invalid(
            f"{name[:80]!r} can't be a name: 1 to {_MAX_COMPONENT} printable characters without a slash, not . or .."
        )
    return name

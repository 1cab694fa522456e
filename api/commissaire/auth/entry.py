"""An entry of `authentication-plugins`: a plugin, and the roles of those it lets in."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from commissaire.auth.plugin import Authenticator, Identity, SignIn
from commissaire.auth.role import Role
from commissaire.configuration import SettingsError
from commissaire.settings import AuthenticationPlugin

_OLD_PREFIX = "commissaire_http.authentication."
_GROUP = "group:"
_OWN = {
    "httpauthclientcert": "commissaire.auth.httpauthclientcert",
    "httpbasicauth": "commissaire.auth.httpbasicauth",
    "keystonepasswordauth": "commissaire.auth.keystonepasswordauth",
    "keystonetokenauth": "commissaire.auth.keystonetokenauth",
    "kubernetes": "commissaire.auth.kubernetes",
    "openshift": "commissaire.auth.kubernetes",
}
log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class User:
    """Somebody who signed in."""

    name: str
    role: Role
    groups: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Entry:
    """A plugin with `roles` by name and by `group:NAME`, and `role` for those of whom nothing else is known."""

    name: str
    authenticator: Authenticator
    roles: Mapping[str, Role]
    role: Role

    @property
    def cacheable(self) -> bool:
        """Whether its answers may be remembered."""
        return bool(getattr(self.authenticator, "cacheable", False))

    @property
    def security(self) -> dict[str, str] | None:
        """Its OpenAPI security scheme, if it tells."""
        return getattr(self.authenticator, "security", None)

    def identify(self, sign_in: SignIn) -> User | None:
        """Ask the plugin; what it raises is for the caller."""
        identity = self.authenticator.authenticate(sign_in)
        if identity is None:
            return None
        if not isinstance(identity, Identity):
            raise TypeError(f"it must return an Identity or None, not {type(identity).__name__}")
        return User(identity.name, self._role_of(identity), identity.groups)

    def _role_of(self, identity: Identity) -> Role:
        # a user may be called group:x, and is no group for that
        by_name = None if identity.name.startswith(_GROUP) else self.roles.get(identity.name)
        groups = {self.roles[key] for key in (f"{_GROUP}{group}" for group in identity.groups) if key in self.roles}
        return Role(by_name or Role.mightiest(groups) or identity.role or self.role)


def load(plugins: list[AuthenticationPlugin]) -> list[Entry]:
    """Make the authenticators of the configuration: ours by name, long or short, others by their module.

    Raises:
        SettingsError: a plugin that does not exist, or does not take its options.
    """
    return [_load_one(plugin) for plugin in plugins]


def security_schemes(entries: Iterable[Entry]) -> dict[str, dict[str, str]]:
    """Return the OpenAPI security schemes of the plugins that tell theirs."""
    schemes = [entry.security for entry in entries if entry.security]
    return {scheme.get("scheme") or scheme.get("name") or scheme["type"]: scheme for scheme in schemes}


def _load_one(plugin: AuthenticationPlugin) -> Entry:
    plugin_class = _plugin_class(plugin.name)
    try:
        authenticator: Authenticator = plugin_class(**plugin.options)
    except SettingsError as error:
        raise SettingsError(f"authentication plugin {plugin.name}: {error}") from error
    except TypeError as error:
        raise SettingsError(f"authentication plugin {plugin.name} does not take these options: {error}") from error
    default = Role(getattr(authenticator, "default_role", Role.ADMINISTRATOR))
    if plugin.role is not None or plugin.roles is not None:
        return Entry(plugin.name, authenticator, plugin.roles or {}, plugin.role or Role.VIEWER)
    if getattr(authenticator, "warn_of_default_role", False):
        log.warning(
            "role_not_said",
            plugin=plugin.name,
            message=f"everybody it lets in is {default}; say who is what with its options role and roles",
        )
    return Entry(plugin.name, authenticator, getattr(authenticator, "default_roles", {}), default)


def _plugin_class(name: str) -> Any:
    module = _OWN.get(name.removeprefix(_OLD_PREFIX), name)
    try:
        return importlib.import_module(module).PluginClass
    except Exception as error:  # whatever a module of the user's own raises when it is imported
        known = ", ".join(sorted(_OWN))
        raise SettingsError(
            f"there is no authentication plugin {name!r}: {error}; Commissaire has: {known}; "
            "others are named by a module that can be imported and has a PluginClass"
        ) from error

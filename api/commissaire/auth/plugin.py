"""What an authentication plugin is, and how the configured ones are found."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any, Protocol

from commissaire.settings import AuthenticationPlugin, SettingsError

_OLD_PREFIX = "commissaire_http.authentication."
_OWN = {"httpbasicauth": "commissaire.auth.httpbasicauth"}


class Authenticator(Protocol):
    """Tells who sends a request. A plugin's module has one as `PluginClass`, made with the plugin's options.

    `cacheable` says that its answer follows from the headers `Authorization` and `X-Auth-Token` alone, so that it may
    be remembered for them.
    """

    cacheable: bool

    def authenticate(self, headers: Mapping[str, str]) -> str | None:
        """Return the user's name, or None to refuse. *headers* have lower-case names. May block; never raises."""


def load(plugins: list[AuthenticationPlugin]) -> list[Authenticator]:
    """Make the authenticators of the configuration: ours by name, long or short, others by their module.

    Raises:
        SettingsError: a plugin that does not exist, or does not take its options.
    """
    return [_load_one(plugin.name, plugin.options) for plugin in plugins]


def _load_one(name: str, options: dict[str, Any]) -> Authenticator:
    plugin_class = _plugin_class(name)
    try:
        authenticator: Authenticator = plugin_class(**options)
    except TypeError as error:
        raise SettingsError(f"authentication plugin {name} does not take these options: {error}") from error
    return authenticator


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

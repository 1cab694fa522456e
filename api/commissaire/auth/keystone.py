"""Keystone, OpenStack's identity service (v3): whose password or token is this?

https://docs.openstack.org/api-ref/identity/v3/#authentication-and-token-management
"""

from __future__ import annotations

import ssl
from typing import Any

import httpx
import structlog

from commissaire.auth.plugin import Identity
from commissaire.configuration import SettingsError

_TIMEOUT_SECONDS = 5
_REFUSALS = (400, 401, 404)  # credentials of no possible form, wrong ones, a token that is none
log = structlog.get_logger(__name__)


class Keystone:
    """One Keystone, over connections that are kept. *url* may end in /v3 or not.

    Users of other domains than *domain* are called NAME@DOMAIN. With *project*, one of *domain*, passwords and tokens
    must be good for it, and groups are the roles in it.
    """

    def __init__(self, url: str, domain: str, project: str | None, certificate_authority: str | None) -> None:
        self._domain = domain
        self._project = project
        self._url = url.rstrip("/").removesuffix("/v3") + "/v3/auth/tokens"
        if not self._url.startswith(("http://", "https://")):
            raise SettingsError(f"Keystone's url must be http://… or https://…, not {url!r}")
        try:
            verify = ssl.create_default_context(cafile=certificate_authority)
        except OSError as error:
            raise SettingsError(f"can't read the certificate_authority {certificate_authority}: {error}") from error
        self._client = httpx.Client(timeout=_TIMEOUT_SECONDS, verify=verify, trust_env=False)

    def of_password(self, user: str, password: str) -> Identity | None:
        """Return who *user* of the domain is, if that is the password."""
        in_domain = {"domain": {"name": self._domain}}
        identity = {"methods": ["password"], "password": {"user": {"name": user, "password": password, **in_domain}}}
        auth: dict[str, Any] = {"identity": identity}
        if self._project is not None:
            auth["scope"] = {"project": {"name": self._project, **in_domain}}
        return self._ask("POST", json={"auth": auth})

    def of_token(self, token: str) -> Identity | None:
        """Return whose token it is."""
        return self._ask("GET", headers={"X-Auth-Token": token, "X-Subject-Token": token})

    def _ask(self, method: str, **request: Any) -> Identity | None:
        try:
            answer = self._client.request(method, self._url, params={"nocatalog": ""}, **request)
        except httpx.HTTPError as error:
            log.error("keystone_does_not_answer", url=self._url, error=str(error) or type(error).__name__)
            return None
        if answer.is_success:
            return self._identity(answer)
        if answer.status_code not in _REFUSALS or "error" not in answer.text:
            log.error("keystone_answers_strangely", url=self._url, status=answer.status_code)
        return None

    def _identity(self, answer: httpx.Response) -> Identity | None:
        try:
            token = answer.json()["token"]
            name, home = token["user"]["name"], token["user"]["domain"]["name"]
            groups: frozenset[str] = frozenset()
            if self._project is not None:  # roles in any other one say nothing: everybody may be an admin of something
                scope = token.get("project")
                if scope is None or (scope["name"], scope["domain"]["name"]) != (self._project, self._domain):
                    return None
                groups = frozenset(role["name"] for role in token["roles"])
        except (ValueError, KeyError, TypeError):
            log.error("keystone_answers_strangely", url=self._url, status=answer.status_code)
            return None
        return Identity(name if home == self._domain else f"{name}@{home}", groups)

"""`/api/v0/secrets` where Custodia keeps secrets: each request goes on to it, with the caller's own id and key."""

from __future__ import annotations

from typing import Any

import httpx

from commissaire.fleet.errors import Conflict, NotAcceptable, NotFound, Refused
from commissaire.secrets.api_id import is_api_id
from commissaire.secrets.custodia import CustodiaClient
from commissaire.secrets.errors import StoreUnavailable
from commissaire.secrets.path import SecretPath
from commissaire.secrets.tree import Caller

_ROOT = SecretPath((), is_container=True)


class CustodiaTree:
    """A tree below `/secrets/API_ID/`, whatever else Custodia's authorizers allow. See `SecretTree`."""

    def __init__(self, client: CustodiaClient) -> None:
        self._client = client

    def authenticate(self, caller: Caller) -> None:
        """Ask Custodia: it answers a PUT of a container 405, but 403 to whom it does not know."""
        known = is_api_id(caller.api_id) and caller.key.isascii() and caller.key.isprintable() and bool(caller.key)
        if not known or self._request("PUT", caller, _ROOT).status_code != 405:
            raise Refused("Custodia does not know the API id or its key; its administrator makes them")

    def list(self, caller: Caller, path: SecretPath) -> list[str]:
        """See `SecretTree.list`."""
        answer = self._request("GET", caller, path)
        if answer.status_code == 404 and not path.names:
            return []
        names: list[str] = self._checked(answer, path).json()
        return sorted(names)

    def get(self, caller: Caller, path: SecretPath) -> str:
        """See `SecretTree.get`."""
        return str(self._checked(self._request("GET", caller, path), path).json()["value"])

    def put(self, caller: Caller, path: SecretPath, value: str) -> None:
        """See `SecretTree.put`."""
        if path.parent.names == (caller.api_id,):
            self.make(caller, path.parent)
        self._write("PUT", caller, path, json={"type": "simple", "value": value})

    def make(self, caller: Caller, path: SecretPath) -> bool:
        """See `SecretTree.make`."""
        return self._write("POST", caller, path).status_code == 201

    def delete(self, caller: Caller, path: SecretPath) -> None:
        """See `SecretTree.delete`."""
        self._checked(self._request("DELETE", caller, path), path)

    def close(self) -> None:
        """See `SecretTree.close`."""
        self._client.close()

    def _write(self, method: str, caller: Caller, path: SecretPath, *, json: Any = None) -> httpx.Response:
        answer = self._request(method, caller, path, json=json)
        if answer.status_code == 404:  # perhaps the caller's first: its tree does not exist
            self._request("POST", caller, _ROOT)
            answer = self._request(method, caller, path, json=json)
        return self._checked(answer, path)

    def _request(self, method: str, caller: Caller, path: SecretPath, *, json: Any = None) -> httpx.Response:
        return self._client.request(method, path.quoted, caller.api_id, caller.key, json=json)

    @staticmethod
    def _checked(answer: httpx.Response, path: SecretPath) -> httpx.Response:
        if answer.is_success:
            return answer
        if answer.status_code == 403:
            raise Refused(f"Custodia does not let this API id use {path}")
        if answer.status_code == 404:
            raise NotFound(f"there is no {path}, or no container that it would lie in; POST makes containers")
        if answer.status_code == 406:
            raise NotAcceptable(f"secret {path} is empty, and Custodia shows no empty ones")
        if answer.status_code == 409:
            raise Conflict(f"there is a secret {path} already, or container {path} is not empty; delete that first")
        raise StoreUnavailable(f"Custodia answers {answer.status_code}; its log says why")

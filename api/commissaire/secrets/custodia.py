"""Custodia's HTTP interface on its Unix socket, and values kept there (Custodia 0.6, messages of type simple)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from commissaire.records import Secret
from commissaire.secrets.backend import Opened
from commissaire.secrets.errors import SecretError, StoreUnavailable
from commissaire.secrets.reference import is_unused, new_reference
from commissaire.secrets.silence import Silence

_AT_ONCE = 4
"""Custodia forks for each request, and lets five wait."""
_TIMEOUT_SECONDS = 5


class CustodiaClient:
    """Sends requests with an API id and its key. Thread-safe."""

    def __init__(self, socket_path: Path) -> None:
        self._socket_path = socket_path
        self._silence = Silence()
        limits = httpx.Limits(max_connections=_AT_ONCE, max_keepalive_connections=0)
        self._client = httpx.Client(
            transport=httpx.HTTPTransport(uds=str(socket_path), retries=2, limits=limits),
            base_url="http://custodia",
            timeout=httpx.Timeout(_TIMEOUT_SECONDS, pool=60),
        )

    def request(self, method: str, path: str, api_id: str, key: str, *, json: Any = None) -> httpx.Response:
        """Return what Custodia answers for *path*, below `/secrets/API_ID/`, but errors of its own.

        Raises:
            StoreUnavailable: it does not answer, or answers that it failed.
        """
        self._silence.check(f"Custodia on {self._socket_path}")
        headers = {"CUSTODIA_AUTH_ID": api_id, "CUSTODIA_AUTH_KEY": key, "CUSTODIA_KEY_ID": key}
        url = f"/secrets/{quote(api_id, safe='')}/{path}"
        try:
            answer = self._client.request(method, url, headers=headers, json=json)
        except httpx.HTTPError as error:
            if isinstance(error, (httpx.ConnectTimeout, httpx.ReadTimeout)):
                self._silence.note()
            why = str(error) or type(error).__name__
            raise StoreUnavailable(
                f"Custodia does not answer on {self._socket_path}: {why}; see that it runs and that the server may "
                "use its socket (custodia_socket_path)"
            ) from error
        if answer.status_code >= 500:
            raise StoreUnavailable(f"Custodia answers {answer.status_code}; its log says why")
        return answer

    def close(self) -> None:
        """Close connections."""
        self._client.close()


class CustodiaBackend:
    """Keeps each value under a name of its own in Commissaire's container; records have the name."""

    def __init__(self, client: CustodiaClient, api_id: str, key: str) -> None:
        self._client = client
        self._api_id = api_id
        self._key = key
        self._threads = ThreadPoolExecutor(_AT_ONCE, "custodia")

    def seal(self, secret: Secret, value: str) -> None:
        """See `Backend.seal`. An empty value is no value to Custodia; its record says so without it."""
        reference = new_reference() if value else ""
        if value:
            message = {"type": "simple", "value": value}
            answer = self._request("PUT", reference, json=message)
            if answer.status_code == 404:  # perhaps the first one: our container does not exist
                self._request("POST", "")
                answer = self._request("PUT", reference, json=message)
            if answer.status_code != 201:
                raise StoreUnavailable(f"Custodia answers {answer.status_code} to a new secret; its log says why")
        secret.key_id, secret.wrapped_key, secret.sealed = "", b"", reference.encode()

    def open(self, secrets: Sequence[Secret]) -> list[Opened]:
        """See `Backend.open`. Custodia has no request for many: some are under way at the same time."""
        return list(self._threads.map(self._open, secrets))

    def delete(self, references: Iterable[bytes]) -> None:
        """See `Backend.delete`."""
        list(self._threads.map(lambda reference: self._request("DELETE", reference.decode()), references))

    def unused(self, used: set[bytes]) -> list[bytes]:
        """See `Backend.unused`."""
        answer = self._request("GET", "")
        names = answer.json() if answer.status_code == 200 else []
        return [name.encode() for name in names if is_unused(name, used)]

    def close(self) -> None:
        """See `Backend.close`."""
        self._threads.shutdown()
        self._client.close()

    def _open(self, secret: Secret) -> Opened:
        if not secret.sealed:
            return ""
        answer = self._request("GET", secret.sealed.decode())
        if answer.status_code != 200:
            return SecretError(
                f"{secret.field} of {secret.owner} is not in Custodia any more (it answers {answer.status_code}); "
                "record it anew, or restore Custodia's data"
            )
        return str(answer.json()["value"])

    def _request(self, method: str, path: str, *, json: Any = None) -> httpx.Response:
        answer = self._client.request(method, path, self._api_id, self._key, json=json)
        if answer.status_code == 403:
            raise StoreUnavailable(
                f"Custodia refuses API id {self._api_id}; see custodia_api_id, custodia_api_key, and what Custodia's "
                "configuration allows it"
            )
        return answer

"""The records, for a service: read and written by REST, and told of by the bus."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar
from urllib.parse import quote

import httpx
import structlog

from commissaire.configuration import SettingsError
from commissaire.service.records import MODELS, Cluster, ContainerManager, Host, Network, Record
from commissaire.service.settings import ServiceSettings

CREATED: Final = "created"
UPDATED: Final = "updated"
DELETED: Final = "deleted"
ANY: Final = "*"

Callback = Callable[[str, Any, Any], None]
"""Called with the event, the record, and kombu's message."""

R = TypeVar("R", Host, Cluster, Network, ContainerManager)
_ROUTES: dict[type[Record], tuple[str, str]] = {
    Cluster: ("cluster", "clusters"),
    Network: ("network", "networks"),
    ContainerManager: ("containermanager", "containermanagers"),
}
log = structlog.get_logger(__name__)


class StorageError(Exception):
    """The server can't be reached, or refused; `status` is that of HTTP, 0 when there was no answer."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class NotFound(StorageError):
    """There is no such record."""


@dataclass(frozen=True)
class _Subscription:
    model: type[Record] | None
    event: str
    callback: Callback

    @property
    def routing_key(self) -> str:
        return f"notify.storage.{self.model.__name__ if self.model else '*'}.{self.event}"


class StorageClient:
    """Reads and writes `Host`, `Cluster`, `Network` and `ContainerManager`; not for use from several threads.

    Raises:
        SettingsError: `cafile` can't be used.
    """

    def __init__(self, settings: ServiceSettings) -> None:
        self._endpoint = settings.endpoint
        try:
            verify = ssl.create_default_context(cafile=settings.cafile)
        except OSError as error:
            raise SettingsError(f"cafile: can't read authorities from {settings.cafile}: {error}") from error
        self._http = httpx.Client(
            base_url=settings.endpoint or "", auth=(settings.username, settings.password), verify=verify, timeout=30
        )
        self._subscriptions: list[_Subscription] = []

    def register_callback(self, callback: Callback, model: type[Record] | None = None, event: str = ANY) -> None:
        """Call *callback* when *event* happens to a record of *model*, or of any when it is None.

        To be said before the service runs. The callback is given the event, the record and kombu's message.
        """
        self._subscriptions.append(_Subscription(model, event, callback))

    @property
    def routing_keys(self) -> list[str]:
        """What is subscribed to."""
        return sorted({subscription.routing_key for subscription in self._subscriptions})

    def notify(self, body: dict[str, Any], message: Any) -> None:
        """Call the callbacks that a notification is for; what one of them raises is logged, and the next is called."""
        event, model = body["params"]["event"], MODELS.get(body["params"]["model"])
        if model is None:
            return
        for subscription in self._subscriptions:
            if subscription.model in (None, model) and subscription.event in (ANY, event):
                try:
                    subscription.callback(event, model.of(body["params"]["record"]), message)
                except Exception:
                    log.exception("callback_failed", notification=body["method"])

    def get(self, model: type[R], name: str) -> R:
        """Return the record of that name, or address.

        Raises:
            NotFound: there is none.
            StorageError: the server can't be reached, or refused.
        """
        return model.of(self._ask("GET", _path(model, name)))

    def list(self, model: type[R]) -> list[R]:
        """Return all records, by their names.

        Raises:
            StorageError: the server can't be reached, or refused.
        """
        if model is not Host:
            return [self.get(model, name) for name in self._ask("GET", f"/api/v0/{_ROUTES[model][1]}")]
        found: list[R] = []
        after: str | None = ""
        while after is not None:
            page = self._ask("GET", f"/api/v1/hosts?after={quote(after, safe='')}")
            found.extend(model.of(item) for item in page["items"])
            after = page["next"]
        return found

    def save(self, record: R) -> R:
        """Write a record, and return it as it is now.

        Of a host that is recorded already only the cluster can change; of a cluster all but its name. `hostset` is
        compared and set: the members change only if they still are those that were read with the record, or, when it
        was not read, those of this moment. None, or what was read, leaves them as they are.

        Raises:
            StorageError: the server can't be reached, or refused; 409 when others have changed the members.
        """
        name = self._save_host(record) if isinstance(record, Host) else self._save(record)
        return self.get(type(record), name)

    def delete(self, model: type[R], name: str) -> None:
        """Delete a record.

        Raises:
            StorageError: the server can't be reached, or refused.
        """
        self._ask("DELETE", f"/api/v0/host/{quote(name, safe='')}" if model is Host else _path(model, name), {})

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _save(self, record: Cluster | Network | ContainerManager) -> str:
        if not isinstance(record, Cluster):
            self._ask("PUT", _path(type(record), record.name), {"type": record.type, "options": record.options})
            return record.name
        path = _path(Cluster, record.name)
        wanted = {"network": record.network, "container_manager": record.container_manager or ""}
        self._ask("PUT", path, wanted)
        if record.hostset is not None and record.hostset != record.members_read:
            old = self.get(Cluster, record.name).hostset if record.members_read is None else record.members_read
            self._ask("PUT", f"{path}/hosts", {"old": old, "new": record.hostset})
            record.members_read = list(record.hostset)
        return record.name

    def _save_host(self, host: Host) -> str:
        try:
            present = self.get(Host, host.address)
        except NotFound:
            body = {"remote_user": host.remote_user, "source": host.source}
            optional = {"cluster": host.cluster, "ssh_priv_key": host.ssh_priv_key}
            body.update({name: value for name, value in optional.items() if value is not None})
            self._ask("PUT", f"/api/v0/host/{quote(host.address, safe='')}", body)
            return host.address
        if present.cluster != host.cluster:
            for method, cluster in (("DELETE", present.cluster), ("PUT", host.cluster)):
                if cluster:
                    self._ask(method, f"{_path(Cluster, cluster)}/hosts/{quote(host.address, safe='')}", {})
        return host.address

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        if self._endpoint is None:
            raise StorageError("no server to ask: set endpoint, username and password in the service's configuration")
        try:
            answer = self._http.request(method, path, json=body)
        except httpx.TransportError as error:
            raise StorageError(f"{method} {self._endpoint}{path}: {error or type(error).__name__}") from error
        if answer.is_success:
            return answer.json()
        kind = NotFound if answer.status_code == 404 else StorageError
        raise kind(f"{method} {path}: {answer.status_code}, {_detail(answer)}", answer.status_code)


def _path(model: type[Record], name: str) -> str:
    if model is Host:
        return f"/api/v1/hosts/{quote(name, safe='')}"
    return f"/api/v0/{_ROUTES[model][0]}/{quote(name, safe='')}"


def _detail(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return answer.reason_phrase

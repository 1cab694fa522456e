"""What the routes work with: made once an application, given to each handler."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Request
from starlette.requests import HTTPConnection

from commissaire.auth.throttle import Throttle
from commissaire.database import Database
from commissaire.dispatch.dispatcher import Dispatcher
from commissaire.fleet.operations import Requester
from commissaire.machines.events import MachineEvents
from commissaire.machines.hypervisors import Hypervisors
from commissaire.notices import Notices
from commissaire.secrets.store import SecretStore
from commissaire.secrets.tree import SecretTree
from commissaire.settings import Settings


@dataclass
class Services:
    """The parts of a running server."""

    settings: Settings
    database: Database
    secrets: SecretStore
    secret_tree: SecretTree
    notices: Notices
    dispatcher: Dispatcher
    key_throttle: Throttle
    wake_watcher: Callable[[], None]
    wake_scheduler: Callable[[], None]
    hypervisors: Hypervisors
    machine_events: MachineEvents
    announced: Callable[[], Sequence[str]] = tuple
    """The URIs of hypervisors that announce machines just now, those of them that are allowed."""
    stopping: bool = field(default=False)

    def announce_stop(self) -> None:
        """Let everything that waits for news see that the server stops."""
        self.stopping = True
        self.notices.publish_all()


async def _services(request: HTTPConnection) -> Services:
    services: Services = request.app.state.services
    return services


async def _requester(request: Request) -> Requester:
    return Requester(name=request.state.user, request_id=request.state.request_id)


# async, though they wait for nothing: a plain function would cost each request a change of threads
Parts = Annotated[Services, Depends(_services)]
Asker = Annotated[Requester, Depends(_requester)]

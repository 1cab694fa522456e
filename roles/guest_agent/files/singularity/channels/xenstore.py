"""xenstore, as OpenStack's XenAPI hosts use it: requests below data/host, answers below data/guest."""

from __future__ import annotations

import errno
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Callable, Dict, List, Optional, Tuple

from singularity.channels.names import xenstore_path
from singularity.channels.replies import Replies
from singularity.channels.xenstore_wire import Lost, XenstoreClient
from singularity.key_exchange import KeyExchange

if TYPE_CHECKING:
    from singularity.dialects import Dialects
    from singularity.loop import Loop

log = logging.getLogger(__name__)
REQUESTS = "data/host"
HOSTNAME = "vm-data/hostname"
NETWORKING = "vm-data/networking"


class Xenstore:
    """A connection to xenstore that is told of each request, and answers one a turn of the loop."""

    def __init__(self, name: str, path: str, loop: Loop, dialects: Dialects) -> None:
        """*path*: of xenstored's socket or Linux's device; empty for the usual one."""
        self.name = name
        self.exchange = KeyExchange()
        self._path = path
        self._loop = loop
        self._nova = dialects.nova
        self._client: Optional[XenstoreClient] = None
        self._replies: Optional[Replies] = None
        self._lost: Callable[[str], None] = lambda _: None
        self._fresh: Dict[str, None] = {}
        self._earlier: Dict[str, None] = {}
        """Requests that were there when it was looked for them; hosts may wait no more for their answers."""
        self._taken: Optional[Tuple[str, bytes]] = None
        """A request that is read, and about to be removed."""
        self._scan_wanted = False
        self._busy = False
        self._stuck: Dict[str, bytes] = {}
        self._unsent: Dict[str, bytes] = {}

    def open(self, lost: Callable[[str], None]) -> None:
        """Watch for requests, and take those that came earlier."""
        path = self._path or xenstore_path()
        if not path:
            raise FileNotFoundError(errno.ENOENT, "There is no xenstore here")
        self._client = client = XenstoreClient(path)
        self._lost = lost
        self._fresh.clear()
        self._earlier.clear()
        self._stuck.clear()
        try:
            client.watch(REQUESTS)
            self._replies = Replies(client, self._loop, self._unsent, self._go_on, self._over)
            self._replies.adopt()
        except (OSError, Lost) as error:
            self.close()
            raise OSError(errno.EIO, str(error)) from error
        self._scan_wanted = True
        self._loop.watch(client.fd, self._ready)
        self._go_on()

    def close(self) -> None:
        """End the connection."""
        if self._replies:
            self._replies.close()
            self._replies = None
        if self._client:
            self._loop.unwatch(self._client.fd)
            self._client.close()
            self._client = None

    def read_vm_data(self) -> Dict[str, str]:
        """Return the hostname and the networks that the host has for this machine."""
        if not self._client:
            raise OSError(errno.ENOTCONN, "xenstore is away")
        found = {}
        try:
            for path in (HOSTNAME, *_below(self._client, NETWORKING)):
                with suppress(FileNotFoundError):
                    found[path.partition("/")[2]] = self._client.read(path).decode("utf-8", "replace")
            return found
        except Lost as error:
            why = str(error)
            self._loop.later(0, lambda: self._over(why))
            raise OSError(errno.EIO, str(error)) from error

    def _over(self, why: str) -> None:
        if self._client:
            self._lost(why)

    def _ready(self) -> None:
        """Note what changed; the requests are answered in turns, while others wait for theirs."""
        try:
            self._note_events()
        except Lost as error:
            self._over(str(error))

    def _note_events(self) -> None:
        for path in self._client.events() if self._client else ():
            request = path[len(REQUESTS) + 1 :].partition("/")[0] if path.startswith(REQUESTS) else ""
            if request:
                self._fresh[request] = None
            else:
                self._scan_wanted = True
        if self._scan_wanted or self._may_answer():
            self._go_on()

    def _may_answer(self) -> bool:
        return bool((self._fresh or self._earlier) and self._replies and not self._replies.full)

    def _go_on(self) -> None:
        if not self._busy:
            self._busy = True
            self._loop.later(0, self._turn)

    def _turn(self) -> None:
        self._busy = False
        if not self._client:
            return
        try:
            if self._scan_wanted:
                self._scan_wanted = False
                self._scan(self._client)
            elif self._may_answer():
                requests = self._fresh or self._earlier
                request = next(iter(requests))
                del requests[request]
                self._earlier.pop(request, None)
                self._answer(self._client, request)
            if self._client:
                self._note_events()  # those that came while xenstore was asked
        except Lost as error:
            self._over(str(error))

    def _scan(self, client: XenstoreClient) -> None:
        """Look for all requests, and make the node that they lie in where it is gone."""
        try:
            names = client.list(REQUESTS)
        except FileNotFoundError:
            names = []
            self._make_requests(client)
        except OSError as error:
            log.warning("%s can't be listed in xenstore: %s", REQUESTS, error.strerror)
            return
        self._stuck = {name: request for name, request in self._stuck.items() if name in names}
        self._earlier.update(dict.fromkeys(names))
        taken, self._taken = self._taken, None
        if taken and taken[0] not in names:  # the connection was lost after it had been removed
            self._obey(client, *taken)

    def _make_requests(self, client: XenstoreClient) -> None:
        try:
            client.make(REQUESTS)
        except OSError as error:
            log.warning("%s can't be made in xenstore: %s", REQUESTS, error.strerror)

    def _answer(self, client: XenstoreClient, name: str) -> None:
        """Take one request away, do what it says, and answer it."""
        path = f"{REQUESTS}/{name}"
        try:
            request = client.read(path)
        except FileNotFoundError:
            self._stuck.pop(name, None)  # answered, or withdrawn by the host
            return
        except OSError as error:
            log.warning("request %.80s can't be read: %s", name, error.strerror)
            return
        if not request or self._stuck.get(name) == request:
            return
        self._taken = (name, request)
        was_stuck = name in self._stuck
        try:
            client.remove(path)
            self._stuck.pop(name, None)
        except OSError as error:
            log.warning("request %.80s can't be removed: %s", name, error.strerror)
            self._stuck[name] = request  # so that it is answered once only
        self._taken = None
        if name in self._stuck and not was_stuck and self._replies and self._replies.has(name):
            return  # an earlier run of the agent did that
        self._obey(client, name, request)

    def _obey(self, client: XenstoreClient, name: str, request: bytes) -> None:
        answer = self._nova.answer(request, self)
        if self._client is client and self._replies:
            self._replies.write(name, answer)


def _below(client: XenstoreClient, path: str) -> List[str]:
    try:
        return [f"{path}/{name}" for name in client.list(path)]
    except FileNotFoundError:
        return []

"""A channel that the hypervisor connects to."""

from __future__ import annotations

import logging
import socket
from typing import TYPE_CHECKING, Any, Callable, Dict

from singularity.child import not_inherited
from singularity.key_exchange import KeyExchange
from singularity.stream import Stream

if TYPE_CHECKING:
    from singularity.dialects import Dialects
    from singularity.loop import Loop

log = logging.getLogger(__name__)
MOST_CONNECTIONS = 32
PAUSE_SECONDS = 1


class Listener:
    """A socket, and the connections to it. A key exchange may go on over another connection."""

    def __init__(
        self,
        name: str,
        loop: Loop,
        dialects: Dialects,
        listen: Callable[[], socket.socket],
        forget: Callable[[], None] = lambda: None,
        admit: Callable[[Any], bool] = lambda _: True,
    ) -> None:
        """*listen* returns the socket, or raises OSError; *forget* is called after it was closed.

        *admit* tells by its address whether somebody may connect.
        """
        self.name = name
        self.exchange = KeyExchange()
        self._loop = loop
        self._dialects = dialects
        self._listen = listen
        self._forget = forget
        self._admit = admit
        self._socket: "socket.socket | None" = None
        self._connections: Dict[socket.socket, Stream] = {}

    def open(self, lost: Callable[[str], None]) -> None:
        """Listen. Nothing can be lost: connections end, others come."""
        self._socket = self._listen()
        self._socket.setblocking(False)
        self._watch()

    def close(self) -> None:
        """End all connections, and listen no more."""
        for connection in list(self._connections):
            self._end(connection)
        if self._socket:
            self._loop.unwatch(self._socket.fileno())
            not_inherited.discard(self._socket.fileno())
            self._socket.close()
            self._socket = None
            self._forget()

    def read_vm_data(self) -> Dict[str, str]:
        """There is none: a hypervisor that connects sends with its request what is needed."""
        return {}

    def _watch(self) -> None:
        if self._socket and len(self._connections) < MOST_CONNECTIONS:
            self._loop.watch(self._socket.fileno(), self._accept)

    def _accept(self) -> None:
        if not self._socket:
            return
        try:
            connection, peer = self._socket.accept()
        except BlockingIOError:
            return
        except OSError as error:  # too many open files, mostly: that passes
            log.warning("%s: %s", self.name, error.strerror)
            self._loop.unwatch(self._socket.fileno())
            self._loop.later(PAUSE_SECONDS, self._watch)
            return
        if not self._admit(peer):
            log.warning("%s: a connection of %s is refused", self.name, peer)
            connection.close()
            return
        connection.setblocking(False)
        stream = Stream(
            self._loop, connection.fileno(), self._dialects, self, lambda _: self._end(connection), usual="nova"
        )
        self._connections[connection] = stream
        if len(self._connections) >= MOST_CONNECTIONS:
            self._loop.unwatch(self._socket.fileno())
            not_inherited.add(self._socket.fileno())

    def _end(self, connection: socket.socket) -> None:
        self._connections.pop(connection).close()
        connection.close()
        self._watch()

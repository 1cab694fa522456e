"""A xenstored that holds one tree in memory, for tests without the real one."""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

HEADER = struct.Struct("<IIII")
DIRECTORY, READ, WATCH, UNWATCH, BEGIN, END, WRITE, REMOVE, EVENT, ERROR, PART = 1, 2, 4, 5, 6, 7, 11, 13, 15, 16, 20
Agent = Callable[[dict[str, object]], "dict[str, str] | None"]


class Xenstored:
    """`conflicts` transactions fail with EAGAIN. `agent` answers the requests to `domid`, None for silence."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.tree: dict[str, bytes] = {}
        self.conflicts = 0
        self.commits = 0
        self.agent: Agent | None = None
        self.requests: list[dict[str, object]] = []
        self._lock = threading.RLock()
        self._watches: list[tuple[str, str, socket.socket]] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def below(self, folder: str) -> dict[str, str]:
        return {
            name[len(folder) + 1 :]: value.decode()
            for name, value in self.tree.items()
            if name.startswith(f"{folder}/")
        }

    def put(self, name: str, value: str) -> None:
        with self._lock:
            self.tree[name] = value.encode()
            self._fire(name)

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as stream:
            while header := stream.read(HEADER.size):
                kind, number, transaction, length = HEADER.unpack(header)
                payload = stream.read(length)
                with self._lock:
                    answer = self._answer(kind, payload, connection)
                    if isinstance(answer, str):
                        kind, answer = ERROR, answer.encode() + b"\0"
                    self._send(connection, kind, number, transaction, answer)
                    if kind == WATCH:
                        where, token = payload.decode().split("\0")[:2]
                        self._send(connection, EVENT, 0, 0, f"{where}\0{token}\0".encode())
                    if kind == WRITE:
                        self._fire(payload.split(b"\0")[0].decode())

    def _send(self, connection: socket.socket, kind: int, number: int, transaction: int, payload: bytes) -> None:
        message = HEADER.pack(kind, number, transaction, len(payload)) + payload
        for start in range(0, len(message), 7):  # as streams may come
            connection.sendall(message[start : start + 7])

    def _answer(self, kind: int, payload: bytes, connection: socket.socket) -> bytes | str:
        name, _, rest = payload.partition(b"\0")
        where = name.decode()
        if kind == READ:
            return self.tree[where] if where in self.tree else b"" if self._children(where) else "ENOENT"
        if kind == DIRECTORY:
            children = self._children(where)
            listed = "".join(f"{child}\0" for child in children).encode()
            return "ENOENT" if not children and where not in self.tree else "E2BIG" if len(listed) > 4096 else listed
        if kind == PART:
            listed = "".join(f"{child}\0" for child in self._children(where)).encode() + b"\0"
            start = int(rest.rstrip(b"\0"))
            return b"42\0" + listed[start : start + 1000]
        if kind == WRITE:
            self.tree[where] = rest
        elif kind == REMOVE:
            gone = [each for each in self.tree if each == where or each.startswith(f"{where}/")]
            for each in gone:
                del self.tree[each]
            return b"OK\0" if gone else "ENOENT"
        elif kind == WATCH:
            self._watches.append((where, rest.decode().rstrip("\0"), connection))
        elif kind == UNWATCH:
            self._watches = [each for each in self._watches if each[1] != rest.decode().rstrip("\0")]
        elif kind == BEGIN:
            return b"7\0"
        elif kind == END and name == b"T":
            if self.conflicts:
                self.conflicts -= 1
                return "EAGAIN"
            self.commits += 1
        return b"OK\0"

    def _children(self, folder: str) -> list[str]:
        return sorted({name[len(folder) + 1 :].split("/")[0] for name in self.tree if name.startswith(f"{folder}/")})

    def _fire(self, name: str) -> None:
        for where, token, connection in self._watches:
            if name == where or name.startswith(f"{where}/"):
                self._send(connection, EVENT, 0, 0, f"{name}\0{token}\0".encode())
        home, found, ident = name.partition("/data/host/")
        if found and self.agent:
            threading.Thread(target=self._reply, args=(home, ident), daemon=True).start()

    def _reply(self, home: str, ident: str) -> None:
        time.sleep(0.01)
        with self._lock:
            request = json.loads(self.tree.pop(f"{home}/data/host/{ident}"))
            self.requests.append(request)
            reply = self.agent(request) if self.agent else None
            if reply is not None:
                self.put(f"{home}/data/guest/{ident}", json.dumps(reply))


@contextmanager
def running(path: Path) -> Iterator[Xenstored]:
    store = Xenstored(path)
    store.tree["/local/domain/7/name"] = b"ns"
    try:
        yield store
    finally:
        store.close()

"""As much of xenstored as a unit test needs, over its real wire protocol; tests/lab/xenstore.py has the real one."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from pathlib import Path

HEADER = struct.Struct("<IIII")
DIRECTORY, READ, WATCH, WRITE, MKDIR, RM, EVENT, ERROR, PART = 1, 2, 4, 11, 12, 13, 15, 16, 22


class SmallXenstored:
    """Nodes by path, relative as a domain names them; the test reads and changes them as the host."""

    def __init__(self, path: Path, most_children: int = 1000) -> None:
        self.path = path
        self.nodes: dict[str, bytes] = {}
        self.log: list[tuple[str, str]] = []
        """What clients wrote and removed, in order."""
        self.forbidden: set[str] = set()
        self._most_children = most_children
        self._lock = threading.RLock()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._clients: dict[socket.socket, list[str]] = {}
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()
        self._thread.join()

    def cut(self) -> None:
        """End all connections."""
        with self._lock:
            for client in list(self._clients):
                with contextlib.suppress(OSError):
                    client.shutdown(socket.SHUT_RDWR)

    def put(self, path: str, value: bytes | str) -> None:
        """Write a node as the host."""
        with self._lock:
            parts = path.split("/")
            for size in range(1, len(parts)):
                self.nodes.setdefault("/".join(parts[:size]), b"")
            self.nodes[path] = value.encode() if isinstance(value, str) else value
            self._fire(path)

    def take(self, path: str) -> None:
        """Remove a node and all below it, as the host."""
        with self._lock:
            for name in [name for name in self.nodes if name == path or name.startswith(path + "/")]:
                del self.nodes[name]
            self._fire(path)

    def children(self, path: str) -> list[str]:
        with self._lock:
            return [name[len(path) + 1 :] for name in self.nodes if name.rpartition("/")[0] == path]

    def _fire(self, path: str) -> None:
        for client, watches in self._clients.items():
            for watched in watches:
                if path == watched or path.startswith(watched + "/"):
                    self._send(client, EVENT, f"{path}\0{watched}\0".encode())
                elif watched.startswith(path + "/"):
                    self._send(client, EVENT, f"{watched}\0{watched}\0".encode())

    def _accept(self) -> None:
        workers = []
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._clients[client] = []
                workers.append(threading.Thread(target=self._serve, args=(client,), daemon=True))
                workers[-1].start()
        for worker in workers:
            worker.join()

    def _serve(self, client: socket.socket) -> None:
        with client, client.makefile("rb") as stream:
            while len(header := stream.read(HEADER.size)) == HEADER.size:
                kind, number, _, size = HEADER.unpack(header)
                path, _, rest = stream.read(size).partition(b"\0")
                with self._lock:
                    kind, answer = self._answer(client, kind, path.decode(), rest)
                    self._send(client, kind, answer, number)
            with self._lock:
                del self._clients[client]

    def _answer(self, client: socket.socket, kind: int, path: str, rest: bytes) -> tuple[int, bytes]:
        if kind == WATCH:
            self._clients[client].append(path)
            self._send(client, EVENT, f"{path}\0{path}\0".encode())
            return WATCH, b"OK\0"
        if path in self.forbidden:
            return ERROR, b"EACCES\0"
        if kind == WRITE:
            parent = path.rpartition("/")[0]
            if path not in self.nodes and len(self.children(parent)) >= self._most_children:
                return ERROR, b"ENOSPC\0"
            self.log.append(("write", path))
            self.put(path, rest)
        elif kind == MKDIR:
            if path not in self.nodes:
                self.put(path, b"")
        elif path not in self.nodes:
            return ERROR, b"ENOENT\0"
        elif kind == RM:
            self.log.append(("remove", path))
            self.take(path)
        elif kind == READ:
            return READ, self.nodes[path]
        else:
            return self._list(kind, path, rest)
        return kind, b"OK\0"

    def _list(self, kind: int, path: str, rest: bytes) -> tuple[int, bytes]:
        names = "".join(f"{name}\0" for name in self.children(path)).encode()
        if kind == DIRECTORY:
            return (ERROR, b"E2BIG\0") if len(names) > 4096 else (DIRECTORY, names)
        start = int(rest.rstrip(b"\0"))
        part = names[start : start + 4000]
        part = part[: part.rfind(b"\0") + 1]
        return PART, b"1\0" + part + (b"\0" if start + len(part) >= len(names) else b"")

    def _send(self, client: socket.socket, kind: int, payload: bytes, number: int = 0) -> None:
        with contextlib.suppress(OSError):
            client.sendall(HEADER.pack(kind, number, 0, len(payload)) + payload)

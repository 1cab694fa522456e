"""A server that answers what a test tells it to, on a real port, and remembers what it was asked."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Stream = Callable[[Callable[[str], None], "Request"], None]
"""Writes a live stream: called with a function that sends text, and the request. The connection closes after it."""


@dataclass(frozen=True)
class Request:
    """A request as it came over the wire. *path* includes the query."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class ScriptedServer:
    """Answers by (method, path without query); a path nobody scripted is a 404 problem."""

    answers: dict[tuple[str, str], list[tuple[int, Any, dict[str, str]]]] = field(default_factory=dict)
    streams: dict[str, list[Stream]] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    connections: int = 0
    tls: ssl.SSLContext | None = None
    clients: list[str] = field(default_factory=list)
    """The common names in the certificates that clients showed."""

    def __enter__(self) -> ScriptedServer:
        script = self

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def process_request(self, request: Any, client_address: Any) -> None:
                script.connections += 1
                if script.tls:
                    request = script.tls.wrap_socket(request, server_side=True)
                    subject = (request.getpeercert() or {}).get("subject", ())
                    script.clients += [value for ((name, value),) in subject if name == "commonName"]
                super().process_request(request, client_address)

            def handle_error(self, request: Any, client_address: Any) -> None:
                """Clients of these tests hang up when they like."""

        self._http = Server(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Close the port; safe to repeat."""
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    @property
    def endpoint(self) -> str:
        return f"http{'s' if self.tls else ''}://127.0.0.1:{self._http.server_port}"

    def answer(self, method: str, path: str, status: int = 200, body: Any = None, **headers: str) -> None:
        """Answer so; called again for the same path, the answers follow each other and the last one stays."""
        self.answers.setdefault((method, path), []).append((status, body, headers))

    def stream(self, operation: str, *streams: Stream, hosts: Iterable[str] = ("10.0.0.1", "10.0.0.2")) -> None:
        """Let the operation's live stream be written by *streams*, one a connection; the last one stays."""
        rows = [{"address": address, "state": "pending"} for address in hosts]
        self.answer("GET", f"/api/v1/operations/{operation}/hosts", 200, {"items": rows})
        self.streams[f"/api/v1/operations/{operation}/events/stream"] = list(streams)

    @property
    def calls(self) -> list[tuple[str, str]]:
        return [(request.method, request.path) for request in self.requests]


def problem(status: int, title: str, detail: str, **more: Any) -> dict[str, Any]:
    return {"type": "about:blank", "title": title, "status": status, "detail": detail, **more}


def sse(name: str, data: dict[str, Any], event_id: int | None = None) -> str:
    head = "" if event_id is None else f"id: {event_id}\n"
    return f"{head}event: {name}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n"


def _handler(script: ScriptedServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            request = Request(self.command, self.path, dict(self.headers.items()), body)
            script.requests.append(request)
            path = self.path.partition("?")[0]
            streams = script.streams.get(path)
            if streams:
                self._stream(streams.pop(0) if len(streams) > 1 else streams[0], request)
                return
            queue = script.answers.get((self.command, path))
            if not queue:
                self._answer(404, problem(404, "Not Found", f"there is nothing at {path}"), {})
            else:
                self._answer(*(queue.pop(0) if len(queue) > 1 else queue[0]))

        do_PUT = do_POST = do_DELETE = do_GET  # noqa: N815

        def _answer(self, status: int, body: Any, headers: dict[str, str]) -> None:
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/problem+json" if status >= 400 else "application/json")
            self.send_header("Content-Length", str(len(content)))
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def _stream(self, write: Stream, request: Request) -> None:
            self.close_connection = True
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Connection", "close")
            self.end_headers()
            write(lambda text: (self.wfile.write(text.encode()), self.wfile.flush())[0], request)

        def log_message(self, *args: Any) -> None:
            """Say nothing."""

    return Handler

"""What of AWX's REST API its modules need: lists by name, objects, surveys. It remembers what is written."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

API = "/api/v2/"
TOKEN = "the-token"
FIRST = {"organizations": [{"name": "Default"}], "credentials": [{"name": "ssh"}]}


class Awx:
    """The objects of each sort by id, the surveys by job template, and the requests that changed something."""

    def __init__(self) -> None:
        self.objects: dict[str, dict[int, dict[str, Any]]] = {}
        self.surveys: dict[int, dict[str, Any]] = {}
        self.writes: list[str] = []
        self.refused: list[str] = []
        for sort, rows in FIRST.items():
            for row in rows:
                self.create(sort, row)

    def create(self, sort: str, body: dict[str, Any]) -> dict[str, Any]:
        rows = self.objects.setdefault(sort, {})
        number = len(rows) + 1
        url = f"{API}{sort}/{number}/"
        related = {"survey_spec": f"{url}survey_spec/", "credentials": f"{url}credentials/"}
        rows[number] = {**body, "id": number, "type": sort, "url": url, "related": related, "summary_fields": {}}
        if sort == "projects":
            rows[number].update(status="successful", scm_revision="1")
        return rows[number]

    def named(self, sort: str) -> dict[str, dict[str, Any]]:
        return {row["name"]: row for row in self.objects.get(sort, {}).values()}

    def answer(self, method: str, url: str, body: dict[str, Any]) -> tuple[int, Any]:
        """Return the status and body for a request."""
        path = urlsplit(url).path.removeprefix(API).strip("/").split("/")
        if path[0] == "tokens":
            return (201, {"id": 1, "token": TOKEN}) if method == "POST" else (204, None)
        if method != "GET":
            self.writes.append(f"{method} {'/'.join(path)}")
        rows = self.objects.setdefault(path[0], {})
        if len(path) == 1:
            if method == "POST":
                return 201, self.create(path[0], body)
            wanted = dict(parse_qsl(urlsplit(url).query))
            found = [row for row in rows.values() if all(str(row.get(key)) == value for key, value in wanted.items())]
            return 200, {"count": len(found), "results": found, "next": None}
        row = rows[int(path[1])]
        if len(path) == 2:
            row.update(body)
            return 200, row
        if path[2] == "survey_spec":
            if method == "POST":
                wrong = [question for question in body["spec"] if not _fits(question)]
                if wrong:
                    return 400, {"error": f"Default value of {wrong} is of another type than its question"}
                self.surveys[row["id"]] = body
            return 200, self.surveys.get(row["id"], {})
        linked = row.setdefault("linked", [])
        if method == "POST":
            linked.append({"id": body["id"]})
            return 204, None
        return 200, {"count": len(linked), "results": linked, "next": None}


def _fits(question: dict[str, Any]) -> bool:
    """Tell whether the default is one that AWX takes for that type of question."""
    default, kind = question["default"], question["type"]
    if kind == "multiplechoice":
        return default in question["choices"]
    kinds = {"text": str, "integer": int, "float": (int, float)}
    return default == "" or isinstance(default, kinds[kind])


@contextmanager
def running_awx() -> Iterator[tuple[str, Awx]]:
    """Serve until the end of the block; yield the URL and what is recorded."""
    awx = Awx()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or "{}")
            sign = self.headers.get("Authorization", "")
            status, answer = awx.answer(self.command, self.path, body)
            if sign != f"Bearer {TOKEN}" and not (self.path.startswith(f"{API}tokens/") and sign.startswith("Basic ")):
                awx.refused.append(self.path)
                status, answer = 401, {"detail": "no"}
            content = b"" if answer is None else json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_PATCH = do_DELETE = do_GET  # noqa: N815

        def log_message(self, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", awx
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

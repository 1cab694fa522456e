"""A double of the Kubernetes API server at the border: TokenReview only, over TLS, to whoever may create one.

It takes nothing but the exact form of https://kubernetes.io/docs/reference/kubernetes-api/authentication-resources/token-review-v1/
"""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from unit.commctl.certificates import Pair

REVIEWER = "token-of-the-reviewer"
REVIEWER_NAME = "reviewer"
PATH = "/apis/authentication.k8s.io/v1/tokenreviews"


@dataclass
class TokenReviewer:
    """Knows `users` by their tokens; `asked` are the tokens that it was asked about."""

    url: str
    users: dict[str, dict[str, Any]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    mistakes: list[str] = field(default_factory=list)

    def answer(self, method: str, path: str, body: dict[str, Any], may: bool) -> tuple[int, dict[str, Any]]:
        """Return status and body for a request."""
        token = (body.get("spec") or {}).get("token")
        form = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token}}
        if (method, path) != ("POST", PATH) or body != form or not token:
            self.mistakes.append(f"{method} {path} {body}")
            return 400, {"kind": "Status", "status": "Failure", "code": 400}
        if not may:
            return 403, {"kind": "Status", "status": "Failure", "reason": "Forbidden", "code": 403}
        self.asked.append(token)
        user = self.users.get(token)
        status = {"authenticated": True, "user": user} if user else {"error": "token unknown"}
        return 201, {**form, "metadata": {}, "status": status}


@contextmanager
def token_reviewer(server: Pair, clients: Path) -> Iterator[TokenReviewer]:
    """Serve on loopback with this certificate; certificates of clients must be of the authority *clients*."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(clients))
    context.load_cert_chain(server.certificate, server.key)
    context.verify_mode = ssl.CERT_OPTIONAL

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            subject = dict(pair for part in (self.connection.getpeercert() or {}).get("subject", ()) for pair in part)  # type: ignore[attr-defined]
            may = self.headers["Authorization"] == f"Bearer {REVIEWER}" or subject.get("commonName") == REVIEWER_NAME
            status, answer = made.answer(self.command, self.path, body, may)
            text = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listener:
        listener.socket = context.wrap_socket(listener.socket, server_side=True)
        made = TokenReviewer(f"https://127.0.0.1:{listener.server_port}")
        thread = threading.Thread(target=listener.serve_forever)
        thread.start()
        try:
            yield made
        finally:
            listener.shutdown()
            thread.join()

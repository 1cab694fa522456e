"""The inventory plugin against a server of its own, over loopback."""

import base64
import http.server
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

BIN = Path(sys.executable).parent
INVENTORY = {
    "_meta": {
        "hostvars": {
            "h1": {"ansible_host": "192.0.2.1", "commissaire_status": "active", "commissaire_os": "fedora"},
            "h2": {"ansible_host": "192.0.2.2", "commissaire_status": "failed", "commissaire_os": "debian"},
        }
    },
    "all": {"children": ["cluster_web", "status_active"]},
    "cluster_web": {"hosts": ["h1", "h2"], "vars": {"tier": "front"}},
    "status_active": {"hosts": ["h1"]},
}


class Server(http.server.ThreadingHTTPServer):
    """Answers as it is told to."""

    daemon_threads = True
    body = json.dumps(INVENTORY)
    seen: list[str]


class Handler(http.server.BaseHTTPRequestHandler):
    """Ask for admin/secret, and know the ETag "one"."""

    server: Server

    def do_GET(self):
        status, body = 200, self.server.body
        self.server.seen.append(self.path)
        if self.headers["Authorization"] != "Basic " + base64.b64encode(b"admin:secret").decode():
            status, body = 401, json.dumps({"title": "Unauthorized"})
        elif self.headers["If-None-Match"] == '"one"':
            status, body = 304, ""
            self.server.seen.append("unchanged")
        elif body.startswith('{"title"'):
            status = 503
        self.send_response(status)
        self.send_header("ETag", '"one"')
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_arguments):
        pass


@pytest.fixture
def server():
    with Server(("127.0.0.1", 0), Handler) as made:
        made.seen = []
        thread = threading.Thread(target=made.serve_forever)
        thread.start()
        yield made
        made.shutdown()
        thread.join()


@pytest.fixture
def ask(server, tmp_path):
    """Return a function that lists the inventory with the given options, and returns exit status and output."""
    (tmp_path / "conf.json").write_text(
        json.dumps({"endpoint": f"http://127.0.0.1:{server.server_port}", "username": "admin", "password": "secret"})
    )

    def run(*arguments, **options):
        source = tmp_path / "test.commissaire.yml"
        options = {"plugin": "commissaire.fleet.commissaire", "config_file": str(tmp_path / "conf.json"), **options}
        source.write_text(json.dumps(options))
        environment = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
        environment["ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED"] = "true"
        command = [BIN / "ansible-inventory", "-i", source, *(arguments or ["--list"])]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    return run


def test_hosts_groups_and_variables_arrive(ask, server):
    listed = json.loads(ask("--list", "--export").stdout)
    assert listed["cluster_web"] == {"hosts": ["h1", "h2"], "vars": {"tier": {"__ansible_unsafe": "front"}}}
    assert listed["status_active"] == {"hosts": ["h1"]}
    assert listed["_meta"]["hostvars"]["h2"]["ansible_host"] == {"__ansible_unsafe": "192.0.2.2"}
    assert server.seen == ["/api/v1/inventory"]


def test_groups_of_ones_own_are_made(ask):
    shown = ask(
        "--graph",
        groups={"broken": "commissaire_status == 'failed'"},
        keyed_groups=[{"key": "commissaire_os", "prefix": "runs"}],
    ).stdout
    assert "@broken:\n  |  |--h2\n" in shown
    assert "@runs_fedora:\n  |  |--h1\n" in shown


def test_a_cache_asks_only_whether_anything_changed(ask, server, tmp_path):
    options = {"cache": True, "cache_plugin": "ansible.builtin.jsonfile", "cache_connection": str(tmp_path / "cache")}
    first, second = (ask(**options).stdout for _ in range(2))
    assert first == second
    assert server.seen == ["/api/v1/inventory", "/api/v1/inventory", "unchanged"]


@pytest.mark.parametrize(
    ("options", "body", "message"),
    [
        ({"endpoint": "http://127.0.0.1:9"}, None, "can't be reached"),
        ({"password": "wrong"}, None, "the server does not know admin by this password (401)"),
        ({"config_file": "/nonexistent"}, None, "no endpoint is given, neither as an option nor in /nonexistent"),
        ({}, "<html>", "does not answer with JSON"),
        ({}, "[]", "answered without _meta.hostvars"),
        ({}, '{"title": "Busy", "detail": "come back later"}', "Busy: come back later (503)"),
    ],
)
def test_what_goes_wrong_is_said(ask, server, options, body, message):
    if body:
        server.body = body
    done = ask(**options)
    assert done.returncode != 0
    assert message in done.stderr
    assert "secret" not in done.stderr

"""A lab's machines as a server's hosts."""

import base64
import time

from lab import Lab

from .server import BenchError, Server

CLUSTER = "web"
ARRIVAL_SECONDS = 90


def add_hosts(server: Server, lab: Lab) -> None:
    """Make a cluster of the lab's machines, and wait until all are active."""
    server.call("PUT", f"/api/v0/cluster/{CLUSTER}", {})
    key = base64.b64encode(lab.private_key.read_bytes()).decode()
    for host in lab.hosts:
        server.call("PUT", f"/api/v0/host/{host.address}", {"ssh_priv_key": key, "cluster": CLUSTER})
    deadline = time.monotonic() + ARRIVAL_SECONDS
    while True:
        hosts = server.call("GET", "/api/v0/hosts").json()
        if all(host["status"] == "active" for host in hosts):
            return
        if time.monotonic() > deadline:
            raise BenchError(f"the lab's hosts are not active: {hosts}")
        time.sleep(0.2)

"""What OpenStack's XenAPI hosts do to a guest: nova's driver and its plugin in domain 0, as a client for tests.

Written from the behaviour of `nova/virt/xenapi/agent.py` and of the plugins `agent` and `xenstore`, without their code
and without ours: it talks by Debian's xenstore-* programs and openssl, as they do.
"""

from __future__ import annotations

import base64
import json
import secrets
import subprocess
import time
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from lab import LabError
from lab.xenstore import XenStore

PRIME = 162259276829213363391578010288127
BASE = 5
KEY_FILE = "/root/.ssh/authorized_keys"


class AgentTimeout(Exception):
    """The agent did not answer in time."""


class AgentError(Exception):
    """The agent answered with an error, or with what nova can't use."""


class AgentNotImplemented(Exception):
    """The agent has no such function, or it is switched off."""


@dataclass
class SimpleDH:
    """Nova's key exchange: the shared number, in decimal, is the pass phrase of openssl's command line."""

    private: int
    digest: str = "md5"
    shared: int | None = None

    @classmethod
    def new(cls, digest: str = "md5") -> SimpleDH:
        return cls(int(secrets.token_hex(10), 16), digest)

    @property
    def public(self) -> int:
        return pow(BASE, self.private, PRIME)

    def compute_shared(self, other: int) -> None:
        self.shared = pow(other, self.private, PRIME)

    def encrypt(self, text: str) -> str:
        return self._openssl(text.encode()).decode().strip("\n")

    def decrypt(self, text: str) -> str:
        return self._openssl(text.encode(), "-d").decode()

    def _openssl(self, text: bytes, *options: str) -> bytes:
        command = ["openssl", "aes-128-cbc", "-A", "-a", "-nosalt", "-md", self.digest, *options]
        command += ["-pass", f"pass:{self.shared}"]
        return subprocess.run(command, input=text, capture_output=True, check=True).stdout


@dataclass
class NovaHost:
    """Nova and its plugin for the domain `domid` of one store. `poll_seconds` is 0.5 with the real one.

    Earlier ones wrote the public key as a number, and newer openssl derives keys by another `digest`.

    Each call raises AgentTimeout, AgentError or AgentNotImplemented, and returns the reply's message.
    """

    store: XenStore
    domid: int = 0
    timeout_seconds: float = 30
    resetnetwork_seconds: float = 60
    version_seconds: float = 300
    poll_seconds: float = 0.02
    digest: str = "md5"
    key_as_number: bool = False

    def version(self) -> str:
        """Wait until the agent tells its version: a guest may take long to boot."""
        deadline = time.monotonic() + self.version_seconds
        while True:
            try:
                return self.call("version", "agent")
            except AgentTimeout:
                if time.monotonic() > deadline:
                    raise

    def features(self) -> list[str]:
        """Return what the agent can do. (The plugin does not look at the returncode here.)"""
        return str(self._message(self.ask("features", ""))).split(",")

    def set_admin_password(self, password: str) -> None:
        exchange = SimpleDH.new(self.digest)
        public = exchange.public if self.key_as_number else str(exchange.public)
        exchange.compute_shared(int(self.call("keyinit", public, success="D0")))
        self.call("password", exchange.encrypt(f"{password}\n"))

    def inject_ssh_key(self, key: str) -> None:
        self.inject_file(KEY_FILE, f"\n# The following ssh key was injected by Nova\n{key.strip()}\n".encode())

    def inject_file(self, path: str, content: bytes) -> str:
        """Use the newer of the two functions that the agent names."""
        features = self.features()
        encoded = base64.b64encode(path.encode()).decode(), base64.b64encode(content).decode()
        if "file_inject" in features:
            return self.call("file_inject", {"b64_path": encoded[0], "b64_file": encoded[1]})
        if "injectfile" in features:
            return self.call("injectfile", base64.b64encode(path.encode() + b"," + content).decode())
        raise AgentNotImplemented("the agent does not support file injection")

    def reset_network(self) -> None:
        self.call("resetnetwork", "", seconds=self.resetnetwork_seconds)

    def update_agent(self, url: str, md5: str) -> str:
        return self.call("agentupdate", f"{url},{md5}", seconds=self.timeout_seconds)

    def update_agent_if_needed(self, version: str, newest: str, url: str, md5: str) -> bool:
        """Compare versions as nova does, number by number; tell whether the agent was told to update."""
        older = [int(part) for part in version.split(".")] < [int(part) for part in newest.split(".")]
        if older:
            self.update_agent(url, md5)
        return older

    def write_vm_data(self, hostname: str | None, networks: Iterable[Mapping[str, Any]]) -> None:
        """Write what resetnetwork has the agent read."""
        if hostname is not None:
            self.store.write(self._path("vm-data/hostname"), hostname)
        for network in networks:
            node = f"vm-data/networking/{network['mac'].replace(':', '')}"
            self.store.write(self._path(node), json.dumps(network))

    def configure(
        self,
        hostname: str,
        networks: Iterable[Mapping[str, Any]],
        key: str,
        files: Mapping[str, bytes],
        password: str,
    ) -> str:
        """Do what a new guest gets when it boots, in nova's order; return the agent's version."""
        self.write_vm_data(hostname, networks)
        version = self.version()
        self.inject_ssh_key(key)
        for path, content in files.items():
            self.inject_file(path, content)
        self.set_admin_password(password)
        self.reset_network()
        return version

    def call(self, name: str, value: Any, *, success: str = "0", seconds: float | None = None) -> str:
        """Ask, and return the message of a reply whose returncode is the string `success`."""
        reply = self.ask(name, value, seconds=seconds)
        if not isinstance(reply, dict) or reply.get("returncode") != success:
            raise AgentError(f"{name}: {reply}")
        return str(self._message(reply)).replace("\\r\\n", "")

    def ask(self, name: str, value: Any, *, seconds: float | None = None) -> Any:
        """Ask, and return the reply as JSON."""
        request = str(uuid.uuid4())
        self.write_request(request, json.dumps({"name": name, "value": value}))
        reply = self.wait(request, seconds)
        return json.loads(reply)

    def write_request(self, request: str, text: str) -> None:
        """Write a request as it is, but for what xenstore-write un-escapes."""
        self.store.write(self._path(f"data/host/{request}"), text)

    def wait(self, request: str, seconds: float | None = None) -> str:
        """Return the reply to a request, as JSON: what is not JSON comes as a string. The reply is left where it is.

        When time is over the request is withdrawn.
        """
        deadline = time.monotonic() + (self.timeout_seconds if seconds is None else seconds)
        while (reply := self.store.read(self._path(f"data/guest/{request}"))) is None:
            if time.monotonic() > deadline:
                self._withdraw(request)
                raise AgentTimeout(f"no reply to {request}")
            time.sleep(self.poll_seconds)
        try:
            json.loads(reply.strip())
        except ValueError:
            return json.dumps(reply.strip())
        return reply.strip()

    def _withdraw(self, request: str) -> None:
        try:
            self.store.remove(self._path(f"data/host/{request}"))
        except LabError:
            return  # it is gone already

    def _path(self, node: str) -> str:
        return f"/local/domain/{self.domid}/{node}"

    def _message(self, reply: Any) -> Any:
        if not isinstance(reply, dict) or not isinstance(reply.get("message"), str):
            raise AgentError(f"not a reply: {reply}")
        return reply["message"]

"""A guest agent of the nova dialect, that remembers what it is told."""

from __future__ import annotations

import base64
import subprocess

PRIME, BASE, PRIVATE = 2**107 - 1, 5, 4711


class NovaAgent:
    """Called with a request, it returns the reply. `says` has other replies by name, None for silence."""

    def __init__(self, features: str = "version,features,keyinit,password,injectfile,resetnetwork,agentupdate") -> None:
        self.features = features
        self.version = "1.0"
        self.says: dict[str, dict[str, str] | None] = {}
        self.files: dict[bytes, bytes] = {}
        self.passwords: list[str] = []
        self.resets = 0
        self._shared: int | None = None

    def __call__(self, request: dict[str, object]) -> dict[str, str] | None:
        name, value = str(request["name"]), request["value"]
        if name in self.says:
            return self.says[name]
        act = getattr(self, f"_{name}", None)
        code, message = act(value) if act else ("404", "No such agent command")
        return {"returncode": code, "message": message}

    def _version(self, value: str) -> tuple[str, str]:
        return ("0", self.version) if value == "agent" else ("500", "what?")

    def _features(self, _value: str) -> tuple[str, str]:
        return "0", self.features

    def _keyinit(self, value: str) -> tuple[str, str]:
        self._shared = pow(int(value), PRIVATE, PRIME)
        return "D0", str(pow(BASE, PRIVATE, PRIME))

    def _password(self, value: str) -> tuple[str, str]:
        if self._shared is None:
            return "500", "Password without key exchange"
        self.passwords.append(decrypt(value, self._shared))
        self._shared = None
        return "0", ""

    def _injectfile(self, value: str) -> tuple[str, str]:
        path, _, content = base64.b64decode(value).partition(b",")
        self.files[path] = content
        return "0", ""

    def _file_inject(self, value: dict[str, str]) -> tuple[str, str]:
        self.files[base64.b64decode(value["b64_path"])] = base64.b64decode(value["b64_file"])
        return "0", ""

    def _resetnetwork(self, _value: str) -> tuple[str, str]:
        self.resets += 1
        return "0", ""

    def _agentupdate(self, value: str) -> tuple[str, str]:
        self.version = value.rpartition("-")[2].partition(",")[0]
        return "0", ""


def decrypt(encoded: str, shared: int) -> str:
    command = ["openssl", "enc", "-d", "-aes-128-cbc", "-nosalt", "-a", "-A", "-md", "md5", "-pass", f"pass:{shared}"]
    done = subprocess.run(command, input=encoded.encode(), capture_output=True, check=True)
    return done.stdout.decode()

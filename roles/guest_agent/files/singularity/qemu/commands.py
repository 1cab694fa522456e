"""The commands that there are, what they take, and which of them are switched off."""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable, Mapping, NamedTuple

if TYPE_CHECKING:
    from ..settings import Settings


class Command(NamedTuple):
    """Where a command is (its module is imported when it is asked for first), and of which item it is."""

    module: str
    function: str
    parameters: Mapping[str, str] = {}
    item: str | None = None  # type: ignore[syntax,unused-ignore]
    success_response: bool = True


COMMANDS = {
    "guest-sync-delimited": Command("presence", "sync_delimited", {"id": "int"}),
    "guest-sync": Command("presence", "sync", {"id": "int"}),
    "guest-ping": Command("presence", "ping"),
    "guest-info": Command("presence", "info"),
    "guest-get-host-name": Command("system", "host_name"),
    "guest-get-osinfo": Command("system", "operating_system"),
    "guest-get-time": Command("clock", "now"),
    "guest-get-timezone": Command("clock", "timezone"),
    "guest-get-vcpus": Command("system", "processors"),
    "guest-get-users": Command("users", "users"),
    "guest-network-get-interfaces": Command("interfaces", "interfaces"),
    "guest-get-disks": Command("disks", "disks"),
    "guest-get-fsinfo": Command("file_systems", "file_systems"),
    "guest-exec": Command(
        "programs",
        "execute",
        {
            "path": "str",
            "*arg": "[str]",
            "*env": "[str]",
            "*input-data": "str",
            "*capture-output": "GuestExecCaptureOutput",
        },
        "exec",
    ),
    "guest-exec-status": Command("programs", "status", {"pid": "int"}, "exec"),
    "guest-file-open": Command("open_files", "open_file", {"path": "str", "*mode": "str"}, "file"),
    "guest-file-close": Command("open_files", "close", {"handle": "int"}, "file"),
    "guest-file-read": Command("open_files", "read", {"handle": "int", "*count": "int"}, "file"),
    "guest-file-write": Command("open_files", "write", {"handle": "int", "buf-b64": "str", "*count": "int"}, "file"),
    "guest-file-seek": Command(
        "open_files", "seek", {"handle": "int", "offset": "int", "whence": "GuestFileWhence"}, "file"
    ),
    "guest-file-flush": Command("open_files", "flush", {"handle": "int"}, "file"),
    "guest-set-user-password": Command(
        "password", "set_user_password", {"username": "str", "password": "str", "crypted": "bool"}, "password"
    ),
    "guest-ssh-get-authorized-keys": Command("ssh_keys", "get", {"username": "str"}, "ssh_keys"),
    "guest-ssh-add-authorized-keys": Command(
        "ssh_keys", "add", {"username": "str", "keys": "[str]", "*reset": "bool"}, "ssh_keys"
    ),
    "guest-ssh-remove-authorized-keys": Command("ssh_keys", "remove", {"username": "str", "keys": "[str]"}, "ssh_keys"),
    "guest-shutdown": Command("power", "shutdown", {"*mode": "str"}, success_response=False),
    "commissaire-features": Command("additions", "features"),
    "commissaire-reset-network": Command("additions", "reset_network", {"vm-data": "{str}"}, "network"),
    "commissaire-agent-update": Command(
        "additions", "update", {"url": "str", "*md5": "str", "*sha256": "str", "*signature": "str"}, "update"
    ),
    "commissaire-inject-file": Command(
        "additions",
        "inject_file",
        {"path": "str", "buf-b64": "str", "*mode": "str", "*owner": "str", "*group": "str"},
        "file",
    ),
}


def why_disabled(name: str, settings: Settings, manages: Callable[[str], bool]) -> str | None:
    """Return why a command is switched off; None where it is not."""
    item = COMMANDS[name].item
    if name in settings.block_commands:
        return "it is blocked by the agent's configuration"
    if settings.allow_commands and name not in settings.allow_commands:
        return "it is not allowed by the agent's configuration"
    if item is not None and not manages(item):
        return f"the agent's functions leave out {item}"
    if name == "guest-shutdown" and settings.root != "/":
        return f"the agent works on {settings.root}, not on the running machine"
    return None

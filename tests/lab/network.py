"""A lab's network: a namespace with a switch, the controller's address on it, and one cable for each machine.

    controller 10.77.0.1 on `lab` (bridge) == `cable-h1` ~ veth ~ `port-h1` == `sw-h1` (bridge) == systemd-nspawn's link

The cable outlives the machine's reboots, so a machine that is cut off stays cut off. There is no way out.
"""

import ctypes
import os
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import ParamSpec, TypeVar

from .command import LabError, run

GATEWAY = "10.77.0.1"
PREFIX = 24
MAX_HOSTS = 99  # interface names have 15 characters: vb-NAME-hNN
NAMESPACES = Path("/run/netns")
CLONE_NEWNET = 0x40000000

P = ParamSpec("P")
T = TypeVar("T")


def address(number: int) -> str:
    """Return the address of machine `number`, which counts from 1."""
    return f"10.77.0.{10 + number}"


def enter(namespace: str) -> list[str]:
    """Return the command that runs another in `namespace`. (`ip netns exec` would hide the cgroups as well.)"""
    return ["nsenter", f"--net={NAMESPACES / namespace}"]


def create(namespace: str, hosts: Iterable[str]) -> None:
    """Make `namespace` with everything in it but the machines' own links."""
    run(["ip", "netns", "add", namespace])
    lines = ["link set lo up", "link add lab type bridge", f"address add {GATEWAY}/{PREFIX} dev lab", "link set lab up"]
    # A machine that comes back is seen within 0.1 s, not 1 s; one that is away is given up after 3 s, as everywhere.
    lines += ["ntable change name arp_cache dev lab retrans 100 mcast_probes 30"]
    for host in hosts:
        lines += [f"link add {switch(host)} type bridge", f"link set {switch(host)} up"]
        lines += [f"link add cable-{host} type veth peer name port-{host}"]
        lines += [f"link set cable-{host} master lab up", f"link set port-{host} master {switch(host)} up"]
    run([*enter(namespace), "ip", "-batch", "-"], text="\n".join(lines) + "\n")


def switch(host: str) -> str:
    """Return the bridge that `host`'s link belongs to."""
    return f"sw-{host}"


def plug(namespace: str, host: str, connected: bool) -> None:
    """Pull `host`'s cable out of the switch, or put it back."""
    run([*enter(namespace), "ip", "link", "set", f"cable-{host}", "up" if connected else "down"])


def remove(namespace: str) -> None:
    """Kill what still runs in `namespace` and delete it. A namespace that isn't there is no error."""
    path = NAMESPACES / namespace
    if not path.exists():
        return
    if path.stat().st_ino == Path("/proc/self/ns/net").stat().st_ino:
        raise LabError(f"this process is inside {namespace}: leave it first")
    for pid in run(["ip", "netns", "pids", namespace]).split():
        try:
            os.kill(int(pid), 9)
        except ProcessLookupError:
            continue
    run(["ip", "netns", "delete", namespace])


def inside(namespace: str, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call `function` in a thread of its own inside `namespace`; the sockets it returns stay there."""
    result: list[T] = []
    failure: list[BaseException] = []

    def call() -> None:
        try:
            with (NAMESPACES / namespace).open() as handle:
                if ctypes.CDLL(None, use_errno=True).setns(handle.fileno(), CLONE_NEWNET):
                    number = ctypes.get_errno()
                    raise OSError(number, os.strerror(number), str(NAMESPACES / namespace))
            result.append(function(*args, **kwargs))
        except BaseException as error:
            failure.append(error)

    thread = threading.Thread(target=call, name=f"inside-{namespace}", daemon=True)
    thread.start()
    thread.join()
    if failure:
        raise failure[0]
    return result[0]

"""Channels: how the hypervisor talks to the agent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable, Dict, List, Sequence

from singularity.channels.names import parse, present

if TYPE_CHECKING:
    from typing import Protocol

    from singularity.dialects import Dialects
    from singularity.key_exchange import KeyExchange
    from singularity.loop import Loop

    class Channel(Protocol):
        """One way to the hypervisor. It takes requests from it and carries the answers back by itself."""

        name: str
        exchange: KeyExchange
        """The key exchange under way over this channel."""

        def open(self, lost: Callable[[str], None]) -> None:
            """Begin; call *lost* with the reason when it is over. Raises OSError where it can't be opened."""

        def close(self) -> None:
            """End it; nothing happens where it is not open."""

        def read_vm_data(self) -> Dict[str, str]:
            """Return what the hypervisor tells of this machine, by path: `hostname`, `networking/<MAC>`. May be empty.

            Raises OSError.
            """


def resolve(names: Sequence[str]) -> List[str]:
    """Return *names* with what this machine has in place of `auto`."""
    found: List[str] = []
    for name in names:
        found += present() if parse(name)[0] == "auto" else [name]
    return list(dict.fromkeys(found))


def make(name: str, loop: Loop, dialects: Dialects) -> Channel:
    """Return the channel of that name, which is not open yet."""
    kind, address = parse(name)
    if kind == "xenstore":
        from singularity.channels.xenstore import Xenstore

        return Xenstore(name, address, loop, dialects)
    if kind == "virtio":
        from singularity.channels.virtio import Virtio

        return Virtio(name, address, loop, dialects)
    if kind == "vsock":
        from singularity.channels.vsock import vsock

        return vsock(name, int(address), loop, dialects)
    from singularity.channels.unix_socket import unix_socket

    return unix_socket(name, address, loop, dialects)

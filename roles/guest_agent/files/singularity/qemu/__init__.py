"""The dialect of QEMU's guest agent, with a few commands of our own."""

from .dialect import Qemu

__all__ = ["Qemu"]

"""Which dialect a message of a stream is in."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Optional

from singularity import nova
from singularity.errors import place
from singularity.nova import Nova

if TYPE_CHECKING:
    from singularity.channels import Channel
    from singularity.framing import Frame
    from singularity.guest import Guest
    from singularity.loop import Loop
    from singularity.qemu import Qemu

log = logging.getLogger(__name__)
BLANK_LINE = b"\n\n"


class Dialects:
    """Answers messages in the dialect that each is in."""

    def __init__(self, guest: Guest, loop: Loop) -> None:
        self.nova = Nova(guest)
        self._guest = guest
        self._loop = loop
        self._qemu: Optional[Qemu] = None

    def answer(self, frame: Frame, channel: Channel, usual: str = "nova") -> bytes:
        """Return what is sent back, if anything. *usual*: the dialect of what is in neither, nova or qemu."""
        flaw, request = frame.flaw, None
        if not flaw:
            try:
                request = nova.parse(frame.data)
            except ValueError as error:
                flaw = str(error)
        if flaw:
            log.warning("a message over %s can't be read: %s", channel.name, flaw)
            if b'"execute"' in frame.data or (usual == "qemu" and b'"name"' not in frame.data):
                return self.qemu.garbled(flaw)
            return nova.reply("500", f"The request can't be read: {flaw}") + BLANK_LINE
        if isinstance(request, dict) and ("execute" in request or (usual == "qemu" and "name" not in request)):
            return self._answer_qemu(request)
        return self.nova.answer_to(request, channel) + BLANK_LINE

    @property
    def qemu(self) -> Qemu:
        """The dialect of QEMU's guest agent, which is loaded when it is first spoken."""
        if self._qemu is None:
            from singularity.qemu import Qemu

            self._qemu = Qemu(self._guest, self._loop)
        return self._qemu

    def close(self) -> None:
        """Let go of what hosts hold open."""
        if self._qemu:
            self._qemu.close()

    def _answer_qemu(self, request: object) -> bytes:
        try:
            return self.qemu.answer(request) or b""
        except Exception as error:
            log.error("%s at %s", type(error).__name__, place(error))
            return self.qemu.garbled("the agent failed; its log says where")

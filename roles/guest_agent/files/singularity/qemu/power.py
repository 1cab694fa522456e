"""guest-shutdown."""

from __future__ import annotations

import logging

from ..errors import Refused
from . import programs
from .session import Session

LOG = logging.getLogger(__name__)
WAYS = {
    "powerdown": (["shutdown", "-h", "-P", "+0"], ["poweroff"]),
    "halt": (["shutdown", "-h", "-H", "+0"], ["halt"]),
    "reboot": (["shutdown", "-r", "+0"], ["reboot"]),
}
"""The second for guests whose only init is Busybox's."""


def shutdown(session: Session, mode: str = "powerdown") -> None:
    """Begin to shut down. There is no answer where that worked: the machine's end is it."""
    if mode not in WAYS:
        raise Refused("mode is invalid (valid values are: halt|powerdown|reboot)")
    LOG.warning("the host asks for %s", mode)
    (first, *arguments), (second,) = WAYS[mode]
    session.part(programs.Programs).make_room(at_any_price=True)
    try:
        programs.execute(session, first, arguments)
    except Refused:
        programs.execute(session, second)

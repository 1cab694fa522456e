"""Commands that tell that an agent is there, and what it can do."""

from __future__ import annotations

from typing import Any

from .. import __version__
from .commands import COMMANDS, why_disabled
from .session import Session


def sync_delimited(session: Session, id: int) -> int:  # noqa: A002 (the protocol's name)
    session.delimited = True
    return id


def sync(session: Session, id: int) -> int:  # noqa: A002
    return id


def ping(session: Session) -> dict[str, Any]:
    return {}


def info(session: Session) -> dict[str, Any]:
    guest = session.guest
    return {
        "version": __version__,
        "supported_commands": [
            {
                "name": name,
                "enabled": why_disabled(name, guest.settings, guest.manages) is None,
                "success-response": command.success_response,
            }
            for name, command in COMMANDS.items()
        ],
    }

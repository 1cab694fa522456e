"""Requests and answers as qemu-ga's: https://www.qemu.org/docs/master/interop/qemu-ga-ref.html."""

from __future__ import annotations

import json
import logging
from importlib import import_module
from typing import TYPE_CHECKING, Any

from ..errors import Refused, reason
from .commands import COMMANDS, why_disabled
from .parameters import checked
from .session import Session

if TYPE_CHECKING:
    from ..guest import Guest
    from ..loop import Loop

LOG = logging.getLogger(__name__)
SENTINEL = b"\xff"


class NotFound(Exception):
    """There is no such command, or it is switched off."""


class Qemu:
    """Answers requests. Make one for all channels: what guest-exec started is asked for over whichever comes next."""

    def __init__(self, guest: Guest, loop: Loop) -> None:
        self._session = Session(guest, loop)

    def answer(self, request: Any) -> bytes | None:
        """Do what a decoded request asks for, and return the answer: one whole line, or None where there is to be none.

        It never raises because of the request. After guest-sync-delimited the line begins with a byte 0xFF.
        """
        self._session.delimited = False
        name = request.get("execute") if isinstance(request, dict) else None
        try:
            value = self._run(request)
            if value is None:
                LOG.info("%.80s was begun", name)
                return None
            reply = {"return": value}
        except NotFound as error:
            reply = failure(str(error), "CommandNotFound")
        except Refused as error:
            reply = failure(error.message)
        except (OSError, ValueError) as error:  # a disk that is full, a text that is no text
            reply = failure(reason(error))
        except Exception as error:  # the next request must be heard, whatever this one was
            LOG.exception("a request could not be answered")
            reply = failure(f"The request failed inside the agent ({type(error).__name__}): its log says more")
        LOG.info("%.80s was %s", name, "answered" if "return" in reply else "refused")
        if isinstance(request, dict) and "id" in request:
            reply["id"] = request["id"]
        return (SENTINEL if self._session.delimited else b"") + _line(reply)

    def close(self) -> None:
        """Let go of the files that the host holds open, and of what programs wrote; these run on."""
        self._session.close()

    @staticmethod
    def garbled(why: str) -> bytes:
        """Return the answer to what is no JSON."""
        return _line(failure(f"JSON parse error, {why}"))

    def _run(self, request: Any) -> Any:
        name, arguments = _parts(request)
        command = COMMANDS.get(name)
        if command is None:
            raise NotFound(f"The command {name} has not been found")
        why = why_disabled(name, self._session.guest.settings, self._session.guest.manages)
        if why:
            raise NotFound(f"Command {name} has been disabled: {why}")
        module = import_module(f".{command.module}", __package__)
        return getattr(module, command.function)(self._session, **checked(command.parameters, arguments))


def failure(description: str, kind: str = "GenericError") -> dict[str, Any]:
    return {"error": {"class": kind, "desc": description}}


def _line(reply: dict[str, Any]) -> bytes:
    """Return an answer as JSON. Without its id where that is a number that JSON doesn't have, or too deep."""
    try:
        return json.dumps(reply, allow_nan=False).encode() + b"\n"
    except (ValueError, RecursionError):
        del reply["id"]
        return json.dumps(reply).encode() + b"\n"


def _parts(request: Any) -> tuple[str, dict[str, Any]]:
    if not isinstance(request, dict):
        raise Refused("QMP input must be a JSON object")
    for name, value in request.items():
        if name == "execute" and not isinstance(value, str):
            raise Refused("QMP input member 'execute' must be a string")
        if name == "arguments" and not isinstance(value, dict):
            raise Refused("QMP input member 'arguments' must be an object")
        if name not in ("execute", "arguments", "id"):
            raise Refused(f"QMP input member '{name}' is unexpected")
    if "execute" not in request:
        raise Refused("QMP input lacks member 'execute'")
    return request["execute"], request.get("arguments", {})

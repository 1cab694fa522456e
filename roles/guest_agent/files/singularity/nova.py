"""The dialect of OpenStack's XenAPI hosts: `{"name": …, "value": …}`, answered by a returncode and a message."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any, Tuple, Union

from singularity import functions
from singularity.errors import Refused, place, reason

if TYPE_CHECKING:
    from singularity.channels import Channel
    from singularity.guest import Guest

log = logging.getLogger(__name__)
MOST_DIGITS = 100
MOST_MESSAGE = 1000
_PLAIN = {'"': "'", "\\": "/"}


class Nova:
    """Answers requests; whatever they are, it raises nothing."""

    def __init__(self, guest: Guest) -> None:
        self._guest = guest

    def answer(self, message: Union[bytes, str], channel: Channel) -> bytes:
        """Do what a request asks for, and return the answer."""
        try:
            request = parse(message)
        except ValueError as error:
            return reply("500", f"The request can't be read: {error}")
        return self.answer_to(request, channel)

    def answer_to(self, request: Any, channel: Channel) -> bytes:
        """Do what a parsed request asks for, and return the answer."""
        if not isinstance(request, dict):
            return reply("500", "The request is no JSON object")
        name = request.get("name")
        try:
            code, said = self._call(name, request.get("value"), channel)
        except Refused as error:
            code, said = error.returncode, error.message
        except OSError as error:
            code, said = "500", reason(error, f"{name} failed")
        except Exception as error:
            # the one border: what a function raises must not end the daemon, and may quote a secret
            log.error("%s of %s: %s at %s", name, channel.name, type(error).__name__, place(error))
            code, said = "500", f"{name} failed inside the agent ({type(error).__name__}); its log says where"
        shown = name if isinstance(name, str) else type(name).__name__
        log.log(
            logging.INFO if code in ("0", "D0") else logging.WARNING, "%.80s over %s: %s", shown, channel.name, code
        )
        return reply(code, said)

    def _call(self, name: Any, value: Any, channel: Channel) -> Tuple[str, str]:
        function = functions.find(name, self._guest)
        if function is None:
            raise Refused("No such agent command", "404")
        answer = function.answer(value, self._guest, channel)
        return ("0", answer) if isinstance(answer, str) else answer


def parse(message: Union[bytes, str]) -> Any:
    """Return what a request says. Raises ValueError, with a message that quotes nothing of it.

    Lenient, as hosts' tools un-escape what they write: newlines within strings are right. A number that is longer than
    any that is meant remains a text, as to read it would take long.
    """
    text = message.decode("utf-8", "surrogateescape") if isinstance(message, bytes) else message
    try:
        return json.loads(text.strip(" \t\r\n\0\ufeff"), strict=False, parse_int=_number)
    except json.JSONDecodeError as error:
        raise ValueError(f"{error.msg} at character {error.pos}") from None
    except RecursionError:
        raise ValueError("It is too deep") from None


def reply(returncode: str, message: str) -> bytes:
    """Return an answer that every host can read: both parts are texts, and have no character that its tools escape."""
    plain = "".join(_PLAIN.get(one, one if " " <= one <= "~" else "?") for one in str(message))
    if len(plain) > MOST_MESSAGE:
        plain = plain[: MOST_MESSAGE - 3] + "..."
    return f'{{"message":"{plain}", "returncode":"{returncode}"}}'.encode("ascii")


def too_long(limit: int) -> bytes:
    """Return what is answered in place of an answer that does not fit."""
    return reply("500", f"The answer is longer than the {limit} bytes that this channel can carry")


def _number(text: str) -> Union[int, str]:
    return int(text) if len(text) <= MOST_DIGITS else text

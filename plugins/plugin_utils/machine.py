# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Talk to a host through an action's Ansible connection, with a deadline and with errors a caller can tell apart."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import signal
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.connection import ConnectionBase
from ansible_collections.commissaire.fleet.plugins.plugin_utils.processes import children

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ansible.plugins.action import ActionBase

SHOWN_CHARACTERS = 400
NOTICE = re.compile(
    r"Warning: Permanently added|Shared connection to|IT IS POSSIBLE THAT|Someone could be|It is also possible"
    r"|Please contact your|Add correct host key"
)
CHANGED_KEY = re.compile(r"HOST IDENTIFICATION HAS CHANGED|Host key verification failed", re.IGNORECASE)
DENIED = re.compile(r"Permission denied|Too many authentication failures", re.IGNORECASE)


class NoContactError(Exception):
    """The host could not be talked to; the text is ssh's own."""


class HostKeyError(NoContactError):
    """The host showed a key that is not the recorded one."""


class DeniedError(NoContactError):
    """The host refused the login."""


class CommandError(Exception):
    """The host ran the command, and the command failed; the text is the command's own."""


@dataclass(frozen=True)
class Answer:
    """Lines `name=value` a script printed."""

    values: dict[str, str]

    def __getitem__(self, name: str) -> str:
        return self.values.get(name, "")


class Machine:
    """A host, as an action sees it."""

    def __init__(self, action: ActionBase) -> None:
        self._action = action
        self._connection = action._connection

    def ask(self, script: str, seconds: float) -> Answer:
        """Run a POSIX shell script within `seconds`, and read the lines `name=value` it prints."""
        pairs = (line.strip().partition("=") for line in self.run(script, seconds).splitlines())
        return Answer({name: value for name, equals, value in pairs if equals})

    def run(self, script: str, seconds: float) -> str:
        """Run a POSIX shell script within `seconds`, and return what it prints."""
        become = bool(self._connection.become)
        try:
            with _alarm(seconds):
                # a terminal is only needed to answer become's prompt
                result = self._action._low_level_execute_command(
                    f"/bin/sh -c {shlex.quote(script)}", sudoable=become, executable=""
                )
        except AnsibleConnectionFailure as error:
            raise _no_contact(str(error)) from error
        except _AlarmError as error:
            for process in children(os.getpid()):
                os.kill(process, signal.SIGTERM)  # the ssh that gave no answer
            raise NoContactError(f"no answer within {seconds:.0f} s") from error
        if result["rc"] != 0:
            text = ssh_words(f"{result['stderr']}\n{result['stdout']}")
            raise CommandError(text or f"exit status {result['rc']}")
        return str(result["stdout"])

    def connect_anew(self, seconds: int) -> None:
        """Log in afresh, within `seconds`: a connection that ssh kept would hide a dead host or a changed key."""
        if self.transport in ("ssh", "smart"):
            self._connection.set_option("ssh_extra_args", f"{self.option('ssh_extra_args') or ''} -o ControlPath=none")
            self._connection.set_option("timeout", seconds)

    def hang_up(self) -> None:
        """Close a kept connection (ControlPersist), because its other end is gone or going."""
        if type(self._connection).reset is not ConnectionBase.reset:
            with contextlib.suppress(AnsibleConnectionFailure):
                self._connection.reset()

    @property
    def transport(self) -> str:
        """The connection plugin's name without its collection."""
        return str(self._connection.transport).rpartition(".")[2]

    def option(self, name: str) -> Any:
        """Return an option of the connection plugin."""
        return self._connection.get_option(name)


def changed_key(error: HostKeyError) -> str:
    """Say what to do about another host key; ssh's own words on it are a screenful, so only their head is kept."""
    return (
        "shows another host key than the recorded one. If the machine is meant to have a new one, accept it: "
        "`commctl host accept-key` with its address; without the API `ssh-keygen -R`, then record the new key. "
        f"ssh says: {str(error)[:120]}"
    )


def ssh_words(text: str) -> str:
    """Cut ssh's output down to what it has to say: no frames, no notices, one line."""
    lines = (line.strip("@ \t\r") for line in text.splitlines())
    words = " ".join(line for line in lines if line and not NOTICE.match(line))
    words = re.sub(r"^.*?Failed to connect to the host via ssh:\s*", "", words)
    return words if len(words) <= SHOWN_CHARACTERS else f"{words[:SHOWN_CHARACTERS]}..."


def _no_contact(text: str) -> NoContactError:
    words = ssh_words(text)
    if CHANGED_KEY.search(text):
        return HostKeyError(words)
    return DeniedError(words) if DENIED.search(text) else NoContactError(words)


class _AlarmError(BaseException):
    """The time is up. Not an Exception, so that no handler on the way swallows it."""


@contextlib.contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    """Raise _AlarmError in the block after `seconds`; a task's own timeout stays in force."""

    def ring(_signal: int, _frame: object) -> None:
        raise _AlarmError

    start = time.monotonic()
    outer_handler = signal.getsignal(signal.SIGALRM)
    outer_seconds = signal.getitimer(signal.ITIMER_REAL)[0]
    if 0 < outer_seconds <= seconds:
        yield
        return
    signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, max(seconds, 0.1))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, outer_handler)
        if outer_seconds:
            signal.setitimer(signal.ITIMER_REAL, max(outer_seconds - (time.monotonic() - start), 0.001))

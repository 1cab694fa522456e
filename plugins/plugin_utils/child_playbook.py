# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Run a playbook for one host from within a task, as this ansible-playbook was run itself."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from ansible_collections.commissaire.fleet.plugins.plugin_utils import processes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

WITHIN = "COMMISSAIRE_CHECK_PLAYBOOK"
"""In the environment of such a playbook, so that it starts no further one."""
VALUES = {
    "inventory": "--inventory",
    "extra_vars": "--extra-vars",
    "vault_ids": "--vault-id",
    "vault_password_files": "--vault-password-file",
    "module_path": "--module-path",
    "connection": "--connection",
    "connection_password_file": "--connection-password-file",
    "remote_user": "--user",
    "private_key_file": "--private-key",
    "timeout": "--timeout",
    "ssh_common_args": "--ssh-common-args",
    "ssh_extra_args": "--ssh-extra-args",
    "scp_extra_args": "--scp-extra-args",
    "sftp_extra_args": "--sftp-extra-args",
    "become_method": "--become-method",
    "become_user": "--become-user",
    "become_password_file": "--become-password-file",
}
FLAGS = {"become": "--become", "check": "--check", "diff": "--diff"}
RUNNERS_CALLBACK = "awx_display.py"
POLL_SECONDS = 0.1
END_SECONDS = 10.0
SHOWN_CHARACTERS = 1000
SHOWN_LINES = 5
READ_BYTES = 1 << 16
_CAUSES = (re.compile(r"(fatal|failed): \["), re.compile(r"\[?ERROR\]?[:!]"))  # the first kind that there is


def options(arguments: Mapping[str, Any]) -> list[str]:
    """Return the command line that says the same as *arguments*, the `CLIARGS` of this ansible-playbook.

    Not what is typed at a prompt: passwords come from files, or not at all.
    """
    words = [flag for name, flag in FLAGS.items() if arguments.get(name)]
    for name, option in VALUES.items():
        value = arguments.get(name) or ()
        values = (value,) if isinstance(value, str | int) else value
        words += [f"{option}={one}" for one in values]
    return words


def environment(given: Mapping[str, str]) -> dict[str, str]:
    """Return *given* for output that is read here, instead of by whoever started this ansible-playbook.

    ansible-runner and AWX do that by a callback plugin that changes all output as soon as its file is read.
    """
    folders = given.get("ANSIBLE_CALLBACK_PLUGINS", "").split(":")
    plugins = ":".join(folder for folder in folders if not (Path(folder) / RUNNERS_CALLBACK).exists())
    dropped = ("ANSIBLE_FORCE_COLOR", "ANSIBLE_CALLBACK_PLUGINS")
    return {
        **{name: value for name, value in given.items() if name not in dropped},
        **({"ANSIBLE_CALLBACK_PLUGINS": plugins} if plugins else {}),
        "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.default",
        "ANSIBLE_NOCOLOR": "1",
        WITHIN: "1",
    }


def run(
    playbook: str, host: str, arguments: Mapping[str, Any], seconds: float, still_wanted: Callable[[], None]
) -> str:
    """Run *playbook* (a FQCN) with `--limit` *host*; return why that is no success, "" when it is.

    It ends with this process, after *seconds*, and when *still_wanted* raises.
    """
    if WITHIN in os.environ:
        return f"{playbook} is asked for by a playbook that is a check itself"
    command = [sys.executable, "-m", "ansible", "playbook", *options(arguments)]
    with tempfile.TemporaryFile() as said:
        child = subprocess.Popen(
            [*command, f"--limit={host}", "--forks=1", playbook],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            env=environment(os.environ),
            preexec_fn=processes.die_with_parent,
        )
        try:
            ended = _wait(child, seconds, still_wanted)
        finally:
            _end(child)
        dry = bool(arguments.get("check"))
        return judge(host, child.returncode, _tail(said), dry) if ended else f"did not end within {seconds:g} s"


def judge(host: str, status: int, text: str, dry: bool = False) -> str:
    """Return why a playbook that ended with *status* and printed *text* did not succeed on *host*; "" when it did.

    In a *dry* run it may skip all its tasks.
    """
    if status == 0:
        played = re.search(rf"^{re.escape(host)} +: ok={'' if dry else '[1-9]'}", text, re.MULTILINE)
        return "" if played else f"has nothing to do on {host}: a check that looks at nothing"
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    told = ([line for line in lines if cause.match(line)] for cause in _CAUSES)
    causes = next(filter(None, told), lines[-SHOWN_LINES:])
    return f"ended with {status}: {' '.join(causes)}"[:SHOWN_CHARACTERS]


def _wait(child: subprocess.Popen[bytes], seconds: float, still_wanted: Callable[[], None]) -> bool:
    start = time.monotonic()
    while child.poll() is None:
        if time.monotonic() - start >= seconds:
            return False
        still_wanted()
        time.sleep(POLL_SECONDS)
    return True


def _end(child: subprocess.Popen[bytes]) -> None:
    """Tell it to end, which it passes on to its workers; kill it if it does not."""
    if child.poll() is not None:
        return
    child.terminate()
    try:
        child.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def _tail(said: IO[bytes]) -> str:
    said.seek(max(0, said.seek(0, os.SEEK_END) - READ_BYTES))
    return said.read().decode("utf-8", "replace")

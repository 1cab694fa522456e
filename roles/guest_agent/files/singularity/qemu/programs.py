"""guest-exec: programs run beside the agent; their output is kept until the host asks for it."""

from __future__ import annotations

import os
import stat
from typing import Any, Sequence

from ..errors import Refused
from . import children
from .base64_text import decoded, encoded
from .capture import Budget, Capture
from .memory import in_memory
from .session import Session

PROGRAMS_MOST = 64
HELD_BYTES = 16 << 20
"""Of the output of all programs together."""


class Program:
    """A program under way, or one that ended and was not asked for since."""

    def __init__(self, child: children.Child, out: Capture | None, err: Capture | None) -> None:
        self.child = child
        self.out = out
        self.err = err

    @property
    def is_over(self) -> bool:
        """Whether it ended, and all that was written is read: what it started may write on, and is waited for."""
        captures = [capture for capture in (self.out, self.err) if capture]
        return self.child.has_ended() and all(capture.is_complete for capture in captures)

    def forget(self) -> None:
        for capture in (self.out, self.err):
            if capture:
                capture.close()


class Programs:
    """The programs of a session, by process id, oldest first."""

    def __init__(self) -> None:
        self.known: dict[int, Program] = {}
        self.budget = Budget(HELD_BYTES)

    def make_room(self, at_any_price: bool = False) -> None:
        """Forget a program, if there are as many as may be: one that is over, or else the oldest one that ended.

        What that one started may hold its output open for ever. When all run Refused is raised, or *at_any_price* the
        oldest is forgotten; it runs on.
        """
        if len(self.known) < PROGRAMS_MOST:
            return
        over = [pid for pid, program in self.known.items() if program.is_over]
        ended = [pid for pid, program in self.known.items() if program.child.has_ended()]
        forgettable = over or ended or (list(self.known) if at_any_price else [])
        if not forgettable:
            raise Refused(f"{PROGRAMS_MOST} programs run: wait until one of them has ended")
        self.known.pop(forgettable[0]).forget()

    def close(self) -> None:
        while self.known:
            self.known.popitem()[1].forget()


def execute(
    session: Session,
    path: str,
    arg: Sequence[str] = (),
    env: Sequence[str] | None = None,
    input_data: str | None = None,
    capture_output: bool | str = False,
) -> dict[str, int]:
    import subprocess  # takes a megabyte

    programs = session.part(Programs)
    programs.make_room()
    root = session.guest.settings.root
    environment = _environment(env)
    if isinstance(capture_output, bool):
        capture_output = "separated" if capture_output else "none"
    pipe, null = subprocess.PIPE, subprocess.DEVNULL
    with in_memory(decoded(input_data or "")) as stdin:  # unlike a pipe it never waits for its reader
        try:
            process = subprocess.Popen(
                [path, *arg],
                executable=_found(path) if root == "/" else None,
                env=environment,
                cwd="/",
                stdin=stdin,
                stdout=pipe if capture_output in ("stdout", "separated", "merged") else null,
                stderr=subprocess.STDOUT
                if capture_output == "merged"
                else pipe
                if capture_output in ("stderr", "separated")
                else null,
                bufsize=0,
                start_new_session=True,
                preexec_fn=None if root == "/" else _inside(root),
            )
        except OSError as error:
            raise Refused(f"Guest agent command failed: can't execute '{path}' ({error.strerror})") from error
        except subprocess.SubprocessError as error:  # what _inside raised
            raise Refused(f"guest-exec is refused: the agent can't enter {root} by chroot") from error
    child = children.Child(process)
    out, err = (
        Capture(pipe, session.loop, programs.budget) if pipe else None for pipe in (process.stdout, process.stderr)
    )
    programs.known[process.pid] = Program(child, out, err)
    return {"pid": process.pid}


def status(session: Session, pid: int) -> dict[str, Any]:
    """Tell of a program; one that is over is forgotten by that."""
    programs = session.part(Programs)
    program = programs.known.get(pid)
    if program is None:
        raise Refused("Invalid parameter 'pid'")
    if not program.is_over:
        return {"exited": False}
    code = program.child.code
    answer: dict[str, Any] = {"exited": True}
    answer.update({"exitcode": code} if code >= 0 else {"signal": -code})
    for name, capture in (("out", program.out), ("err", program.err)):
        if capture and (capture.data or capture.is_truncated):
            answer[f"{name}-data"] = encoded(capture.data)
            answer[f"{name}-truncated"] = capture.is_truncated
    del programs.known[pid]
    program.forget()
    return answer


def _environment(given: Sequence[str] | None) -> dict[str, str] | None:
    """Return what replaces the agent's environment, if anything does."""
    if given is None:
        return None
    pairs = (entry.partition("=") for entry in given)
    return {name: value for name, is_assignment, value in pairs if name and is_assignment}


def _found(name: str) -> str:
    """Return where a program lies. A bare name is looked for on the agent's own PATH, whatever environment is given."""
    if "/" in name:
        return name
    for folder in os.get_exec_path():
        path = os.path.join(folder, name)
        if os.access(path, os.X_OK) and stat.S_ISREG(os.stat(path).st_mode):
            return path
    raise Refused(f"Guest agent command failed: can't execute '{name}' (No such file or directory)")


def _inside(root: str) -> Any:
    """Return what a new process does to see nothing outside of --root."""

    def enter() -> None:
        os.chroot(root)
        os.chdir("/")

    return enter

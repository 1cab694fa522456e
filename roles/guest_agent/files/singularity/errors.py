"""What can go wrong, and is told to whoever asked."""

from __future__ import annotations

from typing import Optional


class Refused(Exception):
    """What was asked for is not done; the message says why, and is sent to the hypervisor."""

    def __init__(self, message: str, returncode: str = "500") -> None:
        super().__init__(message)
        self.message = message
        self.returncode = returncode


class SettingsError(Exception):
    """The command line or the configuration file can't be used; the message says what in it."""


def reason(error: BaseException, doing: Optional[str] = None) -> str:
    """Return what may be told of *error* to anybody: a system error's cause, and of others only their kind.

    Other messages may quote what was asked for, and that may be a secret.
    """
    if isinstance(error, Refused):
        return error.message
    if isinstance(error, OSError) and error.strerror:
        name = f"{error.filename}: " if isinstance(error.filename, str) else ""
        said = f"{name}{error.strerror}"
    else:
        said = type(error).__name__
    return f"{doing}: {said}" if doing else said


def place(error: BaseException) -> str:
    """Return where *error* was raised, as `file:line`, for a log."""
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    if not trace:
        return "nowhere"
    path = trace.tb_frame.f_code.co_filename.rpartition("singularity/")[2]
    return f"{path}:{trace.tb_lineno}"

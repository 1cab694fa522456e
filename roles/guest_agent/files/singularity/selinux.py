"""What a file has beside its content, owner and mode: the label of SELinux, and an access control list."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Sequence

from singularity import programs

LABEL = "security.selinux"
ACCESS = "system.posix_acl_access"
_ENFORCE = "/sys/fs/selinux/enforce"


def copy(old: int, new: int, access: bool) -> None:
    """Give the open file `new` the label of `old`, and with `access` its access control list, where it has them."""
    for name in (LABEL, ACCESS) if access else (LABEL,):
        with suppress(OSError):
            os.setxattr(new, name, os.getxattr(old, name))


def restore(paths: Sequence[str]) -> None:
    """Label new files of the running system as its policy says; nothing where SELinux is off or has no tools."""
    restorecon = programs.find("restorecon") if paths and os.path.exists(_ENFORCE) else None
    if restorecon:
        programs.attempt([restorecon, "--", *paths])

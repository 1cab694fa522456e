"""The root file system every machine of every lab stands on: made once per recipe, read-only afterwards."""

import fcntl
import hashlib
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from .apt import debian_sources
from .command import run

CACHE = Path(os.environ.get("COMMISSAIRE_LAB_CACHE", "/var/cache/commissaire-lab"))
SUITE = "bookworm"
PACKAGES = (
    "dbus",
    "ifupdown",
    "iproute2",
    "libpam-systemd",
    "openssh-server",
    "procps",
    "python3",
    "python3-apt",
    "sudo",
    "systemd",
    "systemd-sysv",
)
LEFT_OUT = ("/usr/share/doc/*", "/usr/share/info/*", "/usr/share/locale/*", "/usr/share/man/*")
SCRIPT = Path(__file__).with_name("image.sh")


def image(*packages: str) -> Path:
    """Return the root file system's directory, with further Debian `packages` if named; build it when it isn't there.

    Several processes may ask at once: one builds, the others wait for it. Raise LabError when it can't be built.
    """
    script = SCRIPT.read_text()
    wanted = (*PACKAGES, *packages)
    recipe = repr((SUITE, wanted, LEFT_OUT, script)).encode()
    directory = CACHE / hashlib.sha256(recipe).hexdigest()[:12]
    if directory.is_dir():
        return directory
    CACHE.mkdir(mode=0o755, parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not directory.is_dir():
            _build(directory, wanted, script)
    return directory


def _build(directory: Path, packages: Sequence[str], script: str) -> None:
    """Build beside `directory` and move it there whole, so that nobody ever sees half an image."""
    print(f"lab: building the machines' root file system in {directory} (once, about a minute)", file=sys.stderr)
    unfinished = directory.with_suffix(".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    command = ["mmdebstrap", "--quiet", "--mode=root", "--variant=minbase", "--format=directory"]
    command += ["--include=" + ",".join(packages)]
    command += [f"--dpkgopt=path-exclude={pattern}" for pattern in LEFT_OUT]
    sources = debian_sources(SUITE)
    run([*command, SUITE, str(unfinished), *(["-"] if sources else [])], text=sources)
    run(["chroot", str(unfinished), "sh", "-s"], text=script)
    unfinished.rename(directory)

"""A real xenstored on a computer without Xen, with the programs that Debian ships for it."""

import fcntl
import hashlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from .command import LabError, run
from .image import CACHE
from .libxenstore import Connection
from .xenbus import Domain

PROGRAMS = {"xenstore-read": "xenstore-utils", "cc": "gcc libc6-dev"}
SHIM = Path(__file__).with_name("xenstored_shim.c")
START_SECONDS = 10


def xenstore_obstacle() -> str | None:
    """Return why there can't be a xenstored here and what to do about it; None when there can."""
    absent = {package for program, package in PROGRAMS.items() if not shutil.which(program)}
    if not _daemon():
        absent.add("xen-utils-4.17")
    return f"xenstored needs Debian packages: apt-get install {' '.join(sorted(absent))}" if absent else None


@dataclass
class XenStore:
    """A xenstored of its own, in a folder of its own: `with XenStore.make() as store:`.

    Whoever connects to `socket` is domain 0: its relative paths lie below /local/domain/0. `introduce` makes others.
    """

    directory: Path
    _process: "subprocess.Popen[bytes] | None" = None
    _domains: dict[int, Domain] = field(default_factory=dict)

    @classmethod
    @contextmanager
    def make(cls) -> Iterator[Self]:
        """Start one, and end it. Raise LabError when there can't be one."""
        if why := xenstore_obstacle():
            raise LabError(why)
        with tempfile.TemporaryDirectory(prefix="xenstore-") as directory:  # a socket's path is short: not tmp_path
            store = cls(Path(directory))
            try:
                store.start()
                yield store
            finally:
                for domain in store._domains.values():
                    domain.close()
                store.kill()

    @property
    def socket(self) -> Path:
        return self.directory / "socket"

    @property
    def environment(self) -> dict[str, str]:
        """What Xen's own programs and libraries find this one by."""
        return {"XENSTORED_RUNDIR": str(self.directory), "XENSTORED_PATH": str(self.socket)}

    def start(self) -> None:
        """Start the daemon with an empty store, but for what a toolstack writes for domain 0."""
        log = self.directory / "xenstored.log"
        preload = {"LD_PRELOAD": str(_shim()), "XENSTORED_ROOTDIR": str(self.directory)}
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [str(_daemon()), "--no-fork"],
                env={**os.environ, **self.environment, **preload},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                self.write("/local/domain/0/name", "Domain-0")
                break
            except LabError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    self.kill()
                    raise LabError(f"xenstored does not start: {log.read_text()}") from None
                time.sleep(0.01)
        for domain in self._domains.values():
            self._introduce(domain)

    def kill(self) -> None:
        """End the daemon, which forgets everything."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None
        self.socket.unlink(missing_ok=True)

    def pause(self, seconds: float) -> None:
        """Let the daemon not answer for a while."""
        assert self._process
        self._process.send_signal(signal.SIGSTOP)
        time.sleep(seconds)
        self._process.send_signal(signal.SIGCONT)

    def domain(self, domid: int, name: str = "guest") -> str:
        """Write what a toolstack writes for a new domain, which may write below `data`; return the path of its home."""
        home = f"/local/domain/{domid}"
        readable = [] if domid == 0 else ["n0", f"r{domid}"]
        for path, value in (("", ""), ("/name", name), ("/vm-data", ""), ("/data", "")):
            self.write(home + path, value)
            modes = [f"n{domid}"] if path == "/data" else readable
            if modes:
                self.run("chmod", home + path, *modes)
        return home

    def introduce(self, domid: int, name: str = "guest", device: bool = False) -> Domain:
        """Make a domain that talks to the daemon through a ring, as a guest's kernel does, until the store ends.

        Whoever connects to the `path` of what is returned is that domain: its relative paths lie below its own home,
        and quotas and permissions apply. With `device` that is a character device, as /dev/xen/xenbus, not a socket.
        """
        domain = self._domains[domid] = Domain(self.directory, domid, name, device)
        self._introduce(domain)
        return domain

    def _introduce(self, domain: Domain) -> None:
        domain.reset()
        with self.connect() as connection:
            connection.introduce(domain.domid, port=domain.domid)
        self.domain(domain.domid, domain.name)

    def connect(self) -> Connection:
        """Connect as domain 0, by Xen's own library."""
        return Connection(self.socket)

    def run(self, command: str, *arguments: str) -> str:
        """Run a program of Debian's: `run("ls", "/local")`. Raise LabError with what it says when it fails."""
        return run(
            ["env", *(f"{name}={value}" for name, value in self.environment.items()), f"xenstore-{command}", *arguments]
        )

    def read(self, path: str) -> str | None:
        """Return a node's value as xenstore-read shows it, which escapes what is not printable; None without one."""
        try:
            return self.run("read", path).removesuffix("\n")
        except LabError:
            if not self._process or self._process.poll() is not None:
                raise
            return None

    def write(self, path: str, value: str) -> None:
        """Write a node as xenstore-write does, which un-escapes the value."""
        self.run("write", path, value)

    def remove(self, path: str) -> None:
        """Remove a node and all below it."""
        self.run("rm", path)

    def children(self, path: str) -> list[str]:
        """Return the names of the nodes below one; none where there is none."""
        try:
            return self.run("list", path).split()
        except LabError:
            return []

    def watch(self, path: str) -> "subprocess.Popen[str]":
        """Start xenstore-watch, which prints the path of each change, the first at once. It is the caller's to end."""
        return subprocess.Popen(
            ["xenstore-watch", path], env={**os.environ, **self.environment}, stdout=subprocess.PIPE, text=True
        )


def _daemon() -> Path | None:
    return next(iter(sorted(Path("/usr/lib").glob("xen-4.*/bin/xenstored"))), None)


def _shim() -> Path:
    """Return the library that stands for a hypervisor; compile it when it isn't there."""
    library = CACHE / f"xenstored-{hashlib.sha256(SHIM.read_bytes()).hexdigest()[:12]}.so"
    if library.exists():
        return library
    CACHE.mkdir(mode=0o755, parents=True, exist_ok=True)
    with (CACHE / "xenstored.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not library.exists():
            unfinished = library.with_suffix(".unfinished")
            run(["cc", "-shared", "-fPIC", "-O2", "-o", str(unfinished), str(SHIM)])
            unfinished.rename(library)
    return library

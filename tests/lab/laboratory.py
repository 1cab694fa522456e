"""A laboratory of real machines: made, found again by name, and removed without a trace."""

import json
import os
import re
import secrets
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ParamSpec, Self, TypeVar

from . import cgroup, disk, network
from .command import LabError, run
from .host import LabHost
from .image import image
from .lock import locked

BASE = Path("/run/commissaire-lab")
NAME = re.compile(r"[a-z][a-z0-9]{0,7}")
INOTIFY = Path("/proc/sys/fs/inotify/max_user_instances")
INOTIFY_INSTANCES = 1024
PROGRAMS = {
    "systemd-nspawn": "systemd-container",
    "mmdebstrap": "mmdebstrap",
    "ip": "iproute2",
    "nsenter": "util-linux",
    "ssh-keygen": "openssh-client",
}

P = ParamSpec("P")
T = TypeVar("T")


def _allow_inotify() -> None:
    """Let root watch files as often as it takes: a node of Kubernetes needs 18 inotify instances, and all have 128."""
    if int(INOTIFY.read_text()) < INOTIFY_INSTANCES:
        INOTIFY.write_text(str(INOTIFY_INSTANCES))


def obstacle() -> str | None:
    """Return why there can't be a lab here and what to do about it; None when there can."""
    if not sys.platform.startswith("linux"):
        return "a lab needs Linux"
    absent = sorted({package for program, package in PROGRAMS.items() if not shutil.which(program)})
    if absent:
        return f"a lab needs Debian packages: apt-get install {' '.join(absent)}"
    if os.geteuid() != 0:
        return "a lab needs root: run this as root"
    return None


@dataclass
class Lab:
    """A network namespace with machines in it. `with Lab.make(hosts=3) as lab:` makes one and removes it again."""

    name: str
    hosts: list[LabHost] = field(default_factory=list)
    containers: bool = False
    _warden: "subprocess.Popen[bytes] | None" = None

    @classmethod
    def make(
        cls,
        hosts: int = 3,
        name: str | None = None,
        *,
        keep: bool = False,
        disk_mb: int = 512,
        packages: Sequence[str] = (),
        containers: bool = False,
    ) -> Self:
        """Make a lab of `hosts` machines that answer ssh, each with a disk of `disk_mb` MiB in memory.

        They have further Debian `packages` if named; each such combination is an image of its own, built once.
        With `containers` they can run some.
        Without `name` it gets a free one. Unless `keep`, the lab ends with this process, however that ends.
        Raise LabError when there can't be one, when the name is taken, or when a machine doesn't come up.
        """
        if why := obstacle():
            raise LabError(why)
        if not 1 <= hosts <= network.MAX_HOSTS:
            raise LabError(f"a lab has 1 to {network.MAX_HOSTS} hosts, not {hosts}")
        name = name or "l" + secrets.token_hex(3)
        if not NAME.fullmatch(name):
            raise LabError(f"{name!r} can't be a lab's name: 1 to 8 lower-case letters and digits, a letter first")
        sweep()
        _allow_inotify()
        base_image = image(*packages)
        lab = cls(name, containers=containers)
        with locked(BASE, create=True):
            if lab.directory.exists():
                raise LabError(f"lab {name} is there already: python -m lab down --name {name}")
            lab.directory.mkdir(mode=0o755)
            names = [f"h{number}" for number in range(1, hosts + 1)]
            owner = None if keep else _identity(os.getpid())
            state = {"hosts": names, "owner": owner, "containers": containers}
            (lab.directory / "lab.json").write_text(json.dumps(state))
        try:
            lab.hosts = lab._machines(names)
            if not keep:
                lab._warden = _guard(name)
            lab._build(base_image, disk_mb)
        except BaseException:
            lab.down()
            raise
        return lab

    @classmethod
    def find(cls, name: str) -> Self:
        """Return the lab that was made under `name`, by whichever process. Raise LabError when there is none."""
        lab = cls(name)
        try:
            state = json.loads((lab.directory / "lab.json").read_text())
        except (FileNotFoundError, ValueError) as error:
            raise LabError(f"there is no lab {name}: python -m lab list") from error
        lab.containers = state.get("containers", False)
        lab.hosts = lab._machines(state["hosts"])
        return lab

    @property
    def directory(self) -> Path:
        """Where the lab keeps its keys and its machines."""
        return BASE / self.name

    @property
    def namespace(self) -> str:
        """The network namespace, as `ip netns` names it."""
        return f"lab-{self.name}"

    @property
    def gateway(self) -> str:
        """The controller's address in the namespace. (127.0.0.1 works there, too.)"""
        return network.GATEWAY

    @property
    def private_key(self) -> Path:
        """An ed25519 key that opens root and `operator` on every machine."""
        return self.directory / "key"

    @property
    def known_hosts(self) -> Path:
        """The machines' true host keys."""
        return self.directory / "known_hosts"

    def host(self, name: str) -> LabHost:
        """Return the machine called `name`, or at that address. Raise LabError when there is none."""
        for host in self.hosts:
            if name in (host.name, host.address):
                return host
        raise LabError(f"lab {self.name} has no host {name}, only {', '.join(host.name for host in self.hosts)}")

    def command(self, argv: Sequence[str | os.PathLike[str]]) -> list[str]:
        """Return the command that runs `argv` in the lab's namespace."""
        return [*network.enter(self.namespace), *(os.fspath(word) for word in argv)]

    def run(self, argv: Sequence[str | os.PathLike[str]], **kwargs: Any) -> subprocess.CompletedProcess[Any]:
        """Run `argv` in the lab's namespace; `kwargs` are subprocess.run's."""
        return subprocess.run(self.command(argv), **{"check": False, **kwargs, "env": self._environment(kwargs)})

    def popen(self, argv: Sequence[str | os.PathLike[str]], **kwargs: Any) -> "subprocess.Popen[Any]":
        """Start `argv` in the lab's namespace; `kwargs` are subprocess.Popen's. It is killed when the lab goes down."""
        return subprocess.Popen(self.command(argv), **{**kwargs, "env": self._environment(kwargs)})

    def inside(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call `function` in a thread inside the lab's namespace: `lab.inside(httpx.get, url)`."""
        return network.inside(self.namespace, function, *args, **kwargs)

    def ssh(self, host: LabHost, user: str = "root") -> list[str]:
        """Return the ssh command that reaches `host` from inside the namespace; append what it shall run."""
        options = [f"UserKnownHostsFile={self.known_hosts}", "StrictHostKeyChecking=yes", "BatchMode=yes"]
        argv = ["ssh", "-F", "none", "-i", str(self.private_key)]
        return [*argv, *(part for option in options for part in ("-o", option)), f"{user}@{host.address}"]

    def inventory(self, path: Path, user: str = "root") -> Path:
        """Write an Ansible inventory of the machines to `path` (JSON, which is YAML) and return it."""
        arguments = f"-o UserKnownHostsFile={self.known_hosts} -o StrictHostKeyChecking=yes"
        variables = {
            "ansible_user": user,
            "ansible_become": user != "root",
            "ansible_ssh_private_key_file": str(self.private_key),
            "ansible_ssh_common_args": arguments,
            "ansible_python_interpreter": "/usr/bin/python3",
        }
        hosts = {host.name: {"ansible_host": host.address} for host in self.hosts}
        path.write_text(json.dumps({"all": {"hosts": hosts, "vars": variables}}, indent=2) + "\n")
        return path

    def down(self) -> None:
        """Remove the lab and everything of it, whatever state it is in. No error when it is gone already."""
        with locked(self.directory) as there:
            if there:
                cgroup.kill(self.name)
                cgroup.remove(self.name)
                network.remove(self.namespace)
                for host in self.hosts:
                    disk.remove(host)
                shutil.rmtree(self.directory, ignore_errors=True)
        with locked(BASE) as there, suppress(OSError):  # OSError: another lab is still there
            if there:
                BASE.rmdir()
        if self._warden:
            self._warden.communicate(b"removed")
            self._warden = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.down()

    def _environment(self, given: dict[str, Any]) -> dict[str, str]:
        """Let no Ansible take a connection that was kept to a machine of another lab: all have the same addresses."""
        own = {"ANSIBLE_SSH_CONTROL_PATH_DIR": str(self.directory / "cp")}
        return {**own, **(os.environ if given.get("env") is None else given["env"])}

    def _machines(self, names: Sequence[str]) -> list[LabHost]:
        return [
            LabHost(name, network.address(number), self.name, self.namespace, self.directory / name, self.containers)
            for number, name in enumerate(names, start=1)
        ]

    def _build(self, base_image: Path, disk_mb: int) -> None:
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"lab {self.name}", "-f", str(self.private_key)])
        public_key = self.private_key.with_suffix(".pub").read_text()
        network.create(self.namespace, [host.name for host in self.hosts])

        def start(host: LabHost) -> str:
            host_key = disk.create(host, base_image, disk_mb, public_key)
            host.power_on()
            return f"{host.address},{host.name} {host_key}\n"

        with ThreadPoolExecutor(max_workers=4) as pool:
            self.known_hosts.write_text("".join(pool.map(start, self.hosts)))
            list(pool.map(LabHost.wait_for_ssh, self.hosts))


def labs() -> list[Lab]:
    """Return the labs on this computer."""
    found = []
    for path in sorted(BASE.glob("*/lab.json")):
        with suppress(LabError):  # gone since it was listed
            found.append(Lab.find(path.parent.name))
    return found


def sweep() -> None:
    """Remove the labs whose owner died without removing them."""
    orphans = []
    with locked(BASE) as there:
        for directory in sorted(BASE.iterdir()) if there else ():
            try:
                owner = json.loads((directory / "lab.json").read_text())["owner"]
            except (FileNotFoundError, ValueError):  # died when it held nothing yet, or nothing any more
                with locked(directory):
                    shutil.rmtree(directory, ignore_errors=True)
                continue
            if owner and _identity(owner[0]) != owner:
                orphans.append(Lab.find(directory.name))
    for lab in orphans:
        lab.down()


def _identity(pid: int) -> list[int] | None:
    """Return what tells process `pid` from later ones with its number; None when it is dead."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else [pid, int(fields[19])]


def _guard(name: str) -> "subprocess.Popen[bytes]":
    """Start the process that removes lab `name` as soon as this one is gone, even by SIGKILL."""
    here = Path(__file__).parent
    return subprocess.Popen(
        [sys.executable, "-P", str(here / "warden.py"), name],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(here.parent)},
        cwd="/",
    )

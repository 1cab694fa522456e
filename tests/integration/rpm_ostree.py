"""A stand-in for rpm-ostree on lab machines, which run Debian: the real one needs a root file system of its own kind.

It has real state over reboots (deployments, what is booted, what the remote has), and logs its arguments. What it
proves is what the roles ask and how they judge the answers; not that the real program answers like this.
"""

import json
from pathlib import Path

from lab import Lab
from lab.host import LabHost

STATE = "var/lib/stand-in/state.json"
LOG = "var/log/rpm-ostree"
STAND_IN = Path(__file__).with_name("stand_in")


def install(lab: Lab, booted: str, newest: str, versions: list[str]) -> None:
    """Make every machine an Atomic host that runs `booted`; an upgrade finds `newest`, a deploy any of `versions`."""
    for host in lab.hosts:
        program = host.root / "usr/local/bin/rpm-ostree"
        program.write_text((STAND_IN / "rpm-ostree").read_text())
        program.chmod(0o755)
        unit = (STAND_IN / "stand-in.service").read_text()
        (host.root / "etc/systemd/system/stand-in.service").write_text(unit)
        wanted = host.root / "etc/systemd/system/multi-user.target.wants/stand-in.service"
        wanted.unlink(missing_ok=True)
        wanted.symlink_to("/etc/systemd/system/stand-in.service")
        deployment = {"version": booted, "checksum": "0" * 64, "booted": True, "osname": "os", "origin": "os:stable"}
        refs = {"os:next": "8.0.0"}
        write(host, deployments=[deployment], newest=newest, versions=versions, refs=refs, fetched=[], rolls_back=False)
        (host.root / LOG).write_text("")
        host.run(["touch", "/run/ostree-booted"])


def write(host: LabHost, **changes: object) -> None:
    """Change a machine's state."""
    path = host.root / STATE
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({**(json.loads(path.read_text()) if path.exists() else {}), **changes}))


def booted(host: LabHost) -> str:
    """Return the version that a machine runs."""
    deployments = json.loads((host.root / STATE).read_text())["deployments"]
    (version,) = (each["version"] for each in deployments if each["booted"])
    return str(version)


def orders(host: LabHost) -> list[str]:
    """Return what the machine's program was told to do, without questions and boots."""
    told = [json.loads(line) for line in (host.root / LOG).read_text().splitlines()]
    return [" ".join(words) for words in told if words not in (["status", "--json"], ["upgrade", "--check"], ["boot"])]

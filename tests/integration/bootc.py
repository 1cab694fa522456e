"""A stand-in for bootc on lab machines, which run no container image.

It has real state over reboots (what is booted, staged and rolled back to, what the registry has), answers in bootc's
documented JSON (host-v1), and logs its arguments. What it proves is what the roles ask and how they judge the answers;
not that the real program answers like this.
"""

import hashlib
import json
from pathlib import Path

from lab import Lab
from lab.host import LabHost

STATE = "var/lib/stand-in/bootc.json"
LOG = "var/log/bootc"
STAND_IN = Path(__file__).with_name("stand_in")
QUESTIONS = (["status", "--format", "json"], ["upgrade", "--check"], ["boot"])


def install(lab: Lab, booted: str, images: list[str], *, download_only: bool = True) -> None:
    """Let every machine run the image `booted` of a registry that has `images`, too.

    Without `download_only` bootc is one that can only stage what the next boot takes.
    """
    unit = (STAND_IN / "stand-in.service").read_text().replace("rpm-ostree boot", "bootc boot")
    for host in lab.hosts:
        program = host.root / "usr/local/bin/bootc"
        program.write_text((STAND_IN / "bootc").read_text())
        program.chmod(0o755)
        (host.root / "etc/systemd/system/stand-in.service").write_text(unit)
        wanted = host.root / "etc/systemd/system/multi-user.target.wants/stand-in.service"
        wanted.unlink(missing_ok=True)
        wanted.symlink_to("/etc/systemd/system/stand-in.service")
        path = host.root / STATE
        path.parent.mkdir(exist_ok=True)
        state = {
            "booted": [booted, digest(booted), booted.rpartition(":")[2]],
            "staged": None,
            "rollback": None,
            "rollback_queued": False,
            "registry": {image: [digest(image), image.rpartition(":")[2]] for image in [booted, *images]},
            "cached": {},
            "download_only": download_only,
        }
        path.write_text(json.dumps(state))
        (host.root / LOG).write_text("")
        host.run(["touch", "/run/ostree-booted"])


def push(host: LabHost, image: str, content: str) -> None:
    """Let the machine's registry have something new under the name *image*."""
    state = read(host)
    state["registry"][image] = [digest(content), content]
    (host.root / STATE).write_text(json.dumps(state))


def read(host: LabHost) -> dict:
    """Return a machine's state."""
    return dict(json.loads((host.root / STATE).read_text()))


def orders(host: LabHost) -> list[str]:
    """Return what the machine's program was told to do, without questions and boots."""
    told = [json.loads(line) for line in (host.root / LOG).read_text().splitlines()]
    return [" ".join(words) for words in told if words not in QUESTIONS and "--help" not in words]


def digest(content: str) -> str:
    """Return the digest of an image."""
    return f"sha256:{hashlib.sha256(content.encode()).hexdigest()}"

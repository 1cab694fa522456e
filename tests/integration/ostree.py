"""Lab machines with the real ostree of this computer, a sysroot of its own and a remote with several versions.

Only the boot is a stand-in (stand_in/ostree): the machines' own root file systems are no deployments.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from lab import Lab
from lab.host import LabHost

STAND_IN = Path(__file__).with_name("stand_in")
UNIT = (STAND_IN / "stand-in.service").read_text().replace("rpm-ostree boot", "ostree boot")
REF = "debian/stable"


def install(lab: Lab, folder: Path, versions: list[str]) -> None:
    """Let every machine run the first of `versions`; its remote has all of them, the last one newest."""
    if not (program := shutil.which("ostree")):
        pytest.skip("no ostree here: apt-get install ostree")
    checksums = _remote(folder, versions)
    needs = subprocess.run(["ldd", program], check=True, capture_output=True, text=True).stdout
    libraries = [Path(path) for path in re.findall(r"=> (/\S+)", needs)]
    for host in lab.hosts:
        kept = host.root / "opt/ostree"
        kept.mkdir(exist_ok=True)
        for path in [Path(program), *(each for each in libraries if not (host.root / str(each)[1:]).exists())]:
            shutil.copy(path, kept)
        shutil.copy(STAND_IN / "ostree", host.root / "usr/local/bin/ostree")
        shutil.copytree(folder / "remote", host.root / "srv/remote")
        (host.root / "srv/sysroot").mkdir()
        for command in [
            ["admin", "init-fs", "/srv/sysroot"],
            ["admin", "os-init", "debian"],
            ["remote", "add", "--no-gpg-verify", "origin", "file:///srv/remote"],
            ["pull", "origin", f"{REF}@{checksums[0]}"],
            ["admin", "deploy", f"origin:{REF}"],
            ["boot"],
        ]:
            host.run(["/usr/local/bin/ostree", *command], capture_output=True)
        (host.root / "etc/systemd/system/stand-in.service").write_text(UNIT)
        host.run(["systemctl", "enable", "stand-in.service"], capture_output=True)
        host.run(["touch", "/run/ostree-booted"])


def booted(host: LabHost) -> str:
    """Return the version that a machine runs, as ostree has it."""
    done = host.run(["/usr/local/bin/ostree", "admin", "status"], capture_output=True, text=True)
    (version,) = re.findall(r"^\* .*\n +Version: (.*)$", done.stdout, re.MULTILINE)
    return str(version)


def checksum(lab: Lab, version: str) -> str:
    """Return the commit of a version in the machines' remote."""
    done = lab.hosts[0].run(
        ["/opt/ostree/ostree", "--repo=/srv/remote", "log", REF],
        capture_output=True,
        text=True,
        env={"LD_LIBRARY_PATH": "/opt/ostree", "PATH": os.environ["PATH"]},
    )
    (found,) = re.findall(rf"^commit (\w+)\n(?:\S.*\n)*Version: {re.escape(version)}$", done.stdout, re.MULTILINE)
    return str(found)


def _remote(folder: Path, versions: list[str]) -> list[str]:
    tree, remote = folder / "tree", folder / "remote"
    for path in ("boot", "sysroot", "usr/etc", "usr/lib/modules/5.0"):
        (tree / path).mkdir(parents=True)
    (tree / "usr/lib/modules/5.0/vmlinuz").write_text("kernel\n")
    (tree / "usr/lib/modules/5.0/initramfs.img").write_text("initrd\n")
    (tree / "usr/lib/os-release").write_text('ID=debian\nPRETTY_NAME="Test"\n')
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OSTREE_")}

    def ostree(*arguments: str) -> str:
        command = ["ostree", f"--repo={remote}", *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout.strip()

    ostree("init", "--mode=archive")
    checksums = []
    for version in versions:
        (tree / "usr/lib/version").write_text(version)
        metadata = f"--add-metadata-string=version={version}"
        checksums.append(ostree("commit", f"--branch={REF}", metadata, f"--tree=dir={tree}"))
    return checksums

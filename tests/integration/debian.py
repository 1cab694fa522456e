"""A tiny Debian package in several versions, and the repository on each lab machine that it comes from."""

import hashlib
import subprocess
from pathlib import Path

from lab import Lab
from lab.host import LabHost

NAME = "canary"
LOG = "var/log/canary"
KERNEL_HOOK = "etc/kernel/postinst.d/unattended-upgrades"
POSTINST = f"""#!/bin/sh
set -e
[ "$1" = configure ] || exit 0
echo "begin VERSION $(date +%s.%N)" >>/{LOG}
[ -z "$2" ] || sleep 1
while [ -e /etc/canary-waits ]; do sleep 0.1; done
if [ -e /etc/canary-breaks ]; then echo 'canary: there is a file /etc/canary-breaks' >&2; exit 1; fi
echo "end VERSION $(date +%s.%N)" >>/{LOG}
EXTRA
"""


def build(folder: Path, version: str, extra: str = "") -> Path:
    """Build the package: its configuring is logged, and takes a second in an upgrade.

    It lasts for as long as there is an /etc/canary-waits, and fails where there is an /etc/canary-breaks.
    """
    tree = folder / f"{NAME}-{version}"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "etc").mkdir()
    (tree / "etc/canary.conf").write_text(f"version = {version}\n")
    (tree / "DEBIAN/conffiles").write_text("/etc/canary.conf\n")
    (tree / "DEBIAN/control").write_text(
        f"Package: {NAME}\nVersion: {version}\nArchitecture: all\nMaintainer: Test <test@example.org>\n"
        "Description: sings when it is configured\n"
    )
    script = tree / "DEBIAN/postinst"
    script.write_text(POSTINST.replace("VERSION", version).replace("EXTRA", extra))
    script.chmod(0o755)
    return _packed(tree, folder / f"{NAME}_{version}_all.deb")


def build_plain(folder: Path, name: str, version: str, depends: str = "") -> Path:
    """Build another package, which has nothing in it."""
    tree = folder / f"{name}-{version}"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "DEBIAN/control").write_text(
        f"Package: {name}\nVersion: {version}\nArchitecture: all\nMaintainer: Test <test@example.org>\n"
        f"{f'Depends: {depends}' if depends else 'Priority: optional'}\nDescription: has nothing in it\n"
    )
    return _packed(tree, folder / f"{name}_{version}_all.deb")


def publish_suites(lab: Lab, suites: dict[str, list[Path]]) -> None:
    """Let the apt of every machine know a repository a suite (its Release file says so), and no others."""
    for host in lab.hosts:
        sources = []
        for suite, packages in suites.items():
            repository = host.root / "srv" / suite
            repository.mkdir(parents=True, exist_ok=True)
            for package in packages:
                (repository / package.name).write_bytes(package.read_bytes())
            index = "\n".join(entry(package) for package in packages)
            (repository / "Packages").write_text(index)
            checksum = hashlib.sha256(index.encode()).hexdigest()
            (repository / "Release").write_text(
                f"Origin: Test\nLabel: Test\nSuite: {suite}\nDate: Sun, 01 Nov 2026 00:00:00 UTC\n"
                f"SHA256:\n {checksum} {len(index)} Packages\n"
            )
            sources.append(f"deb [trusted=yes] file:/srv/{suite} ./\n")
        (host.root / "etc/apt/sources.list").write_text("".join(sources))


def publish(lab: Lab, package: Path) -> None:
    """Make `package` the one in every machine's repository, and that the only one its apt knows."""
    index = entry(package)
    for host in lab.hosts:
        repository = host.root / "srv/repository"
        repository.mkdir(parents=True, exist_ok=True)
        (repository / package.name).write_bytes(package.read_bytes())
        (repository / "Packages").write_text(index)
        (host.root / "etc/apt/sources.list").write_text("deb [trusted=yes] file:/srv/repository ./\n")


def install(lab: Lab, package: Path) -> None:
    """Install `package` on every machine, and forget what earlier ones logged and left.

    Every machine has what makes kernels ask for a reboot, as one with unattended-upgrades has it.
    """
    for host in lab.hosts:
        (host.root / KERNEL_HOOK).parent.mkdir(parents=True, exist_ok=True)
        (host.root / KERNEL_HOOK).touch()
        for mark in ("etc/canary-breaks", "etc/canary-waits"):
            (host.root / mark).unlink(missing_ok=True)
        (host.root / "root" / package.name).write_bytes(package.read_bytes())
        host.run(["dpkg", "--purge", "--force-all", NAME], check=False, capture_output=True)
        host.run(["dpkg", "--install", f"/root/{package.name}"], capture_output=True)
        (host.root / LOG).unlink()


def packages(host: LabHost) -> dict[str, str]:
    """Return every package of a machine with its state and version, as dpkg itself has it."""
    form = "${binary:Package} ${db:Status-Status} ${Version}\\n"
    done = host.run(["dpkg-query", "--show", f"--showformat={form}"], capture_output=True, text=True)
    return dict(line.split(" ", 1) for line in done.stdout.splitlines())


def configured(host: LabHost) -> list[tuple[str, str, float]]:
    """Return what the package logged on a machine: (begin or end, version, when)."""
    log = host.root / LOG
    lines = [line.split() for line in log.read_text().splitlines()] if log.exists() else []
    return [(what, version, float(when)) for what, version, when in lines]


def most_at_once(lab: Lab) -> int:
    """Return on how many machines the package was being configured at the same moment, at most."""
    events = sorted((when, what, host.name) for host in lab.hosts for what, _, when in configured(host))
    busy: set[str] = set()
    most = 0
    for _, what, name in events:
        busy = busy | {name} if what == "begin" else busy - {name}
        most = max(most, len(busy))
    return most


def _packed(tree: Path, package: Path) -> Path:
    command = ["dpkg-deb", "--root-owner-group", "--build", str(tree), str(package)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return package


def entry(package: Path) -> str:
    """Return what the index of a repository says of a package."""
    content = package.read_bytes()
    control = subprocess.run(["dpkg-deb", "--field", package], check=True, capture_output=True, text=True).stdout
    sha256 = hashlib.sha256(content).hexdigest()
    return f"{control}Filename: ./{package.name}\nSize: {len(content)}\nSHA256: {sha256}\n"

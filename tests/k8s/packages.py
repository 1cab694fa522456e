"""The Debian packages that a node needs: the container runtime from Debian, the kubelet from our own build."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
from pathlib import Path

from lab.image import image

from . import container_image
from .programs import CACHE, EARLIER_KUBELET, NEWEST, Build, programs

RUNTIME = ("containerd", "containernetworking-plugins", "iptables", "openssl")
UNIT = """[Unit]
Description=The Kubernetes node agent

[Service]
ExecStart=/usr/bin/kubelet
Restart=always
RestartSec=10

[Install]
WantedBy=multi-user.target
"""


def runtime() -> list[Path]:
    """Return the packages of the container runtime and all that a bare machine of a lab lacks for them."""
    root = image()
    folder = CACHE / f"packages-{hashlib.sha256(repr((root.name, RUNTIME)).encode()).hexdigest()[:12]}"
    CACHE.mkdir(mode=0o755, parents=True, exist_ok=True)
    with (CACHE / "packages.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            unfinished = folder.with_suffix(".unfinished")
            shutil.rmtree(unfinished, ignore_errors=True)
            (unfinished / "partial").mkdir(parents=True)
            options = [f"Dir::State::status={root}/var/lib/dpkg/status", f"Dir::Cache::archives={unfinished}/"]
            command = [
                "apt-get",
                "install",
                "--yes",
                "--quiet",
                "--quiet",
                "--download-only",
                "--no-install-recommends",
            ]
            for option in (*options, "Debug::NoLocking=1", "APT::Sandbox::User=root"):
                command += ["-o", option]
            _run([*command, *RUNTIME])
            shutil.rmtree(unfinished / "partial")
            unfinished.rename(folder)
    return sorted(folder.glob("*.deb"))


def kubelets(folder: Path) -> list[Path]:
    """Build the packages of both kubelets, as the Kubernetes project has them: the program, and its unit."""
    return [_kubelet(folder, build) for build in (NEWEST, EARLIER_KUBELET)]


def _kubelet(folder: Path, build: Build) -> Path:
    number = build.version.removeprefix("v")
    tree = folder / f"kubelet-{number}"
    for name in ("DEBIAN", "usr/bin", "lib/systemd/system"):
        (tree / name).mkdir(parents=True)
    shutil.copy(build.made() / "kubelet", tree / "usr/bin/kubelet")
    (tree / "lib/systemd/system/kubelet.service").write_text(UNIT)
    (tree / "DEBIAN/control").write_text(
        f"Package: kubelet\nVersion: {number}-1.1\nArchitecture: amd64\nMaintainer: Test <test@example.org>\n"
        "Depends: iptables\nDescription: the Kubernetes node agent\n"
    )
    package = folder / f"kubelet_{number}-1.1_amd64.deb"
    _run(["dpkg-deb", "--root-owner-group", "-Znone", "--build", str(tree), str(package)])
    shutil.rmtree(tree)
    return package


def image_archive(folder: Path) -> Path:
    """Return the archive of the container image that machines have, since nothing fetches it."""
    return container_image.write(programs() / "pause", folder / "image.tar")


def _run(command: list[str]) -> None:
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr

"""The programs of Kubernetes, built with Go from their modules: once a version, and kept outside the checkout.

The earlier kubelet is of the minor version before, so that there is something to upgrade.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

CACHE = Path(os.environ.get("COMMISSAIRE_KUBERNETES_CACHE", "/var/cache/commissaire-kubernetes"))
CONTROL_PLANE = ("kube-apiserver", "kube-controller-manager", "kube-scheduler")
NODE = ("kubelet", "kube-proxy")


class BuildError(Exception):
    """There are no programs, and they can't be built; the message says why and what to do."""


@dataclass(frozen=True)
class Build:
    """What is built of a Go module beside this file: `packages` to files, the first of which has more names."""

    module: str
    packages: dict[str, str]
    names: tuple[str, ...] = ()

    @property
    def sources(self) -> Path:
        """Where the module is."""
        return Path(__file__).with_name(self.module)

    @property
    def version(self) -> str:
        """Of Kubernetes, as v1.2.3."""
        found = re.search(r"^\s*k8s\.io/kubernetes (v\S+)$", (self.sources / "go.mod").read_text(), re.MULTILINE)
        assert found
        return found[1]

    @property
    def directory(self) -> Path:
        """Where the programs are once they are built."""
        sources = sorted(path for path in self.sources.rglob("*") if path.suffix in (".go", ".mod", ".sum"))
        recipe = b"".join(path.read_bytes() for path in sources)
        return CACHE / f"{self.version}-{hashlib.sha256(recipe).hexdigest()[:12]}"

    def made(self) -> Path:
        """Return the directory with the programs; build them when they aren't there, which takes minutes.

        Several processes may ask at once: one builds, the others wait for it. Raise BuildError when it can't be done.
        """
        if not self.directory.is_dir():
            CACHE.mkdir(mode=0o755, parents=True, exist_ok=True)
            with (CACHE / "lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                if not self.directory.is_dir():
                    self._build()
        return self.directory

    def _build(self) -> None:
        """Build beside the directory and move it there whole, so that nobody ever sees half of it."""
        if shutil.which("go") is None:
            raise BuildError("Kubernetes is built with Go, and there is no go on PATH: install it")
        print(f"kubernetes: building {self.version} in {self.directory} (once, some minutes)", file=sys.stderr)
        start = time.monotonic()
        unfinished = self.directory.with_suffix(".unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir()
        major, minor, _ = self.version.removeprefix("v").split(".", 2)
        names = {"gitVersion": self.version, "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean"}
        stamps = " ".join(f"-X k8s.io/component-base/version.{name}={value}" for name, value in names.items())
        for package, name in self.packages.items():
            command = ["go", "build", "-C", str(self.sources), "-trimpath", "-ldflags", f"-s -w {stamps}"]
            done = subprocess.run(
                [*command, "-o", str(unfinished / name), package],
                check=False,
                capture_output=True,
                text=True,
                env={**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly"},
            )
            if done.returncode:
                raise BuildError(f"go build: {done.stderr[-3000:]}")
        for name in self.names:
            (unfinished / name).hardlink_to(unfinished / next(iter(self.packages.values())))
        unfinished.rename(self.directory)
        print(f"kubernetes: built in {time.monotonic() - start:.0f} s", file=sys.stderr)


NEWEST = Build("programs", {".": "kubernetes", "./pause": "pause"}, (*CONTROL_PLANE, *NODE))
EARLIER_KUBELET = Build("earlier_kubelet", {".": "kubelet"})


def obstacle() -> str | None:
    """Return why there are no programs of Kubernetes here and what to do about it; None when there are, or can be."""
    if all(build.directory.is_dir() for build in (NEWEST, EARLIER_KUBELET)) or shutil.which("go"):
        return None
    return "needs Kubernetes, which is built with Go: install Go, then `make kubernetes`"


def version() -> str:
    """Return the version that `programs` are of, as v1.2.3."""
    return NEWEST.version


def programs() -> Path:
    """Return the directory with all programs; see `Build.made`."""
    return NEWEST.made()

"""The programs of Kubernetes, built with Go from their modules: once a version, and kept outside the checkout."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

CACHE = Path(os.environ.get("COMMISSAIRE_KUBERNETES_CACHE", "/var/cache/commissaire-kubernetes"))
SOURCES = Path(__file__).with_name("programs")
CONTROL_PLANE = ("kube-apiserver", "kube-controller-manager", "kube-scheduler")
NODE = ("kubelet", "kube-proxy")


class BuildError(Exception):
    """There are no programs, and they can't be built; the message says why and what to do."""


def obstacle() -> str | None:
    """Return why there are no programs of Kubernetes here and what to do about it; None when there are, or can be."""
    if _directory().is_dir() or shutil.which("go"):
        return None
    return "needs Kubernetes, which is built with Go: install Go, then `make kubernetes`"


def version() -> str:
    """Return the version that `programs` are of, as v1.2.3."""
    found = re.search(r"^\s*k8s\.io/kubernetes (v\S+)$", (SOURCES / "go.mod").read_text(), re.MULTILINE)
    assert found
    return found[1]


def programs() -> Path:
    """Return the directory with all programs; build them when they aren't there, which takes minutes.

    Several processes may ask at once: one builds, the others wait for it. Raise BuildError when they can't be built.
    """
    directory = _directory()
    if not directory.is_dir():
        CACHE.mkdir(mode=0o755, parents=True, exist_ok=True)
        with (CACHE / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not directory.is_dir():
                _build(directory)
    return directory


def _directory() -> Path:
    recipe = b"".join((SOURCES / name).read_bytes() for name in ("go.mod", "go.sum", "main.go", "pause/main.go"))
    return CACHE / f"{version()}-{hashlib.sha256(recipe).hexdigest()[:12]}"


def _build(directory: Path) -> None:
    """Build beside `directory` and move it there whole, so that nobody ever sees half of it."""
    if shutil.which("go") is None:
        raise BuildError("Kubernetes is built with Go, and there is no go on PATH: install it")
    print(f"kubernetes: building {version()} in {directory} (once, some minutes)", file=sys.stderr)
    start = time.monotonic()
    unfinished = directory.with_suffix(".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir()
    major, minor, _ = version().removeprefix("v").split(".", 2)
    names = {"gitVersion": version(), "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean"}
    stamps = " ".join(f"-X k8s.io/component-base/version.{name}={value}" for name, value in names.items())
    for package, name in ((".", "kubernetes"), ("./pause", "pause")):
        command = ["go", "build", "-C", str(SOURCES), "-trimpath", "-ldflags", f"-s -w {stamps}"]
        done = subprocess.run(
            [*command, "-o", str(unfinished / name), package],
            check=False,
            capture_output=True,
            text=True,
            env={**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly"},
        )
        if done.returncode:
            raise BuildError(f"go build: {done.stderr[-3000:]}")
    for name in (*CONTROL_PLANE, *NODE):
        (unfinished / name).hardlink_to(unfinished / "kubernetes")
    unfinished.rename(directory)
    print(f"kubernetes: built in {time.monotonic() - start:.0f} s", file=sys.stderr)

"""flanneld and flannel's network plugin, built from their own source: Debian has no package of them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from lab.image import CACHE

MODULE = "github.com/flannel-io/flannel@v0.28.10"
PLUGIN = "github.com/containernetworking/plugins/plugins/meta/flannel@v0.9.1"
"""The last version that has it here; it reads what flanneld writes, which has not changed since."""
CLOUD_BACKEND = "tencentvpc"
"""Its module is not to be had everywhere, and a test needs no cloud."""


def flanneld() -> Path:
    """Return the program, building it first (some minutes) when it was never built here."""
    program = CACHE / MODULE.rpartition("/")[2]
    if program.exists():
        return program
    if shutil.which("go") is None or shutil.which("gcc") is None:
        pytest.skip("there is nothing to build flanneld with: install Go 1.25 or newer, and gcc")
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        source = Path(folder, "source")
        told = subprocess.run(
            ["go", "mod", "download", "-json", MODULE], cwd=folder, check=True, capture_output=True, text=True
        )
        shutil.copytree(json.loads(told.stdout)["Dir"], source)
        for path in [source, *source.rglob("*")]:
            path.chmod(path.stat().st_mode | 0o200)
        shutil.rmtree(source / "pkg/backend" / CLOUD_BACKEND)
        main = source / "main.go"
        main.write_text("".join(line for line in main.open() if CLOUD_BACKEND not in line))
        environment = {**os.environ, "GOFLAGS": "-mod=mod"}
        subprocess.run(["go", "build", "-o", "../flanneld", "."], cwd=source, env=environment, check=True)
        Path(folder, "flanneld").rename(program)
    return program


def flannel_plugin() -> Path:
    """Return the network plugin `flannel`, building it first when it was never built here."""
    package, _, version = PLUGIN.partition("@")
    program = CACHE / f"flannel-plugin-{version}"
    if not program.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as folder:
            Path(folder, "go.mod").write_text("module plugin\n\ngo 1.21\n")
            environment = {**os.environ, "GOFLAGS": "-mod=mod", "CGO_ENABLED": "0"}
            for command in (["go", "get", PLUGIN], ["go", "build", "-o", "flannel", package]):
                subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
            Path(folder, "flannel").rename(program)
    return program

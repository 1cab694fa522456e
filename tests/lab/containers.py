"""What lets a machine run containers: a container runtime, and a kubelet that believes it has a computer of its own.

The machine gets its own place in every cgroup hierarchy, and may write there. What a kubelet would set for the whole
computer it finds as it wants it, in files of the machine's own.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .host import LabHost

ENVIRONMENT = {"SYSTEMD_NSPAWN_API_VFS_WRITABLE": "network"}
DATA = ("containerd", "kubelet")
"""Folders below /var/lib that must not lie on an overlay, for they hold overlays themselves."""
UNIT = """[Unit]
Description=Let containers run in this machine
DefaultDependencies=no
Before=sysinit.target

[Service]
Type=oneshot
RemainAfterExit=true
ExecStart=/usr/local/sbin/lab-containers

[Install]
WantedBy=sysinit.target
"""
SCRIPT = """#!/bin/sh
set -eu
mount --make-rshared /
for controller in /sys/fs/cgroup/*; do
  mount -o remount,bind,rw "$controller"
done
mkdir -p /run/lab-sysctl
while read -r name value; do
  echo "$value" >"/run/lab-sysctl/${name##*/}"
  mount --bind "/run/lab-sysctl/${name##*/}" "/proc/sys/$name"
done <<SETTINGS
vm/overcommit_memory 1
vm/panic_on_oom 0
kernel/panic 10
kernel/panic_on_oops 1
kernel/keys/root_maxkeys 1000000
kernel/keys/root_maxbytes 25000000
SETTINGS
"""
RUNC = """#!/bin/sh
# Where nobody may lower a process's oom_score_adj (that takes CAP_SYS_RESOURCE), containers begin without.
bundle=
previous=
for word in "$@"; do
  [ "$previous" != --bundle ] || bundle=$word
  previous=$word
done
if [ -n "$bundle" ] && ! (echo -1 >/proc/self/oom_score_adj) 2>/dev/null; then
  sed -i 's/"oomScoreAdj":-[0-9]*/"oomScoreAdj":0/' "$bundle/config.json"
fi
exec /usr/sbin/runc "$@"
"""


def options(host: LabHost) -> list[str]:
    """Return the options of systemd-nspawn for it."""
    binds = [f"--bind={host.directory / 'disk' / name}:/var/lib/{name}" for name in DATA]
    devices = [f"--bind={path}" for path in ("/dev/kmsg", "/dev/net/tun")]
    calls = "--system-call-filter=add_key keyctl bpf perf_event_open"
    return ["--capability=all", calls, *devices, *binds]


def prepare(host: LabHost) -> None:
    """Make what the machine has of its own for it, on its disk."""
    for name in DATA:
        (host.directory / "disk" / name).mkdir()
    for name, text in (("lab-containers", SCRIPT), ("runc", RUNC)):
        script = host.root / "usr/local/sbin" / name
        script.write_text(text)
        script.chmod(0o755)
    (host.root / "etc/resolv.conf").touch()  # a kubelet hands it on to every pod
    units = host.root / "etc/systemd/system"
    (units / "lab-containers.service").write_text(UNIT)
    wanted = units / "sysinit.target.wants"
    wanted.mkdir(parents=True, exist_ok=True)
    (wanted / "lab-containers.service").symlink_to(Path("/etc/systemd/system/lab-containers.service"))

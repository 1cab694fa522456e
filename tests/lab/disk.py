"""A machine's disk: a layer of its own on the image, with its name, its address and its keys. It lives in memory."""

import os
import shutil
from pathlib import Path

from . import containers, network
from .command import run
from .host import LabHost

NSPAWN = Path("/run/systemd/nspawn")
INTERFACES = """auto lo
iface lo inet loopback

auto host0
iface host0 inet static
  address {address}/{prefix}
  gateway {gateway}
"""


def create(host: LabHost, image: Path, size_mb: int, public_key: str) -> str:
    """Mount `host`'s disk of `size_mb` MiB and make it `host`'s own; return its ssh host key ("ssh-ed25519 AAAA...").

    The owner of `public_key` may log in as root, and as `operator`, who may use sudo.
    """
    layer = host.directory / "disk"
    for directory in (host.root, layer):
        directory.mkdir(parents=True)
    run(["mount", "-t", "tmpfs", "-o", f"size={size_mb}m,mode=0755", host.machine, str(layer)])
    for name in ("upper", "work"):
        (layer / name).mkdir()
    options = f"lowerdir={image},upperdir={layer}/upper,workdir={layer}/work"
    run(["mount", "-t", "overlay", "-o", options, host.machine, str(host.root)])

    if host.containers:
        containers.prepare(host)
    etc = host.root / "etc"
    (etc / "hostname").write_text(f"{host.name}\n")
    (etc / "hosts").write_text(f"127.0.0.1 localhost\n::1 localhost\n{host.address} {host.name}\n")
    (etc / "network/interfaces").write_text(
        INTERFACES.format(address=host.address, prefix=network.PREFIX, gateway=network.GATEWAY)
    )
    for home in ("root", "home/operator"):
        authorized_keys = host.root / home / ".ssh/authorized_keys"
        authorized_keys.write_text(public_key)
        owner = authorized_keys.parent.stat()
        os.chown(authorized_keys, owner.st_uid, owner.st_gid)
        authorized_keys.chmod(0o600)
    key = etc / "ssh/ssh_host_ed25519_key"
    run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", host.name, "-f", str(key)])
    return " ".join(key.with_suffix(".pub").read_text().split()[:2])


def remove(host: LabHost) -> None:
    """Unmount and forget `host`'s disk, and what systemd-nspawn keeps of a machine whose plug was pulled."""
    if host.root.is_dir():
        root = host.root.stat()
        (NSPAWN / f"locks/inode-{root.st_dev}:{root.st_ino}").unlink(missing_ok=True)
    for mount in (host.root, host.directory / "disk"):
        if os.path.ismount(mount):
            run(["umount", "--lazy", str(mount)])
    propagated = NSPAWN / "propagate" / host.machine
    if propagated.is_dir():
        propagated.rmdir()
    shutil.rmtree(host.directory, ignore_errors=True)

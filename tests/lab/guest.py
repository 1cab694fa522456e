"""The system that virtual machines of a lab run: a disk that boots, and an installer that writes it on another one."""

import fcntl
import gzip
import hashlib
import shlex
import shutil
import stat
import struct
import sys
from pathlib import Path

from .apt import debian_sources
from .command import run
from .image import CACHE, LEFT_OUT, SUITE

PACKAGES = (
    "busybox",
    "cloud-init",
    "dbus",
    "iproute2",
    "linux-image-cloud-amd64",
    "openssh-server",
    "python3",
    "qemu-guest-agent",
    "sudo",
    "systemd-resolved",
    "systemd-sysv",
    "udev",
)
ON_THE_BUILDER = ("grub-pc-bin", "e2fsprogs", "qemu-utils")
"""Debian packages that the machine needs where the system is built."""
SCRIPT = Path(__file__).with_name("guest.sh")
GRUB = Path("/usr/lib/grub/i386-pc")
_SECTOR = 512
_PARTITION_SECTOR = 2048
_ROOM_MB = 160
_RECIPE = 6

INSTALL = """
# An installer: fetch a disk by HTTP, write it on the first disk, let a key sign in as root, and reboot.
mountroot() {
  configure_networking
  sleep 1
  first=/sys/bus/scsi/devices/0:0:0:0/block # kernels give the names as disks answer, in any order
  for wait in 1 2 3 4 5 6 7 8 9; do [ -d "$first" ] || sleep 1; done
  disk=/dev/$(ls "$first")
  wget -q -O - "$INSTALL_FROM" | gunzip -c >"$disk" || panic "nothing could be installed from $INSTALL_FROM"
  blockdev --rereadpt "$disk" || true
  modprobe ext4
  for wait in 1 2 3 4 5; do [ -b "${disk}1" ] || sleep 1; done
  mount -t ext4 "${disk}1" /root || panic "${disk}1 can't be mounted"
  mkdir -p /root/root/.ssh && echo "$AUTHORIZED_KEY" >/root/root/.ssh/authorized_keys
  umount /root
  sync
  echo "installed from $INSTALL_FROM" >/dev/console
  reboot -f
  sleep 60
}
"""


def guest() -> Path:
    """Return the folder with `disk.qcow2`, `disk.img.gz`, `vmlinuz` and `initrd.img`; build it when missing.

    Raise LabError when it can't be built.
    """
    script = SCRIPT.read_text()
    recipe = repr((_RECIPE, SUITE, PACKAGES, LEFT_OUT, script, _ROOM_MB)).encode()
    directory = CACHE / f"guest-{hashlib.sha256(recipe).hexdigest()[:12]}"
    if directory.is_dir():
        return directory
    CACHE.mkdir(mode=0o755, parents=True, exist_ok=True)
    with (CACHE / "guest.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not directory.is_dir():
            _build(directory, script)
    return directory


def installer(directory: Path, url: str, authorized_key: str) -> Path:
    """Lay out a Debian installer's tree in `directory`, which is served at `url`; return the tree's own path there."""
    system = guest()
    tree = directory / "dists" / SUITE / "main" / "installer-amd64"
    images = tree / "current" / "images"
    netboot = images / "netboot" / "debian-installer" / "amd64"
    netboot.mkdir(parents=True)
    (images / "MANIFEST").write_text("netboot/debian-installer/amd64/linux Debian installer of the lab\n")
    shutil.copyfile(system / "vmlinuz", netboot / "linux")
    shutil.copyfile(system / "disk.img.gz", directory / "disk.img.gz")
    told = {"BOOT": "install", "IP": "dhcp", "INSTALL_FROM": f"{url}/disk.img.gz", "AUTHORIZED_KEY": authorized_key}
    settings = "".join(f"{name}={shlex.quote(value)}\nexport {name}\n" for name, value in told.items())
    added = _cpio({"scripts/install": INSTALL, "conf/conf.d/install": settings})
    (netboot / "initrd.gz").write_bytes((system / "initrd.img").read_bytes() + gzip.compress(added))
    return tree.relative_to(directory)


def _build(directory: Path, script: str) -> None:
    print(f"lab: building the system of virtual machines in {directory} (once, about two minutes)", file=sys.stderr)
    unfinished = directory.with_suffix(".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    root = unfinished / "root"
    unfinished.mkdir()
    command = ["mmdebstrap", "--quiet", "--mode=root", "--variant=minbase", "--format=directory"]
    command += ["--include=" + ",".join(PACKAGES)]
    command += [f"--dpkgopt=path-exclude={pattern}" for pattern in LEFT_OUT]
    sources = debian_sources(SUITE)
    run([*command, SUITE, str(root), *(["-"] if sources else [])], text=sources)
    run(["chroot", str(root), "sh", "-s"], text=script)
    for name in ("vmlinuz", "initrd.img"):
        shutil.copyfile(root / name, unfinished / name)
    raw = unfinished / "disk.img"
    _write_disk(root, raw)
    run(["qemu-img", "convert", "-O", "qcow2", str(raw), str(unfinished / "disk.qcow2")])
    with raw.open("rb") as plain, gzip.open(unfinished / "disk.img.gz", "wb", compresslevel=1) as packed:
        shutil.copyfileobj(plain, packed, 1 << 20)
    raw.unlink()
    shutil.rmtree(root)
    unfinished.rename(directory)


def _write_disk(root: Path, raw: Path) -> None:
    """Write a disk that a BIOS boots: GRUB before the one partition, which is an ext4 with what `root` holds."""
    used = sum(path.lstat().st_size for path in root.rglob("*") if path.is_file() and not path.is_symlink())
    megabytes = used * 6 // 5 // (1 << 20) + _ROOM_MB
    partition = raw.with_suffix(".ext4")
    features = "^metadata_csum_seed,^orphan_file"  # which this GRUB does not read
    options = ["-O", features, "-L", "root", "-d", str(root)]
    run(["mke2fs", "-q", "-t", "ext4", *options, str(partition), f"{megabytes}M"])
    core = raw.with_suffix(".core")
    early = raw.with_suffix(".cfg")
    early.write_text("search --label --set=root root\nset prefix=($root)/boot/grub\nconfigfile $prefix/grub.cfg\n")
    modules = ("biosdisk", "boot", "configfile", "ext2", "linux", "normal", "part_msdos", "search", "search_label")
    command = ["grub-mkimage", "--format=i386-pc", "--directory", str(GRUB), "--prefix=/boot/grub"]
    run([*command, "--config", str(early), "--output", str(core), *modules, "serial", "terminal"])
    boot = bytearray((GRUB / "boot.img").read_bytes())
    entry = struct.pack("<B3sB3sII", 0x80, b"\xfe\xff\xff", 0x83, b"\xfe\xff\xff", _PARTITION_SECTOR, megabytes * 2048)
    boot[446:510] = entry.ljust(64, b"\0")
    with raw.open("wb") as disk:
        disk.write(boot)
        disk.write(core.read_bytes())
        disk.seek(_PARTITION_SECTOR * _SECTOR)
        with partition.open("rb") as content:
            shutil.copyfileobj(content, disk, 1 << 20)
    for path in (partition, core, early):
        path.unlink()


def _cpio(files: dict[str, str]) -> bytes:
    """Return an archive of these files in the newc format, as a kernel unpacks it over what it has unpacked before."""
    archive = b""
    for number, (name, text) in enumerate([*files.items(), ("TRAILER!!!", "")], start=1):
        content, path = text.encode(), name.encode() + b"\0"
        fields = (number, stat.S_IFREG | 0o755, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(path), 0)
        header = b"070701" + b"".join(b"%08X" % field for field in fields)
        archive += (header + path).ljust(-(-len(header + path) // 4) * 4, b"\0")
        archive += content.ljust(-(-len(content) // 4) * 4, b"\0")
    return archive

"""Facts of the system that a configurator goes by: what it has installed, how it is set up, what its interfaces are."""

from __future__ import annotations

import re
from typing import Dict, List, Mapping

from singularity.files import Files

_PROGRAMS = ("/usr/sbin", "/usr/bin", "/sbin", "/bin")
_UNITS = ("/etc/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system")
_NET = "/sys/class/net"


class System:
    """The system below a root. Nothing here changes it."""

    def __init__(self, files: Files) -> None:
        self._files = files.own()
        self.live = files.live

    def read(self, path: str) -> str:
        """Return a text file's content, "" where there is none; what is no UTF-8 becomes surrogates."""
        return (self._files.read(path) or b"").decode("utf-8", "surrogateescape")

    def exists(self, path: str) -> bool:
        """Tell whether something is there."""
        return self._files.exists(path)

    def link(self, path: str) -> str:
        """Return where a symbolic link says it leads, "" for anything else."""
        return self._files.link(path) or ""

    def names(self, folder: str, ending: str = "") -> List[str]:
        """Return the names in a folder that end so, sorted, without hidden ones."""
        return [name for name in self._files.names(folder) if name.endswith(ending) and not name.startswith(".")]

    def program(self, name: str) -> bool:
        """Tell whether a program is installed."""
        return any(self.exists(f"{folder}/{name}") for folder in _PROGRAMS)

    def enabled(self, unit: str) -> bool:
        """Tell whether systemd starts a unit at boot."""
        for folder in _UNITS:
            for name in self.names(folder, ".wants"):
                path = f"{folder}/{name}/{unit}"
                if self.exists(path) or self.link(path):
                    return not self.link(f"/etc/systemd/system/{unit}").endswith("/null")
        return False

    def family(self) -> List[str]:
        """Return the distribution's ID and those it is like, from os-release."""
        text = self.read("/etc/os-release") or self.read("/usr/lib/os-release")
        found = dict(re.findall(r"^(\w+)=[\"']?(.*?)[\"']?$", text, re.MULTILINE))
        return [found.get("ID", ""), *found.get("ID_LIKE", "").split()]

    def has_ipv6(self) -> bool:
        """Tell whether the running system has IPv6, if its owner did not switch it off; an image is thought to."""
        if not self.live:
            return True
        off = self.read("/proc/sys/net/ipv6/conf/all/disable_ipv6").strip() == "1"
        return self.exists("/proc/net/if_inet6") and not off

    def interfaces(self) -> Dict[str, str]:
        """Return the interfaces by their MAC address; of several with one address the one the others stand on.

        A root without a /sys (an image that is not running) has those of the machine it lies on.
        """
        if self.names(_NET):
            return by_mac({name: self._facts(name) for name in self.names(_NET)})
        here = Files("/").own()
        there = System(here)
        return by_mac({name: there._facts(name) for name in there.names(_NET)})

    def _facts(self, name: str) -> Mapping[str, str]:
        folder = f"{_NET}/{name}"
        text = self.read(f"{folder}/address") if self.exists(f"{folder}/address") else ""
        stands = [f"{folder}/{part}" for part in ("bridge", "bonding", "master")]
        built = re.search("DEVTYPE=(vlan|bridge|bond)", self.read(f"{folder}/uevent"))
        return {"mac": text.strip().lower(), "built": "1" if built or any(map(self.exists, stands)) else ""}


def by_mac(facts: Mapping[str, Mapping[str, str]]) -> Dict[str, str]:
    """Return names by MAC address, from facts by name: `mac`, and `built` if it stands on others (VLAN, bridge)."""
    found: Dict[str, str] = {}
    for name, known in sorted(facts.items(), key=lambda item: (bool(item[1]["built"]), item[0])):
        mac = known["mac"]
        if mac.strip("0:") and len(mac) == 17:
            found.setdefault(mac, name)
    return found

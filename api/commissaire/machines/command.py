"""The commands of /virt: libvirt's functions on a domain, called as libvirt calls them (libvirt-domain.h)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from commissaire.fleet.errors import Conflict, FleetError, Invalid, NotFound
from commissaire.machines.device import Device, read_device
from commissaire.machines.errors import NotSupported
from commissaire.machines.link import bindings

_FLAGS_MAX = 2**31 - 1
_SECURE = 1
"""VIR_DOMAIN_XML_SECURE: the XML with passwords."""
Result = dict[str, Any]


@dataclass(frozen=True)
class Arguments:
    """What a command is called with."""

    flags: int = 0
    path: str = ""
    device: Device | None = None


@dataclass(frozen=True)
class Command:
    """A function of libvirt's; `takes` are its parameters. What it returns is called as in libvirt's structures."""

    name: str
    run: Callable[[Any, Arguments], Result]
    takes: tuple[str, ...] = ()
    changes: bool = False
    plugs: bool = False

    def arguments(self, given: dict[str, str]) -> Arguments:
        """Return what *given* says, parameters by name.

        Raises:
            Invalid: one is unknown, missing or wrong.
        """
        unknown = sorted(set(given) - set(self.takes))
        if unknown:
            known = f"it takes {', '.join(self.takes)}" if self.takes else "it takes none"
            raise Invalid(f"{self.name} has no parameter {unknown[0][:80]!r}; {known}")
        if "path" in given and "device" in given:
            raise Invalid("path and device are the same parameter; give one")
        path = given.get("path") or given.get("device") or ""
        if "path" in self.takes and not path:
            raise Invalid(f"{self.name} needs path (or device): the interface's name on the hypervisor, or its MAC")
        if "xml" in self.takes and "xml" not in given:
            raise Invalid(f"{self.name} needs the device's XML, as the body or as xml in a form")
        device = read_device(given["xml"]) if "xml" in given else None
        return Arguments(_flags(given.get("flags", "0")), path, device)

    def reveals(self, arguments: Arguments) -> bool:
        """Tell whether the answer has passwords."""
        return self.name == "virDomainGetXMLDesc" and bool(arguments.flags & _SECURE)

    def __call__(self, domain: Any, arguments: Arguments) -> Result:
        """Run it.

        Raises:
            NotSupported: the hypervisor's driver has no such function.
            FleetError: libvirt refuses it, by what it was called with or by the machine's state.
        """
        libvirt = bindings()
        kinds: dict[int, type[FleetError]] = {
            libvirt.VIR_ERR_NO_SUPPORT: NotSupported,
            libvirt.VIR_ERR_NO_DOMAIN: NotFound,
            libvirt.VIR_ERR_OPERATION_INVALID: Conflict,
            libvirt.VIR_ERR_INVALID_ARG: Invalid,
            libvirt.VIR_ERR_ARGUMENT_UNSUPPORTED: Invalid,
            libvirt.VIR_ERR_XML_ERROR: Invalid,
            libvirt.VIR_ERR_CONFIG_UNSUPPORTED: Invalid,
        }
        try:
            return self.run(domain, arguments)
        except libvirt.libvirtError as error:
            kind = kinds.get(error.get_error_code())
            if kind is None:
                raise
            raise kind(f"{self.name}: {error}") from error


def find_command(name: str) -> Command:
    """Return the command called *name*, with or without libvirt's `vir` before it.

    Raises:
        NotFound: there is none.
    """
    command = COMMANDS.get(f"virD{name[1:]}" if name.startswith("d") else name)
    if command is None:
        raise NotFound(f"there is no command {name[:80]!r}; there are {', '.join(COMMANDS)}")
    return command


def _flags(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > 10 or int(text) > _FLAGS_MAX:
        raise Invalid(f"flags is a number from 0 to {_FLAGS_MAX}, libvirt's flags added, not {text[:80]!r}")
    return int(text)


def _vcpus(domain: Any, _: Arguments) -> Result:
    infos, maps = domain.vcpus()
    return {
        "vcpu": [
            {"number": number, "state": state, "cpuTime": time, "cpu": cpu, "cpumap": _bits(bits)}
            for (number, state, time, cpu), bits in zip(infos, maps, strict=True)
        ]
    }


def _bits(bits: tuple[bool, ...]) -> str:
    """Show a map of CPUs as virsh does: `yy--`."""
    return "".join("y" if bit else "-" for bit in bits)


def _interface_stats(domain: Any, arguments: Arguments) -> Result:
    names = ("rx_bytes", "rx_packets", "rx_errs", "rx_drop", "tx_bytes", "tx_packets", "tx_errs", "tx_drop")
    return dict(zip(names, domain.interfaceStats(arguments.path), strict=True))


def _scheduler_type(domain: Any, _: Arguments) -> Result:
    name, number = domain.schedulerType()
    return {"type": name, "nparams": number}


def _scheduler_parameters(domain: Any, _: Arguments) -> Result:
    return {"param": [{"field": name, "value": value} for name, value in domain.schedulerParameters().items()]}


def _attach(domain: Any, arguments: Arguments) -> Result:
    return {"result": domain.attachDeviceFlags(arguments.device.xml if arguments.device else "", arguments.flags)}


def _detach(domain: Any, arguments: Arguments) -> Result:
    return {"result": domain.detachDeviceFlags(arguments.device.xml if arguments.device else "", arguments.flags)}


COMMANDS = {
    command.name: command
    for command in (
        Command("virDomainAttachDevice", _attach, takes=("xml", "flags"), changes=True, plugs=True),
        Command("virDomainDetachDevice", _detach, takes=("xml", "flags"), changes=True),
        Command("virDomainGetID", lambda domain, _: {"id": domain.ID()}),
        Command("virDomainGetMaxMemory", lambda domain, _: {"memory": domain.maxMemory()}),
        Command("virDomainGetMaxVcpus", lambda domain, _: {"vcpu": domain.maxVcpus()}),
        Command("virDomainGetName", lambda domain, _: {"name": domain.name()}),
        Command("virDomainGetOSType", lambda domain, _: {"type": domain.OSType()}),
        Command("virDomainGetSchedulerParameters", _scheduler_parameters),
        Command("virDomainGetSchedulerType", _scheduler_type),
        Command("virDomainGetUUID", lambda domain, _: {"uuid": domain.UUID().hex()}),
        Command("virDomainGetUUIDString", lambda domain, _: {"uuid": domain.UUIDString()}),
        Command("virDomainGetVcpus", _vcpus),
        Command("virDomainReboot", lambda domain, it: {"result": domain.reboot(it.flags)}, ("flags",), True),
        Command("virDomainShutdown", lambda domain, it: {"result": domain.shutdownFlags(it.flags)}, ("flags",), True),
        Command("virDomainInterfaceStats", _interface_stats, ("path", "device")),
        Command("virDomainGetXMLDesc", lambda domain, it: {"xml": domain.XMLDesc(it.flags)}, ("flags",)),
    )
}
"""By libvirt's names, in the order of handler_virt's list."""

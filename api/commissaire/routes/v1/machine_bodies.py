"""The bodies of REST v1's machines."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr, model_validator

from commissaire.clock import rfc3339
from commissaire.fleet.machines import LOCATION_PATTERN
from commissaire.machines.detail import Detail
from commissaire.machines.machine import Machine
from commissaire.machines.snapshot import Snapshot
from commissaire.routes.text import JsonObject, Text

_Line = Annotated[StrictStr, Field(max_length=16384, pattern=r"^[^\x00-\x1f\x7f]*$")]
_Seconds = Annotated[StrictInt, Field(ge=1, le=86400)]
_Gigabytes = Annotated[float, Field(gt=0, le=1024 * 1024, allow_inf_nan=False)]


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Silent(BaseModel):
    """A hypervisor that did not answer, so that what it has is missing."""

    hypervisor: str
    reason: str


class NewHost(_Request):
    """As what a machine is recorded that was created."""

    cluster: Text | None = Field(default=None, description="The cluster it joins.")
    remote_user: Text | None = Field(default=None, description="By whom it is reached. Default `user`, or root.")
    ssh_priv_key: StrictStr | None = Field(
        default=None,
        repr=False,
        max_length=65536,
        description="base64 of the private key it is reached by. Default a new one, which cloud-init lets in.",
    )


class MachineWanted(_Request):
    """POST of a machine."""

    memory_mb: Annotated[StrictInt, Field(ge=1, le=64 * 1024 * 1024)] = 1024
    vcpus: Annotated[StrictInt, Field(ge=1, le=4096)] = 1
    disks_gb: Annotated[list[_Gigabytes], Field(max_length=26)] = Field(
        default=[], description="The sizes of its disks in GiB, sda first, which has the image where there is one."
    )
    pool: Annotated[Text, Field(min_length=1)] | None = Field(default=None, description="Default the hypervisor's.")
    networks: Annotated[list[Text], Field(max_length=64)] = Field(default=[], description="It has a port on each.")
    firmware: Literal["bios", "uefi"] = "bios"
    owner: Text = Field(default="", description="Whose it is; empty for nobody's.")
    autostart: StrictBool = Field(default=False, description="Whether it starts with the hypervisor.")
    location: Annotated[_Line, Field(pattern=LOCATION_PATTERN)] | None = Field(
        default=None, description="The URL of the installer's tree that it is installed from."
    )
    kernel_args: _Line | None = Field(default=None, description="What the installer's kernel is told.")
    image: Annotated[_Line, Field(pattern="^/")] | None = Field(
        default=None, description="A file of the server, the image of its first disk. Administrators may say so."
    )
    backing: Annotated[Text, Field(min_length=1)] | None = Field(
        default=None, description="A volume of the pool that its first disk is a copy on write of."
    )
    hostname: Text | None = Field(default=None, description="What cloud-init calls it. Default its name.")
    user: Text | None = Field(default=None, description="A user that cloud-init makes, with sudo.")
    authorized_keys: Annotated[list[_Line], Field(max_length=100)] | None = Field(
        default=None, description="The public keys of that user."
    )
    user_data: JsonObject | None = Field(
        default=None, description="Further keys of the #cloud-config. Whoever reads the operation sees them."
    )
    network_config: JsonObject | None = Field(default=None, description="For cloud-init. Default DHCP.")
    host: NewHost | None = Field(
        default=None, description="Record it as a host, its keys pinned, and bootstrap it. Default no host."
    )
    until: Literal["created", "started", "reachable"] | None = Field(
        default=None,
        description="When the operation ends. Default reachable; created where nothing is to boot.",
    )
    fetch_timeout_seconds: _Seconds | None = Field(default=None, description="For fetching the installer. Default 300.")
    install_timeout_seconds: _Seconds | None = Field(default=None, description="For the installation. Default 7200.")
    boot_timeout_seconds: _Seconds | None = Field(
        default=None, description="From its start until it is `started` or `reachable`. Default 600."
    )

    @model_validator(mode="after")
    def _has_one_origin(self) -> MachineWanted:
        if len([origin for origin in self._origins if origin]) > 1:
            raise ValueError("location, image and backing each say what is on its first disk; give one of them")
        if self.host is None:
            return self
        if self.until not in (None, "reachable") or not any(self._origins):
            raise ValueError("a machine becomes a host when it is reachable: installed, or made of an image")
        if self.location and self.host.ssh_priv_key is None:
            raise ValueError("host.ssh_priv_key is missing: the key that the installer's answers let in")
        return self

    @property
    def _origins(self) -> tuple[str | None, ...]:
        return self.location, self.image, self.backing

    def parameters(self) -> dict[str, Any]:
        """Return the variables of the role vm_create, without their prefix."""
        given = self.model_dump(exclude_unset=True, exclude_none=True, exclude={"host"})
        until = "reachable" if any(self._origins) else "created"
        return {"until": until, "memory_mb": self.memory_mb, "vcpus": self.vcpus, **given, "existing": "fail"}


class MachineShown(BaseModel):
    """A machine, as its hypervisor tells of it."""

    name: str
    hypervisor: str
    uuid: str
    id: int | None = Field(description="libvirt's number; null when it is off.")
    state: str = Field(description="In virsh's words: `running`, `paused`, `shut off` …")
    owner: str
    memory_kb: int
    vcpus: int
    autostart: bool
    networks: list[str]

    @classmethod
    def of(cls, machine: Machine) -> MachineShown:
        """Show a machine."""
        return cls.model_validate(machine, from_attributes=True)


class MachinePage(BaseModel):
    """Machines by name and hypervisor, and whose are missing."""

    items: list[MachineShown]
    next: str | None = Field(description="The `after` of the next page; null on the last one.")
    silent: list[Silent]


class DiskShown(BaseModel):
    """A disk of a machine."""

    target: str
    device: str
    bus: str
    source: str = Field(description="Its file, device or volume; empty where there is none.")
    size_bytes: int | None


class PortShown(BaseModel):
    """A port of a machine's."""

    mac: str
    kind: str = Field(description="`network`, `bridge` …: what `source` is.")
    source: str
    model: str


class AddressShown(BaseModel):
    """An address of a machine's."""

    address: str
    prefix: int
    mac: str
    told_by: str = Field(description="`agent`, `lease` or `arp`.")


class MachineDetail(MachineShown):
    """A machine with all that belongs to it."""

    addresses: list[AddressShown]
    disks: list[DiskShown]
    ports: list[PortShown]
    snapshots: list[str]

    @classmethod
    def of_detail(cls, detail: Detail) -> MachineDetail:
        """Show a machine and what belongs to it."""
        below = {name: getattr(detail, name) for name in ("addresses", "disks", "ports", "snapshots")}
        return cls.model_validate({**vars(detail.machine), **below}, from_attributes=True)


class SnapshotWanted(_Request):
    """POST of a snapshot."""

    name: Annotated[StrictStr, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,199}$")]
    description: Text = ""


class SnapshotShown(BaseModel):
    """A snapshot of a machine."""

    name: str
    state: str = Field(description="The machine's, when it was taken.")
    created_at: str
    parent: str = Field(description="The snapshot that it was taken after; empty for none.")
    current: bool
    description: str

    @classmethod
    def of(cls, snapshot: Snapshot) -> SnapshotShown:
        """Show a snapshot."""
        return cls(**{**vars(snapshot), "created_at": rfc3339(snapshot.created_at)})


class SnapshotList(BaseModel):
    """A machine's snapshots, the oldest first."""

    items: list[SnapshotShown]

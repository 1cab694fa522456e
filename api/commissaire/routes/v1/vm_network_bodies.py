"""The bodies of REST v1's networks of machines."""

from __future__ import annotations

from ipaddress import IPv4Address, ip_interface
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictInt, StrictStr, model_validator

from commissaire.machines.network import VirtualNetwork
from commissaire.routes.text import Text
from commissaire.routes.v1.machine_bodies import Silent

_Address = Annotated[StrictStr, Field(max_length=64), AfterValidator(lambda text: str(IPv4Address(text)))]
_Interface = Annotated[StrictStr, Field(max_length=64), AfterValidator(lambda text: str(ip_interface(text)))]


class DhcpRange(BaseModel):
    """The addresses that are leased."""

    model_config = ConfigDict(extra="forbid")

    start: _Address
    end: _Address


class VmNetworkWanted(BaseModel):
    """POST of a network."""

    model_config = ConfigDict(extra="forbid")

    mode: Literal["nat", "isolated", "bridge", "openvswitch"] = "nat"
    bridge: Annotated[StrictStr, Field(min_length=1, max_length=15, pattern=r"^[A-Za-z0-9_.-]+$")] | None = Field(
        default=None, description="The hypervisor's bridge, for `bridge` and `openvswitch`."
    )
    vlan: Annotated[StrictInt, Field(ge=1, le=4094)] | None = Field(default=None, description="For `openvswitch`.")
    address: _Interface | None = Field(
        default=None, description="The hypervisor's own address and its prefix, for `nat` and `isolated`."
    )
    dhcp: DhcpRange | None = None
    domain: Text | None = Field(default=None, description="Its DNS domain.")

    @model_validator(mode="after")
    def _fits_its_mode(self) -> VmNetworkWanted:
        bridged = self.mode in ("bridge", "openvswitch")
        if bridged and self.bridge is None:
            raise ValueError(f"a network of the mode {self.mode} needs bridge: one of the hypervisor's")
        of_others = ("address", "dhcp", "domain") if bridged else ("bridge",)
        wrong = [name for name in of_others if getattr(self, name) is not None]
        if self.vlan is not None and self.mode != "openvswitch":
            wrong.append("vlan")
        if wrong:
            raise ValueError(f"a network of the mode {self.mode} has no {wrong[0]}; leave it out")
        return self

    def parameters(self) -> dict[str, Any]:
        """Return the variables of the role vm_network, without their prefix."""
        return {"mode": self.mode, **self.model_dump(mode="json", exclude_none=True), "existing": "fail"}


class VmNetworkShown(BaseModel):
    """A network of machines, as its hypervisor tells of it."""

    name: str
    hypervisor: str
    uuid: str
    mode: str
    active: bool
    autostart: bool
    persistent: bool
    bridge: str
    vlan: int | None
    addresses: list[str]

    @classmethod
    def of(cls, hypervisor: str, network: VirtualNetwork) -> VmNetworkShown:
        """Show a network."""
        return cls(hypervisor=hypervisor, **vars(network))


class VmNetworkList(BaseModel):
    """Networks by name and hypervisor, and whose are missing."""

    items: list[VmNetworkShown]
    silent: list[Silent]

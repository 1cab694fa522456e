"""The bodies of REST v1's hypervisors."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictStr

from commissaire.clock import rfc3339
from commissaire.machines.credentials import Credentials
from commissaire.records import Hypervisor
from commissaire.routes.text import Text

_Pem = Annotated[
    StrictStr,
    Field(min_length=1, max_length=65536, pattern=r"^[\x20-\x7e\t\r\n]*$", json_schema_extra={"writeOnly": True}),
]
_Line = Annotated[
    StrictStr,
    Field(min_length=1, max_length=4096, pattern=r"^[^\x00-\x1f\x7f]*$", json_schema_extra={"writeOnly": True}),
]


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid")


class HypervisorCredentials(_Request):
    """What a hypervisor is reached with. No answer ever shows it."""

    ssh_priv_key: _Pem | None = Field(default=None, repr=False, description="For qemu+ssh: base64 of the private key.")
    ssh_host_keys: Annotated[list[_Line], Field(min_length=1, max_length=16)] | None = Field(
        default=None, repr=False, description="With it, the keys that its SSH server may have: `ssh-ed25519 AAAA…`."
    )
    tls_ca: _Pem | None = Field(
        default=None, repr=False, description="For qemu+tls: PEM of the authorities that its certificate may be of."
    )
    tls_certificate: _Pem | None = Field(default=None, repr=False, description="PEM of our certificate.")
    tls_key: _Pem | None = Field(default=None, repr=False, description="PEM of the private key that belongs to it.")
    username: _Line | None = Field(
        default=None, repr=False, description="For SASL, over qemu+tcp or qemu+tls: who signs in."
    )
    password: _Line | None = Field(default=None, repr=False, description="The password that belongs to it.")

    def credentials(self) -> Credentials:
        """Return them as they are kept."""
        given = {name: value for name, value in self.model_dump().items() if value is not None}
        return Credentials(**given | {"ssh_host_keys": "\n".join(given.get("ssh_host_keys", []))})


class HypervisorWanted(_Request):
    """PUT of a hypervisor."""

    uri: Annotated[Text, Field(max_length=512, description="libvirt's connection URI, without a password.")]
    allowed: StrictBool = Field(default=True, description="Whether it may be asked at all.")
    virt_type: Literal["auto", "kvm", "qemu"] = Field(
        default="auto", description="By what new machines are run. Default auto: KVM where a guest shows that it works."
    )
    pool: Annotated[Text, Field(min_length=1)] = Field(
        default="default", description="The storage pool of new machines' disks."
    )
    credentials: HypervisorCredentials | None = Field(
        default=None,
        repr=False,
        description="All that it is reached with, in place of all there was before; {} forgets it. "
        "Left out, it stays as long as the URI does.",
    )


class HypervisorShown(BaseModel):
    """A hypervisor, as it is recorded."""

    name: str
    uri: str
    allowed: bool
    virt_type: str
    probed_virt_type: str = Field(description="What a guest that was started showed; empty as long as none was.")
    pool: str
    credentials: list[str] = Field(description="Which ones are recorded, never what they hold.")
    created_at: str

    @classmethod
    def of(cls, hypervisor: Hypervisor, credentials: list[str]) -> HypervisorShown:
        """Show a record."""
        fields = hypervisor.model_dump(exclude={"created_at"})
        return cls(**fields, credentials=credentials, created_at=rfc3339(hypervisor.created_at) or "")


class HypervisorAsked(HypervisorShown):
    """A hypervisor, and what it said when it was asked just now."""

    reachable: bool
    driver: str = Field(description="Such as QEMU; empty when it did not answer.")
    version: str = Field(description="The driver's.")
    libvirt_version: str = Field(description="Its libvirt's.")
    failure: str = Field(description="Why it did not answer, in libvirt's words.")


class HypervisorList(BaseModel):
    """All hypervisors, by name."""

    items: list[HypervisorShown]

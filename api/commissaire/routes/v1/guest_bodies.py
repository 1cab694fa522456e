"""The bodies of REST v1's guests: the insides of virtual machines."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
    WithJsonSchema,
    model_validator,
)

from commissaire.routes.text import Text

_LONE_SURROGATES = re.compile(r"[\ud800-\udfff]")


def _whole(text: str) -> str:
    if "\0" in text or _LONE_SURROGATES.search(text):
        raise ValueError("it holds a NUL character or a lone surrogate")
    return text


_Word = Annotated[StrictStr, Field(max_length=65536, pattern=r"^[^\x00]*$"), AfterValidator(_whole)]
_Name = Annotated[Text, Field(min_length=1, max_length=64, pattern=r"^[^\x00-\x1f\x7f:/\s-][^\x00-\x1f\x7f:/\s]*$")]


_Ipv4 = Annotated[
    StrictStr,
    AfterValidator(lambda text: str(IPv4Address(text))),
    WithJsonSchema({"type": "string", "format": "ipv4"}),
]
_Ipv6 = Annotated[
    StrictStr,
    AfterValidator(lambda text: str(IPv6Address(text))),
    WithJsonSchema({"type": "string", "format": "ipv6"}),
]


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid")


class PasswordWanted(_Request):
    """PUT of a password."""

    user: _Name = "root"
    password: Annotated[StrictStr, Field(min_length=1, max_length=1024, pattern=r"^[^\x00-\x1f\x7f]*$", repr=False)]
    crypted: StrictBool = Field(default=False, description="Whether it is a hash of crypt(5) already.")

    @model_validator(mode="after")
    def _is_text(self) -> PasswordWanted:
        if _LONE_SURROGATES.search(self.password):
            raise ValueError("the password holds a lone surrogate")
        return self


class Ipv4OfGuest(_Request):
    """An IPv4 address of an interface."""

    ip: _Ipv4
    netmask: _Ipv4
    gateway: _Ipv4 | None = None


class Ipv6OfGuest(_Request):
    """An IPv6 address of an interface."""

    ip: _Ipv6
    netmask: Annotated[StrictInt, Field(ge=0, le=128, description="The length of its prefix.")]
    gateway: _Ipv6 | None = None


class RouteOfGuest(_Request):
    """A route of an interface."""

    route: _Ipv4
    netmask: _Ipv4
    gateway: _Ipv4


class InterfaceWanted(_Request):
    """An interface, in the words of nova's vm-data."""

    mac: Annotated[StrictStr, Field(pattern=r"^([0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}$")]
    label: Text | None = Field(default=None, description="What its network is called.")
    ips: Annotated[list[Ipv4OfGuest], Field(max_length=64)] = []
    ip6s: Annotated[list[Ipv6OfGuest], Field(max_length=64)] = []
    gateway: _Ipv4 | None = Field(default=None, description="The default route of IPv4; one interface has it.")
    gateway_v6: _Ipv6 | None = None
    routes: Annotated[list[RouteOfGuest], Field(max_length=256)] = []
    dns: Annotated[list[_Ipv4 | _Ipv6], Field(max_length=16)] = []


class NetworkWanted(_Request):
    """POST of a machine's network: its name, its interfaces, or both."""

    hostname: Annotated[Text, Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$")] | None = None
    interfaces: Annotated[list[InterfaceWanted], Field(max_length=64)] | None = None

    @model_validator(mode="after")
    def _says_something(self) -> NetworkWanted:
        if not self.hostname and not self.interfaces:
            raise ValueError("give a hostname, interfaces, or both")
        macs = [interface.mac.lower() for interface in self.interfaces or ()]
        if len(set(macs)) < len(macs):
            raise ValueError("two interfaces have the same MAC address")
        return self

    def variables(self) -> dict[str, Any]:
        """Return the options of the module guest_network."""
        return self.model_dump(exclude_none=True)


class CommandWanted(_Request):
    """POST of a command: a program and its arguments. No shell reads them."""

    argv: Annotated[list[_Word], Field(min_length=1, max_length=512)]
    stdin: Annotated[StrictStr, Field(max_length=1024 * 1024), AfterValidator(_whole)] | None = None
    environment: dict[Annotated[StrictStr, Field(max_length=256, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")], _Word] = Field(
        default={}, max_length=128, description="Variables that it finds besides the agent's own."
    )
    timeout_seconds: Annotated[StrictInt, Field(ge=1, le=3600)] = Field(
        default=60, description="How long it may take. Where the agent can't end it, it goes on then."
    )

    @model_validator(mode="after")
    def _has_a_program(self) -> CommandWanted:
        if not self.argv[0].strip():
            raise ValueError("argv begins with the program; give its name or its path")
        return self


class AgentWanted(_Request):
    """POST of an agent: it replaces itself, or ours is installed."""

    action: Literal["update", "install"] = Field(
        default="update", description="install is by way of the agent that is there, which need not be ours."
    )
    url: Annotated[StrictStr, Field(max_length=2048, pattern=r"^https?://[^\s,\x00-\x1f\x7f]+$")] | None = Field(
        default=None, description="Where the machine fetches the new program. Default this server's, which it is sent."
    )
    md5: Annotated[StrictStr, Field(pattern=r"^[0-9a-fA-F]{32}$")] | None = Field(
        default=None, description="The checksum of the program at `url`; by xenstore it takes this one."
    )
    sha256: Annotated[StrictStr, Field(pattern=r"^[0-9a-fA-F]{64}$")] | None = None
    signature: Annotated[StrictStr, Field(max_length=4096, pattern=r"^[A-Za-z0-9+/]+=*$")] | None = Field(
        default=None, description="Its signature in base64, where the agent wants one."
    )
    version: Annotated[StrictStr, Field(pattern=r"^[0-9]+(\.[0-9]+)*$", max_length=64)] | None = Field(
        default=None, description="Its version; where the agent has it already, nothing is done."
    )
    replace_qemu: StrictBool = Field(
        default=False,
        description="Whether the one that is installed takes the port of a QEMU guest agent that is there.",
    )
    functions: list[
        Literal["exec", "file", "hostname", "hosts", "network", "password", "resolvers", "ssh_keys", "update"]
    ] = Field(default=[], max_length=9, description="What the one that is installed does. Default everything.")

    @model_validator(mode="after")
    def _is_one_of_both(self) -> AgentWanted:
        of_program = self.model_dump(include={"md5", "sha256", "signature", "version"}, exclude_none=True)
        if self.url is None and of_program:
            raise ValueError(f"{next(iter(of_program))} is that of the program at a url; give that, too")
        if self.url is not None and self.md5 is None and self.sha256 is None:
            raise ValueError("md5 or sha256 is missing: the checksum of the program at url")
        if self.action == "install" and self.url is not None:
            raise ValueError("an agent that is installed is this server's; leave out url, or say update")
        if self.action == "update" and (self.functions or self.replace_qemu):
            raise ValueError("functions and replace_qemu are for an agent that is installed; leave them out")
        return self


class GuestAgentShown(BaseModel):
    """A guest agent, as it tells of itself."""

    model_config = ConfigDict(extra="allow")

    name: str | None = None
    version: str | None = None
    dialect: str | None = Field(default=None, description="`qemu` or `nova`.")
    features: list[Any] = []


class GuestInfo(BaseModel):
    """A machine, as it tells of itself. What its agent's dialect can't tell is null or empty."""

    name: str
    hypervisor: str | None = Field(description="null for one that is reached by xenstore.")
    agent: GuestAgentShown
    hostname: str | None = None
    os: dict[str, Any] | None = None
    boot_id: str | None = None
    addresses: list[str] = []
    interfaces: list[dict[str, Any]] = []
    host_keys: list[str] = []


class CommandResult(BaseModel):
    """How a command ended, and what it printed."""

    rc: int = Field(description="Its exit code.")
    stdout: str
    stderr: str
    truncated: bool = Field(description="Whether it printed more than its agent keeps.")


class NetworkResult(BaseModel):
    """What became of a machine's network."""

    changed: bool


class AgentResult(BaseModel):
    """What became of a machine's agent."""

    changed: bool
    version: str | None = Field(description="Its version, where it is known.")

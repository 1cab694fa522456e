"""The bodies of REST v1's guests: the insides of virtual machines."""

from __future__ import annotations

import re
from collections.abc import Sequence
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

from commissaire.literal import holds_tag
from commissaire.routes.text import Text

_LABEL = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)", re.ASCII)
_LONGEST_HOST_NAME = 64
"""Linux's HOST_NAME_MAX."""
_TO_ALL = "0.0.0.0"  # noqa: S104  a netmask: nothing listens
_LONE_SURROGATES = re.compile(r"[\ud800-\udfff]")


def _whole(text: str) -> str:
    if "\0" in text or _LONE_SURROGATES.search(text):
        raise ValueError("it holds a NUL character or a lone surrogate")
    return text


def _untagged(variables: dict[str, str]) -> dict[str, str]:
    if holds_tag(variables):
        raise ValueError("a name begins with __ansible_, which is Ansible's own")
    return variables


_Word = Annotated[StrictStr, Field(max_length=65536, pattern=r"^[^\x00]*$"), AfterValidator(_whole)]
_Name = Annotated[Text, Field(min_length=1, max_length=64, pattern=r"^[^\x00-\x1f\x7f:/\s-][^\x00-\x1f\x7f:/\s]*$")]


def _of_a_machine(text: str, version: type[IPv4Address | IPv6Address]) -> str:
    address = version(text)
    if address.is_multicast or address.is_unspecified or (address.version == 4 and address.is_reserved):
        raise ValueError(f"{text} is an address that no machine can have")
    return str(address)


def _mask(text: str) -> str:
    if "01" in f"{int(IPv4Address(text)):032b}":
        raise ValueError(f"{text} is a netmask with gaps")
    return text


def _host_name(text: str) -> str:
    if len(text) > _LONGEST_HOST_NAME or not all(map(_LABEL.fullmatch, text.split("."))):
        raise ValueError(
            f"{text} is no host name: labels of letters, digits and hyphens, with dots between them, "
            f"{_LONGEST_HOST_NAME} characters at most"
        )
    return text


_IPV4, _IPV6 = ({"type": "string", "format": kind} for kind in ("ipv4", "ipv6"))
_Ipv4 = Annotated[StrictStr, AfterValidator(lambda text: _of_a_machine(text, IPv4Address)), WithJsonSchema(_IPV4)]
_Ipv6 = Annotated[StrictStr, AfterValidator(lambda text: _of_a_machine(text, IPv6Address)), WithJsonSchema(_IPV6)]
_Network = Annotated[StrictStr, AfterValidator(lambda text: str(IPv4Address(text))), WithJsonSchema(_IPV4)]
_Mask = Annotated[StrictStr, AfterValidator(_mask), WithJsonSchema(_IPV4)]


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
        if self.crypted and ":" in self.password:
            raise ValueError("a hash has no colon; give the second field of a line of /etc/shadow only")
        return self


class Ipv4OfGuest(_Request):
    """An IPv4 address of an interface."""

    ip: _Ipv4
    netmask: _Mask
    gateway: _Ipv4 | None = None


class Ipv6OfGuest(_Request):
    """An IPv6 address of an interface."""

    ip: _Ipv6
    netmask: Annotated[StrictInt, Field(ge=0, le=128, description="The length of its prefix.")]
    gateway: _Ipv6 | None = None


class RouteOfGuest(_Request):
    """A route of an interface."""

    route: _Network
    netmask: _Mask
    gateway: _Ipv4


class InterfaceWanted(_Request):
    """An interface, in the words of nova's vm-data."""

    mac: Annotated[StrictStr, Field(pattern=r"^([0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}$")]
    label: Text | None = Field(default=None, description="What its network is called.")
    ips: Annotated[list[Ipv4OfGuest], Field(max_length=64)] = []
    ip6s: Annotated[list[Ipv6OfGuest], Field(max_length=64)] = []
    gateway: _Ipv4 | None = Field(default=None, description="The default route of IPv4; one interface has it.")
    gateway_v6: _Ipv6 | None = None
    routes: Annotated[list[RouteOfGuest], Field(max_length=64)] = []
    dns: Annotated[list[_Ipv4 | _Ipv6], Field(max_length=16)] = []

    def default_gateways(self) -> tuple[set[str], set[str]]:
        """Return the gateways of its default routes, of IPv4 and of IPv6.

        They are its own, else those of its addresses; one without an address of the version is of no use.
        """
        routes = {route.gateway for route in self.routes if route.netmask == _TO_ALL}
        return _default_gateways(self.gateway, self.ips) | routes, _default_gateways(self.gateway_v6, self.ip6s)


def _default_gateways(own: str | None, addresses: Sequence[Ipv4OfGuest | Ipv6OfGuest]) -> set[str]:
    if not addresses:
        return set()
    return {own} if own else {address.gateway for address in addresses if address.gateway}


class NetworkWanted(_Request):
    """POST of a machine's network: its name, its interfaces, or both."""

    hostname: Annotated[Text, AfterValidator(_host_name)] | None = None
    interfaces: Annotated[list[InterfaceWanted], Field(max_length=64)] | None = None

    @model_validator(mode="after")
    def _says_something(self) -> NetworkWanted:
        if not self.hostname and not self.interfaces:
            raise ValueError("give a hostname, interfaces, or both")
        macs = [interface.mac.lower() for interface in self.interfaces or ()]
        if len(set(macs)) < len(macs):
            raise ValueError("two interfaces have the same MAC address")
        defaults = [interface.default_gateways() for interface in self.interfaces or ()]
        for at, version in enumerate(("IPv4", "IPv6")):
            gateways = [gateway for one in defaults for gateway in sorted(one[at])]
            if len(gateways) > 1:
                raise ValueError(f"{version} has several default routes, by {', '.join(gateways)}; a machine has one")
        return self

    def variables(self) -> dict[str, Any]:
        """Return the options of the module guest_network."""
        return self.model_dump(exclude_none=True)


class CommandWanted(_Request):
    """POST of a command: a program and its arguments. No shell reads them."""

    argv: Annotated[list[_Word], Field(min_length=1, max_length=512)]
    stdin: Annotated[StrictStr, Field(max_length=1024 * 1024), AfterValidator(_whole)] | None = None
    environment: Annotated[
        dict[Annotated[StrictStr, Field(max_length=256, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")], _Word],
        AfterValidator(_untagged),
    ] = Field(default={}, max_length=128, description="Variables that it finds besides the agent's own.")
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
    replaced: bool = Field(description="Whether some of it is no UTF-8, and stands here as U+FFFD.")


class NetworkResult(BaseModel):
    """What became of a machine's network."""

    changed: bool


class AgentResult(BaseModel):
    """What became of a machine's agent."""

    changed: bool
    version: str | None = Field(description="Its version, where it is known.")

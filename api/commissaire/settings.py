"""The server's settings: etcd, a JSON file, the environment and the command line, the later ones winning."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from commissaire import configuration
from commissaire.auth.role import Role
from commissaire.auth.virt_mode import VirtMode
from commissaire.configuration import SettingsError
from commissaire.secrets.settings import SecretSettings

ENVIRONMENT_PREFIX = "COMMISSAIRE_"
_JSON_IN_ENVIRONMENT = (
    "authentication_plugins",
    "self_auths",
    "logging",
    "sources",
    "announced_hypervisors",
    "announcement_interfaces",
)


class AuthenticationPlugin(BaseModel):
    """One entry of `authentication-plugins`: a name, roles, and the plugin's own options.

    `role` is what everybody has whom it lets in, `roles` what users and `group:NAME`s have.
    """

    model_config = ConfigDict(extra="allow")

    name: str
    role: Role | None = None
    roles: dict[str, Role] | None = None

    @property
    def options(self) -> dict[str, Any]:
        """What the plugin is made with."""
        return dict(self.model_extra or {})


class SourceSettings(BaseModel):
    """One external provider of hosts: any inventory source of Ansible's, and what of it is shown."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    inventory: Path
    variables: dict[Literal["address", "os", "cpus", "memory_kb", "memory_mb", "space_bytes", "space_gb"], str] = Field(
        default_factory=dict
    )
    refresh_seconds: float = Field(300, ge=1, le=30 * 86400)
    timeout_seconds: float = Field(60, ge=1, le=3600)
    environment: list[str] = Field(default_factory=list)

    @field_validator("inventory")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return Path.cwd() / value.expanduser()


SourceName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]


def default_data_dir() -> Path:
    """Return where the server keeps its state when nobody says otherwise: system-wide for root, else in the home."""
    if os.geteuid() == 0:
        return Path("/var/lib/commissaire")
    return Path.home() / ".local" / "share" / "commissaire"


class Settings(SecretSettings):
    """Everything that can be configured; the JSON file may write - for _ (Commissaire 0.0.6, chapter 3)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    listen_interface: str = Field("127.0.0.1", description="Address to listen on.")
    listen_port: int = Field(8000, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    tls_pemfile: Path | None = Field(None, description="PEM file with the server's certificate and private key.")
    tls_clientverifyfile: Path | None = Field(
        None, description="PEM file with the authorities that client certificates are verified against."
    )
    authentication_plugins: list[AuthenticationPlugin] | None = Field(
        None, description="Plugins tried in this order; the first success wins. Without any everybody is refused."
    )
    self_auths: list[str] = Field(
        default_factory=lambda: ["/api/v0/secrets"],
        description="Paths whose routes authenticate their clients themselves; no plugin is asked there.",
    )
    data_dir: Path = Field(default_factory=default_data_dir, description="Folder for everything the server writes.")
    database_url: str | None = Field(None, description="SQLAlchemy URL; default: SQLite in the data folder.")
    workers: int = Field(
        default_factory=lambda: max(2, os.cpu_count() or 1),
        ge=0,
        le=64,
        description="Operations of a kind run at the same time; 0 leaves them to other servers on the same database.",
    )
    sources: dict[SourceName, SourceSettings] = Field(
        default_factory=dict, description="External providers of hosts by name: inventory sources of Ansible's."
    )
    watch_interval_seconds: float = Field(
        1200, ge=0, le=30 * 86400, description="How often every host is checked, in seconds; 0 checks none."
    )
    credential_cache_seconds: float = Field(
        300,
        ge=0,
        description="How long a verified password is remembered, in memory only; 0 asks the plugins each time.",
    )
    bus_uri: str | None = Field(
        None, repr=False, description="Message bus that changes are published on, such as redis://HOST:6379/ (kombu)."
    )
    bus_exchange: str = Field("commissaire", min_length=1, description="Exchange on the message bus.")
    logging: dict[str, Any] | None = Field(
        None, description="Python's logging.config.dictConfig, applied after Commissaire's own."
    )
    refusal_delay_seconds: float = Field(
        5,
        ge=0,
        le=60,
        description="How long the answer to wrong credentials waits at most, after several of them; 0 never.",
    )
    local_hypervisor: str = Field(
        "qemu:///system",
        description="libvirt's URI of the hypervisor `local`, recorded at the start while none is; empty for none.",
    )
    announced_hypervisors: list[str] = Field(
        default_factory=list,
        description="URIs of hypervisors that /virt asks when they announce machines by mDNS; `*` stands for a name.",
    )
    announcement_interfaces: list[str] = Field(
        default_factory=list, description="Network interfaces to listen on for that; default all."
    )
    compute_agent_hypervisor: str = Field(
        "local", min_length=1, description="The hypervisor that /host, /hosts and /networks work on."
    )
    virt_mode: VirtMode = Field(
        VirtMode.OWNER_MODIFIES,
        description="Who sees and changes what at /virt: insecure, read-only, owner-sees or owner-modifies.",
    )
    virt_stylesheet: str = Field(
        "",
        pattern=r"""^((https?://|/)[^\s<>"']+)?$""",
        description="URL or path of the XSL stylesheet that /virt's XML names, such as /virt.xsl; empty for none.",
    )
    guest_file_limit_mb: int = Field(
        16, ge=1, le=256, description="How large files are at most that go to machines and come from them, in MiB."
    )
    xenstore_socket: str = Field(
        "",
        pattern=r"^(/[^\x00-\x1f\x7f]*)?$",
        description="Socket of this machine's xenstored, for guests by xenstore; empty for the usual one.",
    )
    debug: bool = Field(False, description="Log at debug level.")

    @model_validator(mode="before")
    @classmethod
    def _old_forms(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Accept `authentication-plugin`, and one plugin that is in no list (Commissaire 0.0.6)."""
        if "authentication_plugin" in values:
            if "authentication_plugins" in values:
                raise ValueError("authentication_plugin and authentication_plugins are the same setting; give one")
            values["authentication_plugins"] = values.pop("authentication_plugin")
        if isinstance(values.get("authentication_plugins"), dict):
            values["authentication_plugins"] = [values["authentication_plugins"]]
        return values

    @field_validator("listen_interface")
    @classmethod
    def _no_port(cls, value: str) -> str:
        if value.isdigit():
            raise ValueError(f"{value} is a port, not an address; say --listen-port {value}")
        return value

    @field_validator("bus_uri")
    @classmethod
    def _bus_address(cls, value: str | None) -> str | None:
        if not value:
            return None
        if "://" not in value:
            raise ValueError("it is no URI, such as redis://127.0.0.1:6379/")
        return value

    @field_validator("data_dir", "tls_pemfile", "tls_clientverifyfile")
    @classmethod
    def _absolute(cls, value: Path | None) -> Path | None:
        return None if value is None else Path.cwd() / value.expanduser()

    @field_validator("database_url")
    @classmethod
    def _known_database(cls, value: str | None) -> str | None:
        if value is None:
            return None
        try:
            url = make_url(value)
        except ArgumentError:
            raise ValueError("it is no SQLAlchemy URL, such as postgresql://USER:PASSWORD@HOST/NAME") from None
        if url.get_backend_name() not in ("sqlite", "postgresql"):
            raise ValueError(f"{url.get_backend_name()} is not supported; sqlite and postgresql are")
        if url.get_backend_name() == "sqlite" and url.database in (None, "", ":memory:"):
            raise ValueError("SQLite needs a file: sqlite:////PATH")
        return value

    @model_validator(mode="after")
    def _usable_tls(self) -> Settings:
        for name in ("tls_pemfile", "tls_clientverifyfile"):
            path: Path | None = getattr(self, name)
            if path is not None and not path.is_file():
                raise ValueError(f"{name}: there is no file {path}")
        if self.tls_clientverifyfile and not self.tls_pemfile:
            raise ValueError("tls_clientverifyfile is of no use without tls_pemfile")
        return self

    @property
    def guest_file_limit_bytes(self) -> int:
        """How large files of machines may be."""
        return self.guest_file_limit_mb * 1024 * 1024

    @property
    def sqlalchemy_url(self) -> str:
        """The database in use."""
        return self.database_url or f"sqlite:///{self.data_dir / 'commissaire.db'}"


def load_settings(config_file: Path | None, overrides: dict[str, Any], *, environ: dict[str, str]) -> Settings:
    """Merge etcd, the configuration file, the environment (`COMMISSAIRE_LISTEN_PORT` …) and *overrides*.

    Raises:
        SettingsError: a source that can't be read or parsed, an unknown key, a value of the wrong type.
    """
    values = configuration.read("commissaire", config_file, environ)
    for name in Settings.model_fields:
        variable = ENVIRONMENT_PREFIX + name.upper()
        text = environ.get(variable)
        if text is not None:
            values[name] = configuration.parse_json(text, variable) if name in _JSON_IN_ENVIRONMENT else text
    values.update(overrides)
    try:
        return Settings(**values)
    except ValidationError as error:
        raise SettingsError(_explain(error)) from error


def _explain(error: ValidationError) -> str:
    lines = []
    for problem in error.errors():
        name = ".".join(str(part) for part in problem["loc"])
        if problem["type"] == "extra_forbidden":
            lines.append(f"unknown setting {name!r}; known are: {', '.join(sorted(Settings.model_fields))}")
        else:
            lines.append(f"setting {name!r}: {problem['msg']}" if name else problem["msg"])
    return "; ".join(lines)

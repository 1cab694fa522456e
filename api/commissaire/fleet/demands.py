"""What a host must be like before and after an operation works on it, as requests say it.

The playbooks read it, so no string here may look like a template.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr

from commissaire.fleet.plain_text import PlainText

Seconds = Annotated[StrictInt, Field(ge=0, le=86400)]
Status = Annotated[StrictInt, Field(ge=100, le=599)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


class DiskDemand(_Part):
    """What must be free, for others than root, in the file system of a path."""

    path: StrictStr = Field(max_length=4096, pattern=r"^/[^{}\x00-\x1f\x7f]*$")
    free_bytes: Annotated[StrictInt, Field(ge=0, lt=2**63)] | None = None
    free_percent: Annotated[StrictInt, Field(ge=0, le=100)] | None = None


class Demands(_Part):
    """The options of the collection's action `host_check`. What is left out is not looked at."""

    units: list[Annotated[StrictStr, Field(pattern=r"^[A-Za-z0-9@._:\\-]{1,255}$")]] | None = Field(
        None, max_length=100, description="Units of systemd that must be active."
    )
    no_failed_units: StrictBool | None = Field(None, description="No unit may have failed.")
    disk: list[DiskDemand] | None = Field(None, max_length=100)
    no_pending_reboot: StrictBool | None = Field(
        None, description="The host may not wait for a reboot; one that can't tell is not fit."
    )
    command: list[PlainText] | None = Field(
        None,
        min_length=1,
        max_length=100,
        description="Arguments of a command that must end with 0 on the host. For administrators.",
    )
    url: StrictStr | None = Field(
        None,
        max_length=4096,
        pattern=r"^https?://(?:[^{\s\x00-\x1f\x7f]|\{host\})+$",
        description="Must answer a GET; `{host}` in it is the host's address.",
    )
    url_from: Literal["controller", "host"] | None = Field(None, description="Who asks. Default `controller`.")
    url_statuses: list[Status] | None = Field(
        None, min_length=1, max_length=20, description="The statuses that are right. Default 200."
    )
    playbook: StrictStr | None = Field(
        None,
        max_length=200,
        pattern=r"^[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*){2,}$",
        description="The FQCN of a playbook on the server that must succeed on the host. For administrators.",
    )
    timeout_seconds: Seconds | None = Field(
        None, description="How long it may take until all but the playbook is right. Default 60."
    )
    playbook_timeout_seconds: Seconds | None = Field(None, description="How long the playbook may take. Default 3600.")

    @property
    def is_code(self) -> bool:
        """Whether it runs what the requester says, on the host or on the server."""
        return self.command is not None or self.playbook is not None

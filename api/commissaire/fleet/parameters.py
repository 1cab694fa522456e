"""The parameters of rolling operations: each is told here once, with its form and its default.

The bodies of requests hold these models, and the playbooks get what was given under the same names.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
    ValidationError,
    WithJsonSchema,
)

from commissaire.fleet.demands import Demands
from commissaire.fleet.errors import Invalid
from commissaire.fleet.limits import DEFAULT_MAX_FAILURES, DEFAULT_MAX_UNAVAILABLE, check_limit
from commissaire.records import OperationKind

VERSION_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,254}$"
"""What a deploy's version looks like: an OSTree version, checksum or ref, or a bootc image; never an option."""


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


WholeNumber = Annotated[StrictInt, BeforeValidator(_whole)]
"""An integer as JSON Schema has it: `5.0` is one."""


def _form(least: int) -> WithJsonSchema:
    number, percentage = (
        ("[1-9][0-9]{0,5}", "[1-9][0-9]?|100") if least else ("0|[1-9][0-9]{0,5}", "[0-9]|[1-9][0-9]|100")
    )
    return WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": least, "maximum": 999999},
                {"type": "string", "pattern": f"^({number}|({percentage})%)$"},
                {"type": "null"},
            ]
        }
    )


MaxUnavailable = Annotated[
    WholeNumber | StrictStr | None,
    _form(least=1),
    Field(description="Hosts away at once: a number, or a percentage such as `25%`. Default 1."),
]
MaxFailures = Annotated[
    WholeNumber | StrictStr | None,
    _form(least=0),
    Field(description="Hosts that may fail before no further one starts: a number, or a percentage. Default 0."),
]
Canary = Annotated[
    WholeNumber | StrictStr | None,
    _form(least=0),
    Field(description="Hosts that go first, a number or a percentage; if one fails, no other starts. Default 0."),
]


class RollingParameters(BaseModel):
    """The parameters of every rolling operation."""

    model_config = ConfigDict(extra="forbid")

    max_unavailable: MaxUnavailable = None
    max_failures: MaxFailures = None
    canary: Canary = None
    canary_soak_seconds: WholeNumber | None = Field(
        None, ge=0, le=604800, description="How long the others wait after the last of these has ended. Default 0."
    )
    lease_wait_seconds: WholeNumber | None = Field(
        None, ge=0, le=86400, description="How long to wait for a host that somebody else works on. Default 0."
    )
    reboot_timeout_seconds: WholeNumber | None = Field(
        None, ge=1, le=86400, description="How long a host may stay away. Default 600."
    )

    check_before: Demands | None = Field(None, description="What a host must be like before the work.")
    when_check_fails: Literal["fail", "skip", "stop"] | None = Field(
        None,
        description="A host that is not: counts as failed (the default), is skipped, or fails and stops all others.",
    )
    check_after: Demands | None = Field(None, description="What a host must be like after the work, else it failed.")
    soak_seconds: WholeNumber | None = Field(
        None, ge=0, le=86400, description="How long it keeps its place then, to be looked at once more. Default 0."
    )

    @property
    def is_code(self) -> bool:
        """Whether checks run what the requester says: only administrators may have that."""
        return any(demands is not None and demands.is_code for demands in (self.check_before, self.check_after))

    def checked(self) -> dict[str, Any]:
        """Return what was given, with the defaults of both limits filled in.

        Raises:
            Invalid: a limit that can't be used.
        """
        if self.canary is not None:
            check_limit("canary", self.canary, least=0)
        unavailable = DEFAULT_MAX_UNAVAILABLE if self.max_unavailable is None else self.max_unavailable
        failures = DEFAULT_MAX_FAILURES if self.max_failures is None else self.max_failures
        return self.model_dump(mode="json", exclude_none=True) | {
            "max_unavailable": check_limit("max_unavailable", unavailable, least=1),
            "max_failures": check_limit("max_failures", failures, least=0),
        }


class UpgradeParameters(RollingParameters):
    """The parameters of an upgrade."""

    reboot: Literal["when_needed", "always", "never"] | None = Field(
        None, description="Whether hosts reboot after it. Default `when_needed`."
    )


class DeployParameters(RollingParameters):
    """The parameters of a deploy."""

    version: StrictStr = Field(
        pattern=VERSION_PATTERN,
        description="The version, checksum or ref of the OSTree deployment to boot, or the bootc image.",
    )
    stage_at_once: WholeNumber | None = Field(
        None, ge=1, le=50, description="Hosts that fetch the version at once, before any is switched. Default 10."
    )
    rollback: StrictBool | None = Field(
        None, description="Whether a host that fails its verification is rolled back. Default true."
    )


_MODELS: dict[str, type[RollingParameters]] = {
    OperationKind.RESTART: RollingParameters,
    OperationKind.UPGRADE: UpgradeParameters,
    OperationKind.DEPLOY: DeployParameters,
}


def check_parameters(kind: OperationKind, given: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters of a rolling operation as they are recorded.

    Raises:
        Invalid: one that can't be used, or that this kind doesn't have.
    """
    try:
        return _MODELS[kind].model_validate(given).checked()
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = ".".join(str(part) for part in first["loc"]) or "the parameters"
        raise Invalid(f"{name}: {first['msg']}, not {str(first['input'])[:128]!r}") from error

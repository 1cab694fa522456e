"""The parameters of rolling operations: each is told here once, with its form and its default.

The bodies of requests hold these models, and the playbooks get what was given under the same names.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

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
    model_validator,
)
from pydantic_core import PydanticCustomError

from commissaire.fleet.demands import Demands
from commissaire.fleet.errors import Invalid
from commissaire.fleet.labels import LabelKey
from commissaire.fleet.limits import DEFAULT_MAX_FAILURES, DEFAULT_MAX_UNAVAILABLE, check_limit
from commissaire.fleet.windows import Blackout, MaintenanceWindow
from commissaire.records import OperationKind

VERSION_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,254}$"
"""What a deploy's version looks like: an OSTree version, checksum or ref, or a bootc image; never an option."""
PACKAGE_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9+._-]{0,127}(=[A-Za-z0-9][A-Za-z0-9.+:~^_-]{0,127})?$"
HOLD_PATTERN = r"^[A-Za-z0-9*?][A-Za-z0-9+._*?-]{0,127}$"
KUBERNETES_PATTERN = r"^[0-9]{1,3}\.[0-9]{1,3}(\.[0-9]{1,3})?$"
SNAPSHOT_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
"""These as the roles have them: never an option either, nor a word of a shell."""


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
MinHealthy = Annotated[
    WholeNumber | StrictStr | None,
    _form(least=0),
    Field(
        description="Hosts that must answer, or nodes be Ready, before another starts; may be a percentage. Default 0."
    ),
]
HostPattern = Annotated[StrictStr, Field(pattern=r"^[^\x00-\x1f\x7f]{1,253}$")]


class RollingParameters(BaseModel):
    """The parameters of every rolling operation."""

    model_config = ConfigDict(extra="forbid")

    max_unavailable: MaxUnavailable = None
    max_failures: MaxFailures = None
    hosts: list[HostPattern] | None = Field(
        None,
        min_length=1,
        max_length=5000,
        description="Only these: addresses, or labels as `zone=a`, each perhaps with `*`. Default all of the cluster.",
    )
    host_order: Literal["inventory", "reverse_inventory", "sorted", "reverse_sorted", "shuffle", "spread"] | None = (
        Field(
            None, description="In which they start; `spread`: one of each failure domain in turn. Default `inventory`."
        )
    )
    failure_domain: LabelKey | None = Field(None, description="The label that tells each host's failure domain.")
    one_domain_at_a_time: StrictBool | None = Field(
        None, description="Never have hosts of different failure domains away at once. Default false."
    )
    maintenance_windows: list[MaintenanceWindow] | None = Field(
        None, max_length=100, description="When hosts may start. Default always."
    )
    blackouts: list[Blackout] | None = Field(
        None, max_length=1000, description="When no host may start. Default never."
    )
    outside_window: Literal["wait", "refuse", "pause"] | None = Field(
        None,
        description="Wait for the next window, start no host, or pause until somebody resumes it. Default `wait`.",
    )
    min_healthy: MinHealthy = None
    min_healthy_wait_seconds: WholeNumber | None = Field(
        None, ge=0, le=86400, description="How long to wait for so many, before no other starts. Default 300."
    )
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

    drain_timeout_seconds: WholeNumber | None = Field(
        None, ge=1, le=86400, description="How long a node may take to be drained. Default 600."
    )
    drain_grace_period_seconds: WholeNumber | None = Field(
        None, ge=0, le=86400, description="How long its pods may take to end. Default each pod's own time."
    )
    drain_delete_emptydir_data: StrictBool | None = Field(
        None, description="Whether pods may lose `emptyDir` volumes; else they fail the host. Default false."
    )
    drain_force: StrictBool | None = Field(
        None, description="Whether pods may go that no controller makes again; else they fail the host. Default false."
    )
    node_ready_timeout_seconds: WholeNumber | None = Field(
        None, ge=1, le=86400, description="How long a node may take to be Ready after the work. Default 300."
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
        for name in ("canary", "min_healthy"):
            if getattr(self, name) is not None:
                check_limit(name, getattr(self, name), least=0)
        self._check_domains()
        unavailable = DEFAULT_MAX_UNAVAILABLE if self.max_unavailable is None else self.max_unavailable
        failures = DEFAULT_MAX_FAILURES if self.max_failures is None else self.max_failures
        return self.model_dump(mode="json", exclude_none=True) | {
            "max_unavailable": check_limit("max_unavailable", unavailable, least=1),
            "max_failures": check_limit("max_failures", failures, least=0),
        }

    def _check_domains(self) -> None:
        spread = self.host_order == "spread"
        if spread and self.one_domain_at_a_time:
            raise Invalid(
                "host_order is spread, which mixes failure domains, and one_domain_at_a_time; choose one of them"
            )
        if (spread or self.one_domain_at_a_time) and self.failure_domain is None:
            raise Invalid("failure_domain is missing: the label that tells each host's, such as zone")


class UpgradeParameters(RollingParameters):
    """The parameters of an upgrade."""

    reboot: Literal["when_needed", "always", "never"] | None = Field(
        None, description="Whether hosts reboot after it. Default `when_needed`."
    )
    security_only: StrictBool | None = Field(None, description="Only security updates. Default false.")
    only_packages: list[Annotated[str, Field(strict=True, pattern=PACKAGE_PATTERN)]] | None = Field(
        None,
        max_length=1000,
        description="Only these and what they need, each `name` or `name=version`. Default all.",
    )
    hold: list[Annotated[str, Field(strict=True, pattern=HOLD_PATTERN)]] | None = Field(
        None, max_length=1000, description="Packages to leave as they are; `*` and `?` are wildcards. Default none."
    )
    snapshot: StrictStr | None = Field(
        None,
        pattern=SNAPSHOT_PATTERN,
        description="The packages of this state of the repositories: an id of apt's, a releasever. Default today's.",
    )

    @model_validator(mode="after")
    def _one_way_to_choose_versions(self) -> Self:
        if self.security_only and any("=" in package for package in self.only_packages or ()):
            raise PydanticCustomError("versions", "security_only picks the versions itself; leave out one of both")
        return self


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


class KubeletUpgradeParameters(RollingParameters):
    """The parameters of an upgrade of kubelets."""

    kubernetes_version: StrictStr | None = Field(
        None,
        pattern=KUBERNETES_PATTERN,
        description="`1.35` for the newest of that minor version, or `1.35.4`. Default the API server's minor version.",
    )


class NodeLeaveParameters(RollingParameters):
    """The parameters of nodes' leave."""

    hosts: list[HostPattern] = Field(
        min_length=1, max_length=5000, description="Which: addresses, or labels as `zone=a`, each perhaps with `*`."
    )
    kubernetes_node_reset: StrictBool | None = Field(
        None, description="Whether what joining left on the host is removed. Default true."
    )


_MODELS: dict[str, type[RollingParameters]] = {
    OperationKind.RESTART: RollingParameters,
    OperationKind.UPGRADE: UpgradeParameters,
    OperationKind.DEPLOY: DeployParameters,
    OperationKind.KUBELET_UPGRADE: KubeletUpgradeParameters,
    OperationKind.NODE_LEAVE: NodeLeaveParameters,
}


def runs_code(kind: OperationKind, recorded: dict[str, Any]) -> bool:
    """Return whether an operation with these parameters, as they are recorded, is for administrators to ask for."""
    try:
        return _MODELS[kind].model_validate(recorded).is_code
    except ValidationError:
        return True  # an earlier release took what this one does not: nobody knows what it is


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

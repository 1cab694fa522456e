"""commctl cluster restart …, upgrade …, deploy …, kubelet-upgrade …, node-leave …"""

import json
import re
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from commissaire.commctl.completion import clusters
from commissaire.commctl.output import Format, OutputOption, either, show, tell
from commissaire.commctl.session import connect, segment

if TYPE_CHECKING:
    from commissaire.commctl.client import Client

restart = typer.Typer(help="Restart a cluster's hosts, never more at once than allowed.", no_args_is_help=True)
upgrade = typer.Typer(help="Upgrade a cluster's hosts, never more at once than allowed.", no_args_is_help=True)
deploy = typer.Typer(help="Boot a version of the OSTree on a cluster's Atomic hosts.", no_args_is_help=True)
kubelet_upgrade = typer.Typer(
    help="Upgrade the kubelets of a cluster's nodes, never more at once than allowed.", no_args_is_help=True
)
node_leave = typer.Typer(help="Take hosts out of a cluster's container manager.", no_args_is_help=True)

Name = Annotated[
    str, typer.Argument(metavar="NAME", help="The cluster's name.", show_default=False, autocompletion=clusters)
]
MaxUnavailable = Annotated[
    str | None,
    typer.Option("--max-unavailable", metavar="N|N%", help="Hosts out of service at any moment, at most (default: 1)."),
]
MaxFailures = Annotated[
    str | None,
    typer.Option(
        "--max-failures", metavar="N|N%", help="Failed hosts that don't keep others from being started (default: 0)."
    ),
]
Canary = Annotated[
    str | None,
    typer.Option("--canary", metavar="N|N%", help="Hosts that go first; if one of them fails, no other starts."),
]
CanarySoak = Annotated[
    int | None,
    typer.Option("--canary-soak", min=0, metavar="SECONDS", help="How long the others wait after the first ones."),
]
Parameters = Annotated[
    list[str] | None,
    typer.Option(
        "--parameter",
        "-p",
        metavar="NAME=VALUE",
        help="Any other parameter of REST v1, its value as JSON or plain text; may be given several times.",
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Change nothing; tell what would be done.")]
WatchOption = Annotated[
    bool, typer.Option("--watch", help="Show the progress until it ends; exit 2 unless it succeeds.")
]

_KNOWN_TO_V0 = {"max_unavailable", "max_failures", "version"}
_KINDS_OF_V0 = ("restart", "upgrade", "deploy")


@restart.command("start")
def start_restart(
    ctx: typer.Context,
    name: Name,
    max_unavailable: MaxUnavailable = None,
    max_failures: MaxFailures = None,
    canary: Canary = None,
    canary_soak: CanarySoak = None,
    parameter: Parameters = None,
    dry_run: DryRun = False,
    watch: WatchOption = False,
    output: OutputOption = None,
) -> None:
    """Restart the hosts of a cluster, one after the other unless told otherwise."""
    parameters = _parameters(max_unavailable, max_failures, canary, canary_soak, parameter)
    _start(ctx, name, "restart", parameters, dry_run, watch, output)


@upgrade.command("start")
def start_upgrade(
    ctx: typer.Context,
    name: Name,
    version: Annotated[
        str | None, typer.Argument(metavar="VERSION", help="Ignored: hosts are upgraded to the newest there is.")
    ] = None,
    max_unavailable: MaxUnavailable = None,
    max_failures: MaxFailures = None,
    canary: Canary = None,
    canary_soak: CanarySoak = None,
    security_only: Annotated[bool, typer.Option("--security-only", help="Install security updates only.")] = False,
    package: Annotated[
        list[str] | None,
        typer.Option("--package", metavar="NAME[=VERSION]", help="Only this package; may be given several times."),
    ] = None,
    hold: Annotated[
        list[str] | None,
        typer.Option("--hold", metavar="NAME", help="Leave this package (* and ? match); may be given several times."),
    ] = None,
    snapshot: Annotated[
        str | None,
        typer.Option("--snapshot", metavar="ID", help="The packages of this state of the hosts' repositories."),
    ] = None,
    parameter: Parameters = None,
    dry_run: DryRun = False,
    watch: WatchOption = False,
    output: OutputOption = None,
) -> None:
    """Upgrade the hosts of a cluster, one after the other unless told otherwise."""
    if version is not None:
        tell(f"An upgrade takes no version: {version} is ignored. A version is deployed: commctl cluster deploy start")
    parameters = _parameters(max_unavailable, max_failures, canary, canary_soak, parameter)
    chosen = {"security_only": security_only, "only_packages": package, "hold": hold, "snapshot": snapshot}
    parameters |= {each: value for each, value in chosen.items() if value}
    _start(ctx, name, "upgrade", parameters, dry_run, watch, output)


@deploy.command("start")
def start_deploy(
    ctx: typer.Context,
    name: Name,
    version: Annotated[
        str, typer.Argument(metavar="VERSION", help="The OSTree version, checksum or ref.", show_default=False)
    ],
    max_unavailable: MaxUnavailable = None,
    max_failures: MaxFailures = None,
    canary: Canary = None,
    canary_soak: CanarySoak = None,
    parameter: Parameters = None,
    dry_run: DryRun = False,
    watch: WatchOption = False,
    output: OutputOption = None,
) -> None:
    """Boot a version of the OSTree on the hosts of a cluster, one after the other unless told otherwise."""
    parameters = _parameters(max_unavailable, max_failures, canary, canary_soak, parameter)
    _start(ctx, name, "deploy", {"version": version, **parameters}, dry_run, watch, output)


@kubelet_upgrade.command("start")
def start_kubelet_upgrade(
    ctx: typer.Context,
    name: Name,
    version: Annotated[
        str | None,
        typer.Argument(metavar="VERSION", help="1.35 or 1.35.4 (default: the API server's minor version)."),
    ] = None,
    max_unavailable: MaxUnavailable = None,
    max_failures: MaxFailures = None,
    canary: Canary = None,
    canary_soak: CanarySoak = None,
    parameter: Parameters = None,
    dry_run: DryRun = False,
    watch: WatchOption = False,
    output: OutputOption = None,
) -> None:
    """Upgrade kubelets, by one minor version after the other; each node is drained first."""
    parameters = _parameters(max_unavailable, max_failures, canary, canary_soak, parameter)
    parameters |= {"kubernetes_version": version} if version else {}
    _start(ctx, name, "kubelet_upgrade", parameters, dry_run, watch, output)


@node_leave.command("start")
def start_node_leave(
    ctx: typer.Context,
    name: Name,
    hosts: Annotated[
        list[str],
        typer.Argument(
            metavar="HOST", help="Which hosts: addresses, or labels as zone=a, each perhaps with *.", show_default=False
        ),
    ],
    keep: Annotated[bool, typer.Option("--keep", help="Leave on the hosts what joining put there.")] = False,
    max_unavailable: MaxUnavailable = None,
    max_failures: MaxFailures = None,
    parameter: Parameters = None,
    dry_run: DryRun = False,
    watch: WatchOption = False,
    output: OutputOption = None,
) -> None:
    """Drain nodes, delete them from the container manager, and take from their hosts what joining put there.

    The hosts stay in the cluster.
    """
    parameters = _parameters(max_unavailable, max_failures, None, None, parameter) | {"hosts": hosts}
    parameters |= {"kubernetes_node_reset": False} if keep else {}
    _start(ctx, name, "node_leave", parameters, dry_run, watch, output)


@restart.command("status")
def restart_status(ctx: typer.Context, name: Name, watch: WatchOption = False, output: OutputOption = None) -> None:
    """Show the last restart of a cluster."""
    _status(ctx, name, "restart", watch, output)


@upgrade.command("status")
def upgrade_status(ctx: typer.Context, name: Name, watch: WatchOption = False, output: OutputOption = None) -> None:
    """Show the last upgrade of a cluster."""
    _status(ctx, name, "upgrade", watch, output)


@deploy.command("status")
def deploy_status(ctx: typer.Context, name: Name, watch: WatchOption = False, output: OutputOption = None) -> None:
    """Show the last deploy on a cluster."""
    _status(ctx, name, "deploy", watch, output)


@kubelet_upgrade.command("status")
def kubelet_upgrade_status(
    ctx: typer.Context, name: Name, watch: WatchOption = False, output: OutputOption = None
) -> None:
    """Show the last upgrade of a cluster's kubelets."""
    _newest(ctx, name, "kubelet_upgrade", watch, output)


@node_leave.command("status")
def node_leave_status(ctx: typer.Context, name: Name, watch: WatchOption = False, output: OutputOption = None) -> None:
    """Show how the last hosts left a cluster's container manager."""
    _newest(ctx, name, "node_leave", watch, output)


def _start(
    ctx: typer.Context,
    name: str,
    kind: str,
    parameters: dict[str, Any],
    dry_run: bool,
    watch: bool,
    output: Format | None,
) -> None:
    """Ask by REST v0 for what that can tell, as servers of 0.0.6 understand it, and by v1 for more."""
    either(watch, output)
    client = connect(ctx)
    if dry_run or set(parameters) - _KNOWN_TO_V0 or kind not in _KINDS_OF_V0:
        wanted = {"kind": kind, "cluster": name, "parameters": parameters, "dry_run": dry_run}
        answer = client.post("/api/v1/operations", wanted)
    else:
        answer = client.put(f"/api/v0/cluster/{segment(name)}/{kind}", parameters)
    if watch:
        _watch(client, answer.location)
        return
    show(answer.body, output)
    if answer.location and sys.stdout.isatty():
        tell(f"Watch it: commctl operation watch {answer.location.rpartition('/')[2]}")


def _status(ctx: typer.Context, name: str, kind: str, watch: bool, output: Format | None) -> None:
    either(watch, output)
    client = connect(ctx)
    answer = client.get(f"/api/v0/cluster/{segment(name)}/{kind}")
    if watch:
        _watch(client, answer.location)
    else:
        show(answer.body, output)


def _newest(ctx: typer.Context, name: str, kind: str, watch: bool, output: Format | None) -> None:
    """Show by REST v1 what v0 does not know."""
    from commissaire.commctl.errors import CommctlError

    either(watch, output)
    client = connect(ctx)
    operations = client.get(f"/api/v1/operations?cluster={segment(name)}&kind={kind}&limit=50").body["items"]
    found = [operation for operation in operations if not operation["dry_run"]]
    if not found:
        raise CommctlError(f"cluster {name} has had no {kind}")
    if watch:
        _watch(client, f"/api/v1/operations/{found[0]['id']}")
    else:
        show(found[0], output)


def _watch(client: "Client", location: str) -> None:
    from commissaire.commctl.watch import operation_id, watch

    watch(client, operation_id(location))


def _parameters(
    max_unavailable: str | None,
    max_failures: str | None,
    canary: str | None,
    canary_soak: int | None,
    others: list[str] | None,
) -> dict[str, Any]:
    amounts = {"max_unavailable": max_unavailable, "max_failures": max_failures, "canary": canary}
    given: dict[str, Any] = {name: _amount(text) for name, text in amounts.items() if text is not None}
    if canary_soak is not None:
        given["canary_soak_seconds"] = canary_soak
    return {**parameters_of(others), **given}


def parameters_of(texts: list[str] | None) -> dict[str, Any]:
    """Read what `--parameter` was given: NAME=VALUE each, the value as JSON or plain text."""
    return dict(_parameter(text) for text in texts or [])


def _parameter(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise typer.BadParameter(f"{text!r} is not of the form NAME=VALUE")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _amount(text: str) -> int | str:
    if not re.fullmatch(r"[0-9]{1,9}%?", text):
        raise typer.BadParameter(f"{text!r} is neither a number of hosts nor a percentage like 25%")
    return text if text.endswith("%") else int(text)

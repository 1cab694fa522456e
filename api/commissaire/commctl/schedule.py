"""commctl schedule …"""

from typing import Annotated, Any

import typer

from commissaire.commctl.completion import clusters
from commissaire.commctl.each import delete_each
from commissaire.commctl.output import OutputOption, show
from commissaire.commctl.rolling import DryRun, Parameters, parameters_of
from commissaire.commctl.session import connect, segment

app = typer.Typer(help="Have operations asked for again and again.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="NAME", help="The schedule's name.", show_default=False)]
PATH = "/api/v1/schedules"


@app.command("list")
def list_(ctx: typer.Context, output: OutputOption = None) -> None:
    """Show all schedules: when each is due, and what came of the last time."""
    show(connect(ctx).get(PATH).body["items"], output)


@app.command()
def create(
    ctx: typer.Context,
    name: Name,
    kind: Annotated[
        str,
        typer.Argument(
            metavar="KIND", help="restart, upgrade, deploy, kubelet_upgrade or node_leave.", show_default=False
        ),
    ],
    cluster: Annotated[
        str,
        typer.Argument(metavar="CLUSTER", help="The cluster's name.", show_default=False, autocompletion=clusters),
    ],
    cron: Annotated[str, typer.Option("--cron", metavar="EXPRESSION", help="When: minute, hour, day, month, weekday.")],
    time_zone: Annotated[
        str | None,
        typer.Option("--time-zone", metavar="ZONE", help="Of that, like Europe/Berlin (default: UTC)."),
    ] = None,
    grace_seconds: Annotated[
        int | None,
        typer.Option("--grace-seconds", min=10, metavar="SECONDS", help="How late it may still run (default: 300)."),
    ] = None,
    disabled: Annotated[bool, typer.Option("--disabled", help="Let it not run before it is enabled.")] = False,
    parameter: Parameters = None,
    dry_run: DryRun = False,
    output: OutputOption = None,
) -> None:
    """Have an operation on a cluster asked for again and again."""
    operation = {"kind": kind, "cluster": cluster, "parameters": parameters_of(parameter), "dry_run": dry_run}
    body: dict[str, Any] = {
        "name": name,
        "cron": cron,
        "time_zone": time_zone,
        "grace_seconds": grace_seconds,
        "enabled": not disabled,
        "operation": operation,
    }
    given = {key: value for key, value in body.items() if value is not None}
    show(connect(ctx).post(PATH, given).body, output)


@app.command("show")
def show_(ctx: typer.Context, name: Name, output: OutputOption = None) -> None:
    """Show a schedule: when it is due, and what came of the last time."""
    show(connect(ctx).get(f"{PATH}/{segment(name)}").body, output)


@app.command()
def enable(ctx: typer.Context, name: Name, output: OutputOption = None) -> None:
    """Let a schedule run at its next time."""
    show(connect(ctx).post(f"{PATH}/{segment(name)}/enable").body, output)


@app.command()
def disable(ctx: typer.Context, name: Name, output: OutputOption = None) -> None:
    """Keep a schedule, and let it not run."""
    show(connect(ctx).post(f"{PATH}/{segment(name)}/disable").body, output)


@app.command()
def run(ctx: typer.Context, name: Name, output: OutputOption = None) -> None:
    """Ask for a schedule's operation now, and show that."""
    show(connect(ctx).post(f"{PATH}/{segment(name)}/run").body, output)


@app.command()
def delete(
    ctx: typer.Context,
    names: Annotated[list[str], typer.Argument(metavar="NAME", help="The schedules' names.", show_default=False)],
    output: OutputOption = None,
) -> None:
    """Delete schedules; one that can't be deleted doesn't keep the others."""
    delete_each(connect(ctx), PATH, names, output)

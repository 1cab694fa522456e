"""commctl vm snapshot …"""

from typing import Annotated

import typer

from commissaire.commctl.output import OutputOption, show
from commissaire.commctl.place import Machine, machine
from commissaire.commctl.session import connect, segment

app = typer.Typer(help="Take snapshots of a machine, and go back to them.", no_args_is_help=True)

Snapshot = Annotated[str, typer.Argument(metavar="SNAPSHOT", help="The snapshot's name.", show_default=False)]


@app.command("list")
def list_(ctx: typer.Context, name: Machine, output: OutputOption = None) -> None:
    """Show a machine's snapshots, the oldest first."""
    client = connect(ctx)
    show(client.get(f"{machine(client, name)}/snapshots").body["items"], output)


@app.command()
def create(
    ctx: typer.Context,
    name: Machine,
    snapshot: Snapshot,
    description: Annotated[str, typer.Option("--description", metavar="TEXT", help="What it is for.")] = "",
    output: OutputOption = None,
) -> None:
    """Take a snapshot of a machine's disks, and of its memory when it runs."""
    client = connect(ctx)
    body = {"name": snapshot, "description": description}
    show(client.post(f"{machine(client, name)}/snapshots", body).body, output)


@app.command()
def revert(ctx: typer.Context, name: Machine, snapshot: Snapshot) -> None:
    """Bring a machine back into the state of a snapshot. What came after it is lost."""
    client = connect(ctx)
    client.post(f"{machine(client, name)}/snapshots/{segment(snapshot)}/revert")


@app.command()
def delete(ctx: typer.Context, name: Machine, snapshot: Snapshot) -> None:
    """Delete a snapshot. Those taken after it stay."""
    client = connect(ctx)
    client.delete(f"{machine(client, name)}/snapshots/{segment(snapshot)}")

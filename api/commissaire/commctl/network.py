"""commctl network …"""

from typing import Annotated

import typer

from commissaire.commctl.completion import networks
from commissaire.commctl.each import delete_each
from commissaire.commctl.options import given_options
from commissaire.commctl.output import LongOutputOption, OutputOption, show
from commissaire.commctl.session import connect, segment

app = typer.Typer(help="Create, show and delete the networks that clusters name.", no_args_is_help=True)

Name = Annotated[
    str, typer.Argument(metavar="NAME", help="The network's name.", show_default=False, autocompletion=networks)
]


@app.command()
def create(
    ctx: typer.Context,
    name: Name,
    network_type: Annotated[
        str,
        typer.Option("--type", "-t", metavar="TYPE", help="flannel_etcd, or flannel_server (also: flanneld_service)."),
    ] = "flannel_etcd",
    options: Annotated[
        list[str] | None,
        typer.Option(
            "--options",
            "-o",
            metavar="JSON|KEY=VALUE",
            help="The type's options, as -t flannel_server -o address=10.0.0.1:8080, or in JSON; may be repeated.",
        ),
    ] = None,
    output: LongOutputOption = None,
) -> None:
    """Create a network. The same again changes nothing; another type or other options are refused."""
    body = {"type": network_type, "options": given_options(options)}
    show(connect(ctx).put(f"/api/v0/network/{segment(name)}", body).body, output)


@app.command()
def get(ctx: typer.Context, name: Name, output: OutputOption = None) -> None:
    """Show a network: its type and its options."""
    show(connect(ctx).get(f"/api/v0/network/{segment(name)}").body, output)


@app.command("list")
def list_(ctx: typer.Context, output: OutputOption = None) -> None:
    """Show the names of all networks."""
    show(connect(ctx).get("/api/v0/networks").body, output)


@app.command()
def delete(
    ctx: typer.Context,
    names: Annotated[
        list[str],
        typer.Argument(metavar="NAME", help="The networks' names.", show_default=False, autocompletion=networks),
    ],
    output: OutputOption = None,
) -> None:
    """Delete networks; one that can't be deleted doesn't keep the others."""
    delete_each(connect(ctx), "/api/v0/network", names, output)

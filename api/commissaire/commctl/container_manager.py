"""commctl container_manager …"""

from typing import Annotated

import typer

from commissaire.commctl.completion import container_managers
from commissaire.commctl.each import delete_each
from commissaire.commctl.options import given_options
from commissaire.commctl.output import LongOutputOption, OutputOption, show
from commissaire.commctl.session import connect, segment

app = typer.Typer(
    help="Create, show and delete container managers (Kubernetes, OpenShift), which a cluster's hosts register with.",
    no_args_is_help=True,
)

Name = Annotated[
    str,
    typer.Argument(
        metavar="NAME", help="The container manager's name.", show_default=False, autocompletion=container_managers
    ),
]


@app.command()
def create(
    ctx: typer.Context,
    name: Name,
    manager_type: Annotated[
        str, typer.Option("--type", "-t", metavar="TYPE", help="openshift, kubernetes, or trivial (does nothing).")
    ] = "openshift",
    options: Annotated[
        list[str] | None,
        typer.Option(
            "--options",
            "-o",
            metavar="JSON|KEY=VALUE",
            help="server_url, and token or certificate_path and certificate_key_path; may be repeated.",
        ),
    ] = None,
    output: LongOutputOption = None,
) -> None:
    """Create a container manager. The same again changes nothing; another type or other options are refused."""
    body = {"type": manager_type, "options": given_options(options)}
    show(connect(ctx).put(f"/api/v0/containermanager/{segment(name)}", body).body, output)


@app.command()
def get(ctx: typer.Context, name: Name, output: OutputOption = None) -> None:
    """Show a container manager: its type and its options, the token hidden."""
    show(connect(ctx).get(f"/api/v0/containermanager/{segment(name)}").body, output)


@app.command("list")
def list_(ctx: typer.Context, output: OutputOption = None) -> None:
    """Show the names of all container managers."""
    show(connect(ctx).get("/api/v0/containermanagers").body, output)


@app.command()
def delete(
    ctx: typer.Context,
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="NAME", help="The container managers' names.", show_default=False, autocompletion=container_managers
        ),
    ],
    output: OutputOption = None,
) -> None:
    """Delete container managers that no cluster uses; one that can't be deleted doesn't keep the others."""
    delete_each(connect(ctx), "/api/v0/containermanager", names, output)

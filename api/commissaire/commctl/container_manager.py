"""commctl container_manager …"""

import contextlib
from typing import Annotated, Any

import typer

from commissaire.commctl.completion import container_managers
from commissaire.commctl.each import delete_each
from commissaire.commctl.errors import CommctlError
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
            help="server_url, and token or certificate_path and certificate_key_path; or kubeconfig=@FILE; "
            "may be repeated.",
        ),
    ] = None,
    output: LongOutputOption = None,
) -> None:
    """Create a container manager. The same again changes nothing; another type or other options are refused."""
    body = {"type": manager_type, "options": given_options(options)}
    session = connect(ctx)
    show(session.put(f"/api/v0/containermanager/{segment(name)}", body).body, output)
    if any(key in body["options"] for key in ("server_url", "apiserver", "kubeconfig")):
        with contextlib.suppress(CommctlError):  # a server of an earlier release can't try it
            _tell(session.get(_finding(name)).body)


@app.command()
def check(ctx: typer.Context, name: Name, output: OutputOption = None) -> None:
    """Try a container manager now: whether it answers, its version, and which rights its credentials lack."""
    show(connect(ctx).get(_finding(name)).body, output)


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


def _finding(name: str) -> str:
    return f"/api/v1/container-managers/{segment(name)}/finding"


def _tell(finding: Any) -> None:
    """Say what trying it showed; that refuses nothing, so it is no part of the result."""
    if not finding["reachable"]:
        typer.echo(f"It is recorded, but can't be used now: {finding['error']}", err=True)
    elif finding["version"]:
        typer.echo(f"It answers, and is {finding['version']}.", err=True)
    for function, rights in finding["missing"].items():
        typer.echo(f"Its credentials don't suffice for {function}: they may not {', '.join(rights)}.", err=True)

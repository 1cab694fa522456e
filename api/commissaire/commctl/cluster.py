"""commctl cluster …"""

from typing import Annotated

import typer

from commissaire.commctl import rolling
from commissaire.commctl.completion import clusters, container_managers, networks
from commissaire.commctl.each import delete_each
from commissaire.commctl.output import OutputOption, show
from commissaire.commctl.session import connect, segment

app = typer.Typer(
    help="Create, show and delete clusters, and restart, upgrade and deploy their hosts.", no_args_is_help=True
)
app.add_typer(rolling.restart, name="restart")
app.add_typer(rolling.upgrade, name="upgrade")
app.add_typer(rolling.deploy, name="deploy")
app.add_typer(rolling.kubelet_upgrade, name="kubelet-upgrade")
app.add_typer(rolling.node_leave, name="node-leave")

Name = Annotated[
    str, typer.Argument(metavar="NAME", help="The cluster's name.", show_default=False, autocompletion=clusters)
]


@app.command()
def create(
    ctx: typer.Context,
    name: Name,
    cluster_type: Annotated[
        str, typer.Option("--type", "-t", metavar="TYPE", help="The kind of cluster.")
    ] = "kubernetes",
    network: Annotated[
        str,
        typer.Option("--network", "-n", metavar="NETWORK", help="The network its hosts join.", autocompletion=networks),
    ] = "default",
    container_manager: Annotated[
        str,
        typer.Option(
            "--container-manager",
            "-c",
            metavar="NAME",
            help="The container manager its hosts register with.",
            autocompletion=container_managers,
        ),
    ] = "",
    output: OutputOption = None,
) -> None:
    """Create a cluster, or change the network and container manager of one there is."""
    body = {"type": cluster_type, "network": network, "container_manager": container_manager}
    show(connect(ctx).put(f"/api/v0/cluster/{segment(name)}", body).body, output)


@app.command()
def get(ctx: typer.Context, name: Name, output: OutputOption = None) -> None:
    """Show a cluster: its status, and how many of its hosts are available."""
    show(connect(ctx).get(f"/api/v0/cluster/{segment(name)}").body, output)


@app.command("list")
def list_(ctx: typer.Context, output: OutputOption = None) -> None:
    """Show the names of all clusters."""
    show(connect(ctx).get("/api/v0/clusters").body, output)


@app.command()
def delete(
    ctx: typer.Context,
    names: Annotated[
        list[str],
        typer.Argument(metavar="NAME", help="The clusters' names.", show_default=False, autocompletion=clusters),
    ],
    force: Annotated[
        bool,
        typer.Option(
            "--force", help="Also when hosts are still nodes of the container manager; their nodes stay there then."
        ),
    ] = False,
    output: OutputOption = None,
) -> None:
    """Delete clusters. Their hosts stay known; one that can't be deleted doesn't keep the others."""
    delete_each(connect(ctx), "/api/v0/cluster", names, output, force=force)

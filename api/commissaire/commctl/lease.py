"""commctl lease …"""

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from commissaire.commctl.completion import clusters, hosts
from commissaire.commctl.errors import RefusedError
from commissaire.commctl.output import OutputOption, show, tell
from commissaire.commctl.progress import ENDED
from commissaire.commctl.session import connect

if TYPE_CHECKING:
    from commissaire.commctl.client import Client

app = typer.Typer(
    help="Show and break the leases on hosts, by which runs keep out of each other's way.", no_args_is_help=True
)

PATH = "/api/v1/operations"
POLL_SECONDS = 0.5

Hosts = Annotated[
    list[str] | None,
    typer.Argument(metavar="ADDRESS", help="The hosts' names or IP addresses.", autocompletion=hosts),
]
Cluster = Annotated[
    str | None,
    typer.Option("--cluster", "-c", metavar="CLUSTER", help="All hosts of this cluster.", autocompletion=clusters),
]


@app.command("list")
def list_(ctx: typer.Context, addresses: Hosts = None, cluster: Cluster = None, output: OutputOption = None) -> None:
    """Ask hosts who holds the lease on them."""
    _ask(connect(ctx), {"kind": "lease_show", **_which(addresses, cluster)}, output)


@app.command("break")
def break_(
    ctx: typer.Context,
    addresses: Hosts = None,
    reason: Annotated[
        str,
        typer.Option("--reason", "-r", help="Why; it is on record, and in the hosts' journals.", show_default=False),
    ] = "",
    cluster: Cluster = None,
    output: OutputOption = None,
) -> None:
    """Free hosts whose lease is held by a run that will not come back; if it does, it does nothing more there."""
    if not reason.strip():
        raise typer.BadParameter("say why, by --reason: others read it who wonder where their lease went")
    wanted = {"kind": "lease_break", **_which(addresses, cluster), "parameters": {"reason": reason}}
    _ask(connect(ctx), wanted, output)


def _which(addresses: list[str] | None, cluster: str | None) -> dict[str, Any]:
    if bool(addresses) == (cluster is not None):
        raise typer.BadParameter("name either hosts or, by --cluster, a cluster")
    return {"hosts": addresses} if addresses else {"cluster": cluster}


def _ask(client: "Client", wanted: dict[str, Any], output: Any) -> None:
    """Ask for the operation, wait for it, and show each host's lease; exit 2 when one can't be reached."""
    operation = client.post(PATH, wanted).body
    path = f"{PATH}/{operation['id']}"
    while operation["state"] not in ENDED:
        time.sleep(POLL_SECONDS)
        operation = client.get(path).body
    rows = client.get(f"{path}/hosts").body["items"]
    blank = {"owner": None, "operation_id": None, "token": None, "left_seconds": None}
    show(
        [
            {"address": row["address"], **blank, **row["data"].get("lease", {}), "message": row["message"]}
            for row in rows
        ],
        output,
    )
    if operation["state"] != "finished":
        tell(f"operation {operation['id']} {operation['state']}: {operation['message']}")
        raise typer.Exit(RefusedError.exit_code)

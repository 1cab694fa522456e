"""commctl cluster restart …"""

import re
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from commissaire.commctl.output import Format, OutputOption, show, tell
from commissaire.commctl.session import connect, segment

if TYPE_CHECKING:
    from commissaire.commctl.client import Client

app = typer.Typer(help="Restart a cluster's hosts, never more at once than allowed.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="NAME", help="The cluster's name.", show_default=False)]
WatchOption = Annotated[
    bool, typer.Option("--watch", help="Show the progress until it ends; exit 2 unless it succeeds.")
]


@app.command()
def start(
    ctx: typer.Context,
    name: Name,
    max_unavailable: Annotated[
        str | None,
        typer.Option(metavar="N|N%", help="Hosts out of service at any moment, at most (default: 1)."),
    ] = None,
    max_failures: Annotated[
        str | None,
        typer.Option(metavar="N|N%", help="Failed hosts that don't keep others from being started (default: 0)."),
    ] = None,
    watch: WatchOption = False,
    output: OutputOption = None,
) -> None:
    """Restart the hosts of a cluster, one after the other unless told otherwise."""
    _either(watch, output)
    body = {"max_unavailable": _amount(max_unavailable), "max_failures": _amount(max_failures)}
    client = connect(ctx)
    path = f"/api/v0/cluster/{segment(name)}/restart"
    answer = client.put(path, {key: value for key, value in body.items() if value is not None})
    if watch:
        _watch(client, answer.location)
        return
    show(answer.body, output)
    if answer.location and sys.stdout.isatty():
        tell(f"Watch it: commctl operation watch {answer.location.rpartition('/')[2]}")


@app.command()
def status(ctx: typer.Context, name: Name, watch: WatchOption = False, output: OutputOption = None) -> None:
    """Show the last restart of a cluster."""
    _either(watch, output)
    client = connect(ctx)
    answer = client.get(f"/api/v0/cluster/{segment(name)}/restart")
    if watch:
        _watch(client, answer.location)
    else:
        show(answer.body, output)


def _watch(client: "Client", location: str) -> None:
    from commissaire.commctl.watch import operation_id, watch

    watch(client, operation_id(location))


def _either(watch: bool, output: Format | None) -> None:
    if watch and output:
        raise typer.BadParameter("--watch shows progress, not a result to be formatted; leave one of them out")


def _amount(text: str | None) -> int | str | None:
    if text is None:
        return None
    if not re.fullmatch(r"[0-9]{1,9}%?", text):
        raise typer.BadParameter(f"{text!r} is neither a number of hosts nor a percentage like 25%")
    return text if text.endswith("%") else int(text)

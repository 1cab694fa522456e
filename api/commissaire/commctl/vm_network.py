"""commctl vm-network …"""

from typing import Annotated, Any

import typer

from commissaire.commctl.completion import hypervisors
from commissaire.commctl.output import Format, OutputOption, either, show
from commissaire.commctl.place import full_place, tell_silent
from commissaire.commctl.session import connect

app = typer.Typer(help="Make and show the networks of virtual machines.", no_args_is_help=True)

Place = Annotated[
    str, typer.Argument(metavar="HYPERVISOR/NAME", help="The hypervisor, and the network's name.", show_default=False)
]
Watch = Annotated[bool, typer.Option("--watch", help="Show the progress until it ends; exit 2 unless it succeeds.")]
PATH = "/api/v1/vm-networks"


@app.command("list")
def list_(
    ctx: typer.Context,
    hypervisor: Annotated[
        str | None, typer.Option("--hypervisor", metavar="NAME", help="Only on this one.", autocompletion=hypervisors)
    ] = None,
    output: OutputOption = None,
) -> None:
    """Show the networks of all hypervisors. Those of one that doesn't answer are missing, which is told."""
    page = connect(ctx).get(PATH, {"hypervisor": hypervisor} if hypervisor else None).body
    show(page["items"], output)
    tell_silent(page)


@app.command()
def create(
    ctx: typer.Context,
    name: Place,
    mode: Annotated[
        str | None, typer.Option("--mode", metavar="MODE", help="nat (default), isolated, bridge or openvswitch.")
    ] = None,
    bridge: Annotated[str | None, typer.Option("--bridge", metavar="NAME", help="The hypervisor's bridge.")] = None,
    vlan: Annotated[int | None, typer.Option("--vlan", metavar="TAG", help="The ports' tag, for openvswitch.")] = None,
    address: Annotated[
        str | None, typer.Option("--address", metavar="ADDRESS/PREFIX", help="The hypervisor's own address in it.")
    ] = None,
    dhcp: Annotated[
        str | None, typer.Option("--dhcp", metavar="FIRST-LAST", help="The addresses that are leased.")
    ] = None,
    domain: Annotated[str | None, typer.Option("--domain", metavar="NAME", help="Its DNS domain.")] = None,
    watch: Watch = False,
    output: OutputOption = None,
) -> None:
    """Make a network on a hypervisor."""
    either(watch, output)
    body: dict[str, Any] = {"mode": mode, "bridge": bridge, "vlan": vlan, "address": address, "domain": domain}
    if dhcp is not None:
        first, dash, last = dhcp.partition("-")
        if not dash:
            raise typer.BadParameter(f"{dhcp!r} is not FIRST-LAST")
        body["dhcp"] = {"start": first.strip(), "end": last.strip()}
    client = connect(ctx)
    given = {key: value for key, value in body.items() if value is not None}
    _follow(client, client.post(full_place(PATH, name), given).body, watch, output)


@app.command()
def remove(ctx: typer.Context, name: Place, watch: Watch = False, output: OutputOption = None) -> None:
    """Remove a network from a hypervisor. Machines on it lose their ports' other end."""
    either(watch, output)
    client = connect(ctx)
    _follow(client, client.delete(full_place(PATH, name)).body, watch, output)


def _follow(client: Any, operation: dict[str, Any], watch: bool, output: Format | None) -> None:
    if watch:
        from commissaire.commctl.watch import watch as follow

        follow(client, str(operation["id"]))
    else:
        show(operation, output)

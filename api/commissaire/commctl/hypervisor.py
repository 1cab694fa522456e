"""commctl hypervisor …"""

from typing import Annotated, Any

import typer

from commissaire.commctl.completion import hypervisors
from commissaire.commctl.each import delete_each
from commissaire.commctl.output import OutputOption, show
from commissaire.commctl.session import connect, segment

app = typer.Typer(help="Record the hypervisors that run virtual machines.", no_args_is_help=True)

Name = Annotated[
    str,
    typer.Argument(metavar="NAME", help="The hypervisor's name.", show_default=False, autocompletion=hypervisors),
]
PATH = "/api/v1/hypervisors"
_KEPT = ("uri", "allowed", "virt_type", "pool")


@app.command("list")
def list_(ctx: typer.Context, output: OutputOption = None) -> None:
    """Show all hypervisors, as they are recorded."""
    show(connect(ctx).get(PATH).body["items"], output)


@app.command("show")
def show_(ctx: typer.Context, name: Name, output: OutputOption = None) -> None:
    """Ask a hypervisor whether it can be reached, and for its version."""
    show(connect(ctx).get(f"{PATH}/{segment(name)}").body, output)


@app.command()
def add(
    ctx: typer.Context,
    name: Name,
    uri: Annotated[str, typer.Argument(metavar="URI", help="libvirt's URI of it, like qemu+tls://HOST/system.")],
    virt_type: Annotated[
        str | None, typer.Option("--virt-type", metavar="TYPE", help="How it runs machines: auto, kvm or qemu.")
    ] = None,
    pool: Annotated[str | None, typer.Option("--pool", metavar="POOL", help="The storage pool of their disks.")] = None,
    denied: Annotated[bool, typer.Option("--denied", help="Don't ask it anything before it is allowed.")] = False,
    output: OutputOption = None,
) -> None:
    """Record a hypervisor, or change one."""
    body: dict[str, Any] = {"uri": uri, "virt_type": virt_type, "pool": pool, "allowed": not denied}
    given = {key: value for key, value in body.items() if value is not None}
    show(connect(ctx).put(f"{PATH}/{segment(name)}", given).body, output)


@app.command()
def allow(ctx: typer.Context, name: Name, output: OutputOption = None) -> None:
    """Let a hypervisor be asked."""
    _switch(ctx, name, True, output)


@app.command()
def deny(ctx: typer.Context, name: Name, output: OutputOption = None) -> None:
    """Keep a hypervisor on record, and ask it nothing."""
    _switch(ctx, name, False, output)


@app.command()
def remove(
    ctx: typer.Context,
    names: Annotated[
        list[str],
        typer.Argument(metavar="NAME", help="The hypervisors' names.", show_default=False, autocompletion=hypervisors),
    ],
    output: OutputOption = None,
) -> None:
    """Forget hypervisors; their machines go on. One that can't be forgotten doesn't keep the others."""
    delete_each(connect(ctx), PATH, names, output)


def _switch(ctx: typer.Context, name: str, allowed: bool, output: OutputOption) -> None:
    client = connect(ctx)
    items = client.get(PATH).body["items"]
    found = next((one for one in items if one["name"] == name), None)
    if found is None:
        client.get(f"{PATH}/{segment(name)}")  # says that there is none
        return
    body = {**{key: found[key] for key in _KEPT}, "allowed": allowed}
    show(client.put(f"{PATH}/{segment(name)}", body).body, output)

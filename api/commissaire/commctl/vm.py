"""commctl vm …"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from commissaire.commctl import vm_snapshot
from commissaire.commctl.completion import hypervisors
from commissaire.commctl.errors import CommctlError, RefusedError
from commissaire.commctl.output import Format, OutputOption, either, printable, say, show, tell
from commissaire.commctl.place import MACHINES, Machine, Machines, each, machine, tell_silent
from commissaire.commctl.session import connect
from commissaire.commctl.vm_create import create

app = typer.Typer(help="Make, show and switch virtual machines.", no_args_is_help=True)

_POWER = {
    "start": "Switch machines on.",
    "shutdown": "Ask machines to switch themselves off.",
    "reboot": "Ask machines to restart.",
    "poweroff": "Switch machines off at once.",
    "reset": "Restart machines at once.",
    "suspend": "Stop the processors of machines.",
    "resume": "Let the processors of machines go on.",
}
_LATE_SECONDS = 30.0


@app.command("list")
def list_(
    ctx: typer.Context,
    hypervisor: Annotated[
        str | None, typer.Option("--hypervisor", metavar="NAME", help="Only on this one.", autocompletion=hypervisors)
    ] = None,
    owner: Annotated[str | None, typer.Option("--owner", metavar="NAME", help="Only of this owner.")] = None,
    state: Annotated[str | None, typer.Option("--state", metavar="STATE", help="Only so, like running.")] = None,
    network: Annotated[str | None, typer.Option("--network", metavar="NAME", help="Only with a port on it.")] = None,
    name: Annotated[str | None, typer.Option("--name", metavar="PATTERN", help="Only called so; * matches.")] = None,
    output: OutputOption = None,
) -> None:
    """Show the machines of all hypervisors. Those of one that doesn't answer are missing, which is told."""
    given = {"hypervisor": hypervisor, "owner": owner, "state": state, "network": network, "name": name}
    query: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    client, found = connect(ctx), list[Any]()
    while True:
        page = client.get(MACHINES, query).body
        found += page["items"]
        if page["next"] is None:
            break
        query["after"] = page["next"]
    show(found, output)
    tell_silent(page)


@app.command("show")
def show_(ctx: typer.Context, name: Machine, output: OutputOption = None) -> None:
    """Show a machine: its state, addresses, disks, ports and snapshots."""
    client = connect(ctx)
    show(client.get(machine(client, name)).body, output)


app.command()(create)


@app.command()
def remove(
    ctx: typer.Context,
    name: Machine,
    keep_disks: Annotated[bool, typer.Option("--keep-disks", help="Let the disks stay in their pools.")] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Show the progress until it ends; exit 2 unless it succeeds.")
    ] = False,
    output: OutputOption = None,
) -> None:
    """Power a machine off, and remove it with its disks."""
    either(watch, output)
    client = connect(ctx)
    operation = client.delete(machine(client, name) + ("?keep_disks=true" if keep_disks else "")).body
    if watch:
        from commissaire.commctl.watch import watch as follow

        follow(client, str(operation["id"]))
    else:
        show(operation, output)


def _power(action: str) -> Callable[..., None]:
    def act(ctx: typer.Context, names: Machines, output: OutputOption = None) -> None:
        client = connect(ctx)
        done = each(names, lambda name: client.post(f"{machine(client, name)}/{action}").body)
        if done:
            show([{key: one[key] for key in ("hypervisor", "name", "state")} for one in done], output)
        if len(done) < len(names):
            raise typer.Exit(RefusedError.exit_code)

    return act


for _action, _help in _POWER.items():
    app.command(_action, help=f"{_help} One that is refused doesn't keep the others.")(_power(_action))


@app.command()
def console(
    ctx: typer.Context,
    name: Machine,
    seconds: Annotated[
        int | None, typer.Option("--seconds", min=1, max=60, help="Only listen, for so long; nothing can be typed.")
    ] = None,
) -> None:
    """Be at a machine's serial console; Ctrl-] leaves it. What it said before is not shown."""
    client = connect(ctx)
    place = machine(client, name)
    if seconds is None:
        from commissaire.commctl.attach import attach

        client.get(place)  # so that the endpoint is known that answers
        attach(client, f"{place}/console/attach")
        return
    said = client.read(f"{place}/console", {"seconds": seconds}, seconds + _LATE_SECONDS)
    say(printable(said.decode(errors="replace").replace("\r\n", "\n"), keep="\n\t"))


@app.command()
def screenshot(
    ctx: typer.Context,
    name: Machine,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The PNG to write.", show_default=False)],
) -> None:
    """Write what a machine's screen shows into a file, as PNG."""
    client = connect(ctx)
    picture = client.read(f"{machine(client, name)}/screenshot")
    try:
        file.write_bytes(picture)
    except OSError as error:
        raise CommctlError(f"the picture can't be written to {file}: {error.strerror}; name another file") from None


@app.command()
def events(
    ctx: typer.Context,
    hypervisor: Annotated[
        str | None, typer.Option("--hypervisor", metavar="NAME", help="Only on this one.", autocompletion=hypervisors)
    ] = None,
    name: Annotated[str | None, typer.Option("--name", metavar="PATTERN", help="Only called so; * matches.")] = None,
    seconds: Annotated[int | None, typer.Option("--seconds", min=1, help="End after so long.")] = None,
    output: OutputOption = None,
) -> None:
    """Tell what happens to machines, as it happens, until Ctrl-C. With -o json an object a line."""
    from urllib.parse import urlencode

    from commissaire.commctl.events import parse

    if output not in (None, Format.JSON):
        raise typer.BadParameter("events come a line each; -o json is the only other form")
    query = {"hypervisor": hypervisor, "name": name, "seconds": seconds}
    given = urlencode({key: value for key, value in query.items() if value is not None})
    with connect(ctx).stream(f"{MACHINES}/events?{given}", {"Accept": "text/event-stream"}) as chunks:
        try:
            for event in parse(chunks):
                say(_told(event.name, event.data, output))
        except KeyboardInterrupt:
            tell("No longer listening.")
            raise typer.Exit(130) from None
    sys.stdout.flush()


def _told(kind: str, data: dict[str, Any], output: Format | None) -> str:
    if output is Format.JSON:
        import json

        return json.dumps({"type": kind, **data})
    if kind == "lost":
        return f"{data.get('lost')} events were lost: list the machines anew"
    time, where = str(data.get("time", ""))[11:19], data.get("hypervisor")
    if kind == "hypervisor":
        return printable(f"{time}  {where}: {data.get('silent') or 'tells'}")
    return printable(f"{time}  {where}/{data.get('machine')}  {data.get('event')}")


app.add_typer(vm_snapshot.app, name="snapshot")

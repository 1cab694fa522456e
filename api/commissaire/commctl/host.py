"""commctl host …"""

from pathlib import Path
from typing import Annotated

import typer

from commissaire.commctl.completion import clusters, hosts
from commissaire.commctl.each import ask_each, delete_each, exit_if_refused
from commissaire.commctl.failure import tell_number, tell_reason, tell_retry
from commissaire.commctl.keys import host_key, private_key
from commissaire.commctl.output import OutputOption, either, show
from commissaire.commctl.session import connect, segment

app = typer.Typer(help="Add, show and remove hosts, and put them into clusters.", no_args_is_help=True)

Address = Annotated[
    str,
    typer.Argument(metavar="ADDRESS", help="The host's name or IP address.", show_default=False, autocompletion=hosts),
]
Addresses = Annotated[
    list[str],
    typer.Argument(
        metavar="ADDRESS", help="The hosts' names or IP addresses.", show_default=False, autocompletion=hosts
    ),
]
Cluster = Annotated[
    str, typer.Argument(metavar="CLUSTER", help="The cluster's name.", show_default=False, autocompletion=clusters)
]

Force = Annotated[
    bool,
    typer.Option("--force", help="Also when it is still a node of the container manager; its node stays there then."),
]


@app.command()
def create(
    ctx: typer.Context,
    address: Address,
    keyfile: Annotated[
        Path, typer.Argument(metavar="KEYFILE", help="File with the private key for the host.", show_default=False)
    ],
    cluster: Annotated[
        str | None,
        typer.Option("--cluster", "-c", metavar="CLUSTER", help="The cluster to put it into.", autocompletion=clusters),
    ] = None,
    remote_user: Annotated[
        str | None,
        typer.Option("--remote-user", "-u", metavar="USER", help="Who to sign in as (default: root)."),
    ] = None,
    ssh_host_key: Annotated[
        str | None,
        typer.Option(
            metavar="KEY", help='The host\'s own public key, "ssh-ed25519 AAAA..." (default: the first one seen).'
        ),
    ] = None,
    watch: Annotated[
        bool, typer.Option("--watch", "--wait", help="Wait until the host can be used; exit 2 when it fails.")
    ] = False,
    output: OutputOption = None,
) -> None:
    """Add a host; the server then investigates and bootstraps it."""
    either(watch, output)
    body = {
        "ssh_priv_key": private_key(keyfile),
        "cluster": cluster,
        "remote_user": remote_user,
        "ssh_host_key": ssh_host_key and host_key(ssh_host_key),
    }
    client = connect(ctx)
    answer = client.put(f"/api/v0/host/{segment(address)}", {key: value for key, value in body.items() if value})
    if watch:
        from commissaire.commctl.arrival import wait_for

        wait_for(client, [address])
    else:
        show(answer.body, output)


@app.command()
def get(ctx: typer.Context, address: Address, output: OutputOption = None) -> None:
    """Show a host."""
    client = connect(ctx)
    host = client.get(f"/api/v0/host/{segment(address)}").body
    show(host, output)
    tell_reason(client, address, host)


@app.command("list")
def list_(
    ctx: typer.Context,
    cluster: Annotated[
        str | None,
        typer.Argument(
            metavar="CLUSTER", help="Only the addresses in this cluster.", show_default=False, autocompletion=clusters
        ),
    ] = None,
    output: OutputOption = None,
) -> None:
    """Show all hosts, or the addresses of a cluster's."""
    path = "/api/v0/hosts" if cluster is None else f"/api/v0/cluster/{segment(cluster)}/hosts"
    hosts = connect(ctx).get(path).body
    show(hosts, output)
    tell_number(hosts)


@app.command()
def status(ctx: typer.Context, address: Address, output: OutputOption = None) -> None:
    """Show a host's status, and what its container manager says of it."""
    client = connect(ctx)
    record = client.get(f"/api/v0/host/{segment(address)}/status").body
    show(record, output)
    tell_reason(client, address, record.get("host") if isinstance(record, dict) else None)


@app.command()
def bootstrap(
    ctx: typer.Context,
    addresses: Addresses,
    watch: Annotated[
        bool, typer.Option("--watch", "--wait", help="Wait until the hosts can be used; exit 2 when one fails.")
    ] = False,
    output: OutputOption = None,
) -> None:
    """Investigate and bootstrap hosts again, such as failed ones; one that is refused doesn't keep the others."""
    either(watch, output)
    client = connect(ctx)
    begun = ask_each(client.post, "/api/v1/hosts/{}/bootstrap", addresses)
    if watch:
        from commissaire.commctl.arrival import wait_for

        wait_for(client, [*begun])
    elif begun:
        show([{"address": address, "operation": answer["id"]} for address, answer in begun.items()], output)
    exit_if_refused(addresses, begun)


@app.command()
def check(ctx: typer.Context, addresses: Addresses, output: OutputOption = None) -> None:
    """Have hosts checked now; one that is refused doesn't keep the others."""
    asked = ask_each(connect(ctx).post, "/api/v1/hosts/{}/check", addresses)
    if asked:
        show([*asked.values()], output)
    exit_if_refused(addresses, asked)


@app.command()
def uncordon(
    ctx: typer.Context,
    addresses: Addresses,
    force: Annotated[
        bool, typer.Option("--force", help="Also when the server does not know whether the run has ended.")
    ] = False,
    output: OutputOption = None,
) -> None:
    """Let pods come again to the nodes of hosts that an operation left cordoned."""
    asked = ask_each(connect(ctx).post, f"/api/v1/hosts/{{}}/uncordon{'?force=true' if force else ''}", addresses)
    if asked:
        show([*asked.values()], output)
    exit_if_refused(addresses, asked)


@app.command()
def label(
    ctx: typer.Context,
    address: Address,
    changes: Annotated[
        list[str],
        typer.Argument(metavar="CHANGE", help="KEY=VALUE sets a label, KEY- takes it away.", show_default=False),
    ],
    output: OutputOption = None,
) -> None:
    """Change labels of a host, as kubectl label does."""
    labels = dict(_label_change(change) for change in changes)
    show(connect(ctx).post(f"/api/v1/hosts/{segment(address)}/labels", {"labels": labels}).body, output)


@app.command()
def delete(ctx: typer.Context, addresses: Addresses, force: Force = False, output: OutputOption = None) -> None:
    """Remove hosts from Commissaire, and from their clusters; one that can't be removed doesn't keep the others."""
    delete_each(connect(ctx), "/api/v0/host", addresses, output, force=force)


@app.command()
def join(ctx: typer.Context, address: Address, cluster: Cluster, output: OutputOption = None) -> None:
    """Put a host into a cluster."""
    show(connect(ctx).put(_membership(address, cluster)).body, output)


@app.command()
def unjoin(
    ctx: typer.Context, address: Address, cluster: Cluster, force: Force = False, output: OutputOption = None
) -> None:
    """Take a host out of a cluster."""
    show(connect(ctx).delete(_membership(address, cluster) + ("?force=true" if force else "")).body, output)


@app.command("accept-key")
def accept_key(
    ctx: typer.Context,
    address: Address,
    key: Annotated[
        str | None,
        typer.Argument(
            metavar="KEY", help='The new host key, "ssh-ed25519 AAAA...". Without it, the next one seen is kept.'
        ),
    ] = None,
    output: OutputOption = None,
) -> None:
    """Accept that a host's SSH key has changed, as after a reinstallation."""
    body = {"host_key": key and host_key(key)}
    host = connect(ctx).put(f"/api/v1/hosts/{segment(address)}/host-key", body).body
    show(host, output)
    tell_retry(address, host)


@app.command(context_settings={"allow_interspersed_args": False})
def ssh(
    ctx: typer.Context,
    address: Address,
    arguments: Annotated[
        list[str] | None,
        typer.Argument(metavar="ARGUMENT", help="What ssh gets, untouched: its options, and a command to run there."),
    ] = None,
) -> None:
    """Sign in to a host by ssh, with the key that the server has. Exits as ssh does."""
    from commissaire.commctl.ssh import login_of
    from commissaire.commctl.ssh import ssh as run

    raise typer.Exit(run(login_of(connect(ctx), address), arguments or []))


def _membership(address: str, cluster: str) -> str:
    return f"/api/v0/cluster/{segment(cluster)}/hosts/{segment(address)}"


def _label_change(text: str) -> tuple[str, str | None]:
    key, equals, value = text.partition("=")
    if equals and key:
        return key, value
    if text.endswith("-") and len(text) > 1:
        return text[:-1], None
    raise typer.BadParameter(f"{text!r} is neither KEY=VALUE nor KEY-")

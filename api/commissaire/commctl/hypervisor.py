"""commctl hypervisor …"""

from pathlib import Path
from typing import Annotated, Any

import typer

from commissaire.commctl.completion import hypervisors
from commissaire.commctl.each import delete_each
from commissaire.commctl.errors import CommctlError
from commissaire.commctl.files import read_text
from commissaire.commctl.keys import host_key, private_key
from commissaire.commctl.output import OutputOption, either, show
from commissaire.commctl.prompt import ask_password
from commissaire.commctl.session import connect, segment

app = typer.Typer(help="Record the hypervisors that run virtual machines.", no_args_is_help=True)

Name = Annotated[
    str,
    typer.Argument(metavar="NAME", help="The hypervisor's name.", show_default=False, autocompletion=hypervisors),
]
PATH = "/api/v1/hypervisors"
STDIN = Path("-")
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
    ssh_key: Annotated[
        Path | None, typer.Option("--ssh-key", metavar="FILE", help="For qemu+ssh: the private key.")
    ] = None,
    ssh_host_key: Annotated[
        list[str] | None,
        typer.Option(
            "--ssh-host-key",
            metavar="KEY",
            help='With it: a key of its SSH server, "ssh-ed25519 AAAA..."; may be given several times.',
        ),
    ] = None,
    ca: Annotated[
        Path | None, typer.Option("--ca", metavar="FILE", help="For qemu+tls: whose its certificate may be, in PEM.")
    ] = None,
    certificate: Annotated[
        Path | None, typer.Option("--certificate", metavar="FILE", help="With it: our own certificate, in PEM.")
    ] = None,
    certificate_key: Annotated[
        Path | None, typer.Option("--certificate-key", metavar="FILE", help="With that: its private key, in PEM.")
    ] = None,
    username: Annotated[
        str | None,
        typer.Option("--username", metavar="NAME", help="For SASL: who signs in; the password is asked for."),
    ] = None,
    password_file: Annotated[
        Path | None,
        typer.Option("--password-file", metavar="FILE", help="Its first line is the password; - is standard input."),
    ] = None,
    forget_credentials: Annotated[
        bool, typer.Option("--forget-credentials", help="Forget the credentials that it has.")
    ] = False,
    output: OutputOption = None,
) -> None:
    """Record a hypervisor, or change one. Credentials take the place of all those it had."""
    body: dict[str, Any] = {"uri": uri, "virt_type": virt_type, "pool": pool, "allowed": not denied}
    files = {"tls_ca": ca, "tls_certificate": certificate, "tls_key": certificate_key}
    credentials: dict[str, Any] = {
        name: read_text(path, name.replace("_", " ")) for name, path in files.items() if path is not None
    }
    if ssh_key is not None:
        credentials["ssh_priv_key"] = private_key(ssh_key)
    if ssh_host_key:
        credentials["ssh_host_keys"] = [host_key(key) for key in ssh_host_key]
    if username is not None:
        credentials |= {"username": username, "password": _password(password_file)}
    elif password_file is not None:
        raise CommctlError("--password-file belongs to --username; give both")
    if credentials and forget_credentials:
        raise CommctlError("give credentials, or --forget-credentials, not both")
    body["credentials"] = credentials or ({} if forget_credentials else None)
    given = {key: value for key, value in body.items() if value is not None}
    show(connect(ctx).put(f"{PATH}/{segment(name)}", given).body, output)


@app.command()
def probe(
    ctx: typer.Context,
    name: Name,
    watch: Annotated[
        bool, typer.Option("--watch", help="Show the progress until it ends; exit 2 unless it succeeds.")
    ] = False,
    output: OutputOption = None,
) -> None:
    """See by what a hypervisor runs machines, by starting a small guest there; show tells it then."""
    either(watch, output)
    client = connect(ctx)
    operation = client.post(f"{PATH}/{segment(name)}/probe").body
    if watch:
        from commissaire.commctl.watch import watch as follow

        follow(client, str(operation["id"]))
    else:
        show(operation, output)


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


def _password(path: Path | None) -> str:
    """Return the password in a file, or the one that is typed. An argument would be everybody's to see."""
    if path is None or path == STDIN:
        return ask_password()
    line = read_text(path, "password file").partition("\n")[0].removesuffix("\r")
    if not line:
        raise CommctlError(f"the first line of {path} is empty; write the password there")
    return line


def _switch(ctx: typer.Context, name: str, allowed: bool, output: OutputOption) -> None:
    client = connect(ctx)
    items = client.get(PATH).body["items"]
    found = next((one for one in items if one["name"] == name), None)
    if found is None:
        client.get(f"{PATH}/{segment(name)}")  # says that there is none
        return
    body = {**{key: found[key] for key in _KEPT}, "allowed": allowed}
    show(client.put(f"{PATH}/{segment(name)}", body).body, output)

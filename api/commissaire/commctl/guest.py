"""commctl guest …"""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from commissaire.commctl.errors import CommctlError
from commissaire.commctl.guest_client import Domid, Guest, Transport, ask, write
from commissaire.commctl.guest_input import (
    Source,
    new_password,
    read_environment,
    read_network,
    read_source,
    write_target,
)
from commissaire.commctl.output import OutputOption, show, tell, warn
from commissaire.commctl.transfer import Transfer

app = typer.Typer(help="Reach into virtual machines, by their guest agents.", no_args_is_help=True)

_MD5_DIGITS = 32
FilePath = Annotated[str, typer.Argument(metavar="PATH", help="The file in the machine.", show_default=False)]


@app.command()
def info(
    ctx: typer.Context, machine: Guest, transport: Transport = None, domid: Domid = None, output: OutputOption = None
) -> None:
    """Show what a machine's agent tells of the machine and of itself."""
    show(ask(ctx, "GET", machine, "info", transport, domid).json(), output)


@app.command()
def cat(ctx: typer.Context, machine: Guest, path: FilePath, transport: Transport = None, domid: Domid = None) -> None:
    """Print a file of a machine's; at a terminal without its control characters."""
    write(ask(ctx, "GET", machine, "files", transport, domid, query={"path": path}).content)


@app.command()
def get(
    ctx: typer.Context,
    machine: Guest,
    path: FilePath,
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="Where to; the same name here by default.", show_default=False)
    ] = None,
    transport: Transport = None,
    domid: Domid = None,
) -> None:
    """Fetch a file of a machine's. A new one is for you alone to read."""
    target = file or Path(path.rstrip("/").rpartition("/")[2])
    progress = Transfer("received")
    try:
        reply = ask(ctx, "GET", machine, "files", transport, domid, query={"path": path}, received=progress)
    finally:
        progress.end()
    write_target(target, reply.content)


@app.command()
def put(
    ctx: typer.Context,
    machine: Guest,
    file: Source,
    path: FilePath,
    mode: Annotated[str | None, typer.Option("--mode", metavar="OCTAL", help="Its mode, such as 0640.")] = None,
    owner: Annotated[str | None, typer.Option("--owner", metavar="USER", help="Whose it is.")] = None,
    group: Annotated[str | None, typer.Option("--group", metavar="GROUP", help="The group it belongs to.")] = None,
    transport: Transport = None,
    domid: Domid = None,
) -> None:
    """Write a file of a machine's."""
    content = read_source(file)
    progress = Transfer("sent", then="the agent writes it")
    query = {"path": path, "mode": mode, "owner": owner, "group": group}
    try:
        ask(
            ctx, "PUT", machine, "files", transport, domid, query=query, content=content,
            sent=lambda done: progress(done, len(content)),
        )  # fmt: skip
    finally:
        progress.end()


@app.command()
def password(
    ctx: typer.Context,
    machine: Guest,
    user: Annotated[str, typer.Option("--user", metavar="USER", help="Whose password.")] = "root",
    password_file: Annotated[
        Path | None, typer.Option("--password-file", metavar="FILE", help="Take the first line of this file.")
    ] = None,
    crypted: Annotated[bool, typer.Option("--crypted", help="It is a hash of crypt(5) already.")] = False,
    transport: Transport = None,
    domid: Domid = None,
) -> None:
    """Give a user of a machine's a password: typed twice, or the first line of a file or of standard input."""
    body = {"user": user, "password": new_password(password_file), "crypted": crypted}
    ask(ctx, "PUT", machine, "password", transport, domid, body=body)


@app.command()
def network(
    ctx: typer.Context,
    machine: Guest,
    file: Annotated[
        Path | None,
        typer.Argument(metavar="FILE", help="YAML or JSON with hostname and interfaces; - reads standard input."),
    ] = None,
    hostname: Annotated[str | None, typer.Option("--hostname", metavar="NAME", help="What it is called.")] = None,
    transport: Transport = None,
    domid: Domid = None,
    output: OutputOption = None,
) -> None:
    """Give a machine its name, and addresses to its interfaces."""
    body = read_network(file, hostname)
    show(ask(ctx, "POST", machine, "network", transport, domid, body=body).json(), output)


@app.command("exec", context_settings={"allow_interspersed_args": False})
def exec_(
    ctx: typer.Context,
    machine: Guest,
    argv: Annotated[
        list[str], typer.Argument(metavar="COMMAND", help="The program and its arguments.", show_default=False)
    ],
    stdin: Annotated[bool, typer.Option("--stdin", help="Let it read our standard input, to its end.")] = False,
    env: Annotated[
        list[str] | None, typer.Option("--env", metavar="NAME=VALUE", help="A variable of its environment.")
    ] = None,
    timeout: Annotated[int, typer.Option("--timeout", min=1, max=3600, help="How many seconds it may take.")] = 60,
    transport: Transport = None,
    domid: Domid = None,
) -> None:
    """Run a command in a machine; end with its exit code. Our options come before MACHINE."""
    body: dict[str, Any] = {"argv": argv, "timeout_seconds": timeout}
    if env:
        body["environment"] = read_environment(env)
    if stdin:
        try:
            body["stdin"] = sys.stdin.buffer.read().decode()
        except UnicodeDecodeError:
            raise CommctlError("standard input is no UTF-8; put it into a file of the machine's (guest put)") from None
    result = ask(ctx, "POST", machine, "command", transport, domid, body=body).json()
    write(result["stdout"].encode())
    write(result["stderr"].encode(), sys.stderr)
    if result.get("truncated"):
        warn("it printed more than its agent keeps; the rest is lost")
    if result.get("replaced"):
        warn("some of what it printed is no UTF-8 and was replaced; let it write a file, and fetch that (guest get)")
    raise typer.Exit(min(max(int(result["rc"]), 0), 255))


@app.command()
def update(
    ctx: typer.Context,
    machine: Guest,
    url: Annotated[
        str | None,
        typer.Option("--url", metavar="URL", help="Where the machine fetches it; by default it is sent ours."),
    ] = None,
    checksum: Annotated[
        str | None, typer.Option("--checksum", metavar="HEX", help="The MD5 or SHA-256 of the program at the URL.")
    ] = None,
    signature: Annotated[
        str | None, typer.Option("--signature", metavar="BASE64", help="Its signature, where the agent wants one.")
    ] = None,
    version: Annotated[
        str | None, typer.Option("--version", metavar="VERSION", help="Its version; nothing is done to who has that.")
    ] = None,
    transport: Transport = None,
    domid: Domid = None,
    output: OutputOption = None,
) -> None:
    """Have a machine's agent replace itself by a newer program."""
    kind = "md5" if checksum is not None and len(checksum) == _MD5_DIGITS else "sha256"
    given = {"url": url, kind: checksum, "signature": signature, "version": version}
    body = {key: value for key, value in given.items() if value is not None}
    show(ask(ctx, "POST", machine, "agent", transport, domid, body=body).json(), output)


@app.command()
def install(
    ctx: typer.Context,
    machine: Guest,
    functions: Annotated[
        list[str] | None,
        typer.Option("--function", metavar="FUNCTION", help="What it does; everything when none is given."),
    ] = None,
    replace_qemu: Annotated[
        bool, typer.Option("--replace-qemu", help="Let it take the port of the QEMU guest agent that is there.")
    ] = False,
    output: OutputOption = None,
) -> None:
    """Install our agent in a machine that has a QEMU guest agent, by way of that."""
    body: dict[str, Any] = {"action": "install", "functions": functions or [], "replace_qemu": replace_qemu}
    tell("Installing; this may take a minute.")
    show(ask(ctx, "POST", machine, "agent", None, None, body=body).json(), output)

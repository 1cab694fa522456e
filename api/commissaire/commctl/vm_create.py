"""commctl vm create."""

from pathlib import Path
from typing import Annotated, Any

import typer

from commissaire.commctl.errors import CommctlError
from commissaire.commctl.files import read_text
from commissaire.commctl.keys import private_key
from commissaire.commctl.output import OutputOption, either, show
from commissaire.commctl.place import MACHINES, full_place
from commissaire.commctl.rolling import Parameters, parameters_of
from commissaire.commctl.session import connect


def create(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="HYPERVISOR/NAME", help="Where, and its name.", show_default=False)],
    memory: Annotated[int | None, typer.Option("--memory", "-m", min=1, metavar="MB", help="Its memory.")] = None,
    vcpus: Annotated[int | None, typer.Option("--vcpus", min=1, help="Its processors.")] = None,
    disk: Annotated[
        list[float] | None, typer.Option("--disk", metavar="GB", help="A disk's size; may be given several times.")
    ] = None,
    network: Annotated[
        list[str] | None, typer.Option("--network", metavar="NAME", help="A port on it; may be given several times.")
    ] = None,
    location: Annotated[str | None, typer.Option("--location", metavar="URL", help="The installer's tree.")] = None,
    kernel_args: Annotated[str | None, typer.Option("--kernel-args", help="What its kernel is told.")] = None,
    backing: Annotated[
        str | None, typer.Option("--backing", metavar="VOLUME", help="The first disk is a copy on write of it.")
    ] = None,
    image: Annotated[
        str | None, typer.Option("--image", metavar="FILE", help="The first disk's image, a file of the server.")
    ] = None,
    pool: Annotated[str | None, typer.Option("--pool", metavar="POOL", help="The storage pool of its disks.")] = None,
    firmware: Annotated[str | None, typer.Option("--firmware", metavar="KIND", help="bios or uefi.")] = None,
    owner: Annotated[str | None, typer.Option("--owner", metavar="NAME", help="Whose it is.")] = None,
    autostart: Annotated[bool, typer.Option("--autostart", help="Start it with the hypervisor.")] = False,
    user: Annotated[str | None, typer.Option("--user", metavar="NAME", help="A user that cloud-init makes.")] = None,
    ssh_key: Annotated[
        list[Path] | None, typer.Option("--ssh-key", metavar="FILE", help="That user's public keys; may be repeated.")
    ] = None,
    user_data: Annotated[
        Path | None, typer.Option("--user-data", metavar="FILE", help="A #cloud-config. Others may read it.")
    ] = None,
    network_config: Annotated[
        Path | None, typer.Option("--network-config", metavar="FILE", help="cloud-init's network configuration.")
    ] = None,
    cluster: Annotated[
        str | None, typer.Option("--cluster", metavar="NAME", help="Record it as a host, and let it join the cluster.")
    ] = None,
    as_host: Annotated[bool, typer.Option("--as-host", help="Record it as a host that is in no cluster.")] = False,
    host_key_file: Annotated[
        Path | None,
        typer.Option("--host-key", metavar="FILE", help="The private key it is reached by. Default a new one."),
    ] = None,
    until: Annotated[
        str | None, typer.Option("--until", metavar="STAGE", help="When it is done: created, started or reachable.")
    ] = None,
    parameter: Parameters = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Show the progress until it ends; exit 2 unless it succeeds.")
    ] = False,
    output: OutputOption = None,
) -> None:
    """Make a machine, and have it installed."""
    either(watch, output)
    body: dict[str, Any] = {
        "memory_mb": memory,
        "vcpus": vcpus,
        "disks_gb": disk,
        "networks": network,
        "location": location,
        "kernel_args": kernel_args,
        "backing": backing,
        "image": image,
        "pool": pool,
        "firmware": firmware,
        "owner": owner,
        "autostart": autostart or None,
        "user": user,
        "authorized_keys": _keys(ssh_key or []),
        "user_data": _yaml(user_data, "user-data"),
        "network_config": _yaml(network_config, "network configuration"),
        "until": until,
        "host": _host(cluster, as_host, host_key_file),
    }
    given = {key: value for key, value in body.items() if value not in (None, [])}
    client = connect(ctx)
    operation = client.post(full_place(MACHINES, name), {**given, **parameters_of(parameter)}).body
    if watch:
        from commissaire.commctl.watch import watch as follow

        follow(client, str(operation["id"]))
    else:
        show(operation, output)


def _host(cluster: str | None, as_host: bool, key: Path | None) -> dict[str, str] | None:
    """Return what the body says of the host that the machine becomes; None for no host."""
    if cluster is None and not as_host:
        if key is not None:
            raise CommctlError("--host-key is for a machine that becomes a host; say --cluster NAME or --as-host, too")
        return None
    encoded = {} if key is None else {"ssh_priv_key": private_key(key)}
    return {**({} if cluster is None else {"cluster": cluster}), **encoded}


def _keys(files: list[Path]) -> list[str]:
    lines = [line.strip() for file in files for line in read_text(file, "public key").splitlines()]
    keys = [line for line in lines if line and not line.startswith("#")]
    if any("PRIVATE KEY" in key for key in keys):
        raise CommctlError("--ssh-key names a private key; give the public one, the file with .pub at its end")
    return keys


def _yaml(file: Path | None, what: str) -> dict[str, Any] | None:
    if file is None:
        return None
    from commissaire.commctl.plain_yaml import YAMLError, load

    try:
        read = load(read_text(file, what))
    except YAMLError as error:
        raise CommctlError(f"the {what} {file} is no YAML: {error}") from None
    if not isinstance(read, dict):
        raise CommctlError(f"the {what} {file} is no YAML mapping")
    return read

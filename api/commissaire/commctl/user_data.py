"""commctl user-data"""

from pathlib import Path
from typing import Annotated

import typer

from commissaire.commctl.completion import clusters
from commissaire.commctl.output import say, warn
from commissaire.commctl.session import configuration_path


def user_data(
    ctx: typer.Context,
    outfile: Annotated[
        Path | None, typer.Argument(metavar="OUTFILE", help="The same as --outfile.", show_default=False)
    ] = None,
    endpoint: Annotated[
        str | None,
        typer.Option("--endpoint", "-e", metavar="URL", help="The server, as the hosts reach it (default: as yours)."),
    ] = None,
    cluster: Annotated[
        str,
        typer.Option(
            "--cluster",
            "-c",
            metavar="CLUSTER",
            help="The cluster that the hosts join (default: none).",
            autocompletion=clusters,
        ),
    ] = "",
    username: Annotated[
        str | None,
        typer.Option(
            "--username",
            "-u",
            metavar="USER",
            help="Whom the hosts sign in as; best a user with the role registrar (default: you).",
        ),
    ] = None,
    password: Annotated[
        bool, typer.Option("--password", "-p", help="Ask for the user's password, even if it is known.")
    ] = False,
    remote_user: Annotated[
        str,
        typer.Option("--remote-user", "-r", metavar="USER", help="Whom the server signs in as on the hosts."),
    ] = "root",
    ssh_key_path: Annotated[
        str | None,
        typer.Option(
            "--ssh-key-path",
            "-s",
            metavar="PATH",
            help="That user's private key on the hosts, made if missing (default: ~USER/.ssh/id_commissaire).",
        ),
    ] = None,
    authorized_keys_path: Annotated[
        str | None,
        typer.Option(
            "--authorized-keys-path",
            "-a",
            metavar="PATH",
            help="That user's authorized_keys on the hosts (default: ~USER/.ssh/authorized_keys).",
        ),
    ] = None,
    cloud_init: Annotated[
        Path | None,
        typer.Option(
            "--cloud-init", "-C", metavar="FILE", help="A #cloud-config of yours for the hosts (default: an empty one)."
        ),
    ] = None,
    ca_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Certificates of those who may have signed the server's (default: the hosts' own)."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--outfile", "-o", metavar="FILE", help="Where to write it (default: standard output)."),
    ] = None,
) -> None:
    """Write a user-data file for cloud-init: each host that boots with it registers itself.

    It holds a password: give it a user of its own, with the role registrar, who may do nothing but this.
    """
    if out and outfile:
        raise typer.BadParameter("the file is named twice; leave --outfile out")
    from commissaire.commctl import config, registration
    from commissaire.commctl.account import checked_user

    chosen = configuration_path(ctx)
    known = config.read(chosen)
    where = registration.endpoint(endpoint, known)
    if where.startswith("http:"):
        warn(f"the password and the hosts' private keys will travel to {where} in the clear; better use https")
    user, secret = registration.credentials(username, known, ask_again=password)
    settings = {
        "endpoint": where,
        "username": user,
        "password": secret,
        "cluster": cluster,
        "remote_user": checked_user(remote_user, "--remote-user"),
        "ssh_key_path": registration.checked_path(ssh_key_path or f"~{remote_user}/.ssh/id_commissaire"),
        "authorized_keys_path": registration.checked_path(
            authorized_keys_path or f"~{remote_user}/.ssh/authorized_keys"
        ),
        "certificate_authority": registration.authorities(ca_file, known, chosen or config.DEFAULT_PATH),
    }
    text = registration.multipart(registration.cloud_config(cloud_init), settings)
    if len(text) > registration.EC2_BYTES:
        warn(f"this has {len(text)} bytes; some clouds take {registration.EC2_BYTES} at most")
    target = out or outfile
    if target is None or str(target) == "-":
        say(text.removesuffix("\n"))
    else:
        registration.write(target, text)

"""The commctl program: its options, its commands, and how it ends."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from commissaire.commctl import (
    cluster,
    container_manager,
    guest,
    host,
    hypervisor,
    lease,
    network,
    operation,
    schedule,
    source,
    vm,
    vm_network,
)
from commissaire.commctl.errors import CommctlError, NoObjectError
from commissaire.commctl.output import say, tell
from commissaire.commctl.passhash import passhash
from commissaire.commctl.user_data import user_data

app = typer.Typer(
    help="Manage Commissaire's clusters and hosts. Results go to standard output, as YAML unless -o says otherwise.",
    epilog="Exit codes: 0 done, 1 no server, 2 refused or failed, 130 interrupted.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode=None,  # importing rich for the help texts alone would triple the time they take
    pretty_exceptions_enable=False,
)
app.add_typer(cluster.app, name="cluster")
app.add_typer(host.app, name="host")
app.add_typer(operation.app, name="operation")
app.add_typer(lease.app, name="lease")
app.add_typer(schedule.app, name="schedule")
app.add_typer(source.app, name="source")
app.add_typer(network.app, name="network")
app.add_typer(container_manager.app, name="container_manager")
app.add_typer(container_manager.app, name="container-manager", hidden=True)
app.add_typer(hypervisor.app, name="hypervisor")
app.add_typer(vm.app, name="vm")
app.add_typer(vm_network.app, name="vm-network")
app.add_typer(guest.app, name="guest")
app.command()(passhash)
app.command("user-data")(user_data)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        say(f"commctl {version('commissaire')}")
        raise typer.Exit


@app.callback()
def _options(
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            "-c",
            envvar="COMMCTL_CONFIG",
            metavar="FILE",
            help="JSON file with endpoint, username and password (default: ~/.commissaire.json).",
        ),
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """See session.configuration_path."""


def main() -> None:
    """Run commctl with the process' arguments, and exit with its code."""
    try:
        app(prog_name="commctl")
    except NoObjectError as error:
        say("No object found.")
        if error.detail:
            tell(error.detail)
    except CommctlError as error:
        tell(str(error))
        sys.exit(error.exit_code)
    except Exception as error:
        if os.environ.get("COMMCTL_TRACEBACK"):
            raise
        tell(f"commctl has a fault: {type(error).__name__}: {error} (COMMCTL_TRACEBACK=1 shows where)")
        sys.exit(CommctlError.exit_code)


if __name__ == "__main__":
    main()

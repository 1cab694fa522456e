"""The laboratory on the command line: `PYTHONPATH=tests python -m lab --help`."""

import argparse
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from . import Lab, LabError, LabHost, image, labs, obstacle, sweep

DEFAULT = "lab"
ACTIONS = {
    "cut": (LabHost.cut, "pull HOST's network cable; it stays out over reboots"),
    "mend": (LabHost.mend, "put HOST's network cable back"),
    "freeze": (LabHost.freeze, "stop all of HOST's processes; its kernel still answers on the network"),
    "thaw": (LabHost.thaw, "let HOST's processes go on"),
    "poweroff": (LabHost.power_off, "pull HOST's plug: no shutdown"),
    "poweron": (LabHost.power_on, "start HOST"),
}


def main(argv: Sequence[str] | None = None) -> int:
    arguments = _parser().parse_args(argv)
    try:
        if why := obstacle():
            raise LabError(why)
        arguments.act(arguments)
    except KeyboardInterrupt:
        return 130
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    return 0


def up(arguments: argparse.Namespace) -> None:
    lab = Lab.make(hosts=arguments.hosts, name=arguments.name, keep=True)
    lab.inventory(lab.directory / "hosts.yml")
    own = f"PYTHONPATH={shlex.quote(str(Path(__file__).parent.parent))} {shlex.quote(sys.executable)} -m lab"
    option = "" if lab.name == DEFAULT else f" --name {lab.name}"
    print(f"lab {lab.name} is up: {', '.join(f'{host.name} {host.address}' for host in lab.hosts)}")
    print(f"  network    {lab.namespace} (the controller is {lab.gateway}; there is no way out)")
    print(f"  key        {lab.private_key} (root, and operator with sudo)")
    print(f"  host keys  {lab.known_hosts}")
    print(f"  inventory  {lab.directory / 'hosts.yml'}")
    print(f"  log in     {own} ssh{option} {lab.hosts[0].name}")
    print(f"  enter      {shlex.join(lab.command(['bash']))}")
    print(f"  remove     {own} down{option}")


def down(arguments: argparse.Namespace) -> None:
    if arguments.all:
        sweep()
        for lab in labs():
            lab.down()
    else:
        Lab.find(arguments.name).down()


def list_labs(arguments: argparse.Namespace) -> None:
    for lab in labs():
        for host in lab.hosts:
            print(f"{lab.name:8} {host.name:4} {host.address:12} {host.boot_id() or 'off'}")


def act(arguments: argparse.Namespace) -> None:
    ACTIONS[arguments.command][0](Lab.find(arguments.name).host(arguments.host))


def enter(arguments: argparse.Namespace) -> None:
    command = Lab.find(arguments.name).command(arguments.argv or [os.environ.get("SHELL", "/bin/sh")])
    os.execvp(command[0], command)  # noqa: S606 # no shell is wanted


def ssh(arguments: argparse.Namespace) -> None:
    lab = Lab.find(arguments.name)
    command = lab.command([*lab.ssh(lab.host(arguments.host), arguments.user), *arguments.argv])
    os.execvp(command[0], command)  # noqa: S606 # no shell is wanted


def build(arguments: argparse.Namespace) -> None:
    print(image.image())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m lab",
        description="A laboratory of real machines on this computer (systemd-nspawn, sshd, real reboots) in a network "
        "of their own. Needs root; tests/lab/packages.sh installs what it needs.",
    )
    named = argparse.ArgumentParser(add_help=False)
    named.add_argument("--name", default=DEFAULT, help="which lab (default: %(default)s)")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    command = commands.add_parser("up", parents=[named], help="make a lab and say how to reach it")
    command.add_argument("--hosts", type=int, default=3, help="how many machines (default: %(default)s)")
    command.set_defaults(act=up)
    command = commands.add_parser("down", parents=[named], help="remove a lab and everything of it")
    command.add_argument("--all", action="store_true", help="remove every lab on this computer, running tests' too")
    command.set_defaults(act=down)
    command = commands.add_parser("list", help="show the machines of every lab: lab, host, address, boot id")
    command.set_defaults(act=list_labs)
    for name, (_, text) in ACTIONS.items():
        command = commands.add_parser(name, parents=[named], help=text)
        command.add_argument("host", metavar="HOST", help="a machine's name or address")
        command.set_defaults(act=act)
    command = commands.add_parser("ssh", parents=[named], help="log in to HOST, or run a command there")
    command.add_argument("--user", default="root", choices=["root", "operator"], help="who (default: %(default)s)")
    command.add_argument("host", metavar="HOST", help="a machine's name or address")
    command.add_argument("argv", metavar="CMD", nargs=argparse.REMAINDER, help="what to run there")
    command.set_defaults(act=ssh)
    command = commands.add_parser("enter", parents=[named], help="run CMD, or a shell, in the lab's network")
    command.add_argument("argv", metavar="-- CMD", nargs="*", help="what to run")
    command.set_defaults(act=enter)
    command = commands.add_parser("build", help="build the machines' root file system now, and say where it is")
    command.set_defaults(act=build)
    return parser


if __name__ == "__main__":
    sys.exit(main())

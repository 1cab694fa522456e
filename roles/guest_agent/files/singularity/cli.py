"""The command line: `singularity apply ACTION…` and `singularity daemon start|stop|restart|reload|status`."""

from __future__ import annotations

import argparse
import shlex
import sys
from typing import Any, Dict, List, Optional, Sequence

from singularity import __version__
from singularity.errors import Refused, SettingsError, reason
from singularity.options import ITEMS, LISTS, OPTIONS, Option
from singularity.settings import Settings, convert, load

DONE, FAILED, MISUSED = 0, 1, 2
APPLICABLE = tuple(item for item in ITEMS if item not in ("exec", "ssh_keys"))
FOLDERS = next(option for option in OPTIONS if option.kind == "paths")
DAEMON = {
    "start": "start the daemon",
    "stop": "stop it, and wait for its end",
    "restart": "stop it where it runs, and start it",
    "reload": "let it read its configuration anew (SIGHUP)",
    "status": "say whether it runs; exit code 3: it does not",
}


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Do what the command line says, and return the exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    given = vars(read(words))
    command = given.pop("command", None)
    if command is None:
        parser().print_help(sys.stderr)
        return MISUSED
    try:
        return _apply(given) if command == "apply" else _daemon(given, words)
    except SettingsError as error:
        return _fail(str(error), MISUSED)
    except Refused as error:
        return _fail(error.message, FAILED)
    except OSError as error:
        return _fail(reason(error), FAILED)


def read(words: Sequence[str]) -> argparse.Namespace:
    """Return what a command line says; where it can't be read, say so and exit."""
    return parser().parse_args(_each_its_own(words))


def parser() -> argparse.ArgumentParser:
    """Return the parser. What is not given is not in its result."""
    made = argparse.ArgumentParser(
        prog="singularity",
        description="The agent of a virtual machine, which does what its hypervisor asks of it.",
        epilog="Options can stand before and after the command, and nearly all of them in the configuration file, too: "
        "/etc/singularity/singularity.conf, sections [main], [apply] and [daemon].",
    )
    made.add_argument("--version", action="version", version=f"singularity {__version__}")
    _add_options(made, None)
    commands = made.add_subparsers(dest="command", metavar="COMMAND", title="commands", prog=made.prog)
    text = "put back what the hypervisor set last, as it is noted in the cache"
    one = commands.add_parser("apply", help=text, description=f"{text[0].upper()}{text[1:]}.")
    one.add_argument(
        "actions",
        nargs="+",
        metavar="ACTION",
        choices=("all", *APPLICABLE),
        help=f"what is put back: all, or some of {', '.join(APPLICABLE)}",
    )
    one.add_argument(
        "--vm-data",
        metavar="FILE",
        default=argparse.SUPPRESS,
        help="with network: apply what stands in FILE (- is standard input) in place of what is cached; a JSON object "
        "of hostname and networking/MAC, as a host has them in xenstore",
    )
    _add_options(one, "apply")
    text = "control the daemon, which listens to the hypervisor"
    one = commands.add_parser(
        "daemon",
        help=text,
        description=f"{text[0].upper()}{text[1:]}.",
        epilog="\n".join(f"{name}: {what}" for name, what in DAEMON.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    one.add_argument("action", nargs="?", metavar="ACTION", help=" or ".join(DAEMON))
    _add_options(one, "daemon")
    return made


def _each_its_own(words: Sequence[str]) -> List[str]:
    """Give each folder that follows `-d` one of its own; a command or an action ends them, whatever stands there."""
    ends = {"apply", "daemon", "all", *APPLICABLE, *DAEMON}
    made: List[str] = []
    flag = ""
    for word in words:
        if word.startswith("-") or word in ends:
            flag = word if word in FOLDERS.flags else ""
        elif flag and made[-1] != flag:
            made.append(flag)
        made.append(word)
    return made


def _add_options(made: argparse.ArgumentParser, command: Optional[str]) -> None:
    """Add the options of *command*; of none: those that all have."""
    for option in OPTIONS:
        if (command or "both") in (*option.commands, "both" if len(option.commands) > 1 else ""):
            values: Dict[str, Any] = {"dest": option.field, "default": argparse.SUPPRESS, "help": option.help}
            if option.kind in ("flag", "off"):
                values.update(action="store_const", const=option.kind == "flag")
            else:
                values.update(action=_Convert, option=option, metavar=option.metavar)
            made.add_argument(*option.flags, **values)


class _Convert(argparse.Action):
    """Takes what the configuration file would take; an option that has a list can be repeated."""

    def __init__(self, option: Option, **values: Any) -> None:
        super().__init__(**values)
        self._option = option

    def __call__(self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, *_: Any) -> None:
        try:
            if self._option.kind not in LISTS:
                setattr(namespace, self.dest, convert(self._option, values))
                return
            one = convert(self._option, values if self._option.kind == "words" else shlex.quote(values))
            setattr(namespace, self.dest, getattr(namespace, self.dest, ()) + one)
        except SettingsError as error:
            raise argparse.ArgumentError(self, str(error)) from error


def _apply(given: Dict[str, Any]) -> int:
    from singularity import apply, guest, log

    actions, path = given.pop("actions"), given.pop("vm_data", None)
    if path is not None and not {"network", "all"} & set(actions):
        raise SettingsError("--vm-data goes with the action network")
    settings = load(given, "apply")
    log.configure(settings.log_level, settings.log_handler)
    made = guest.make(settings)
    made.succeed = lambda program: _succeed(program, given)
    return apply.run(made, actions, None if path is None else _vm_data(path))


def _succeed(program: str, given: Dict[str, Any]) -> None:
    """Put another version in the place of this one, and of the daemon's. Raises Refused, and OSError."""
    from singularity import daemon, supervisor, update
    from singularity.pidfile import Pidfile

    pid = Pidfile(load(given, "daemon", strict=False).pid_path).running()
    restart = supervisor.command(pid, "restart") if pid else None
    if pid and restart is None:
        raise Refused(f"The daemon runs, as process {pid}, and can't do without its file; stop it first")
    update.install(program)
    if restart:
        daemon.run_supervisor(restart)


def _vm_data(path: str) -> Dict[str, str]:
    """Return what stands in a file, as Channel.read_vm_data returns it; values may be objects instead of their text."""
    import json

    try:
        if path == "-":
            text = sys.stdin.read()
        else:
            with open(path, encoding="utf-8") as file:
                text = file.read()
        data = json.loads(text)
    except ValueError as error:
        raise Refused(f"{path} is no JSON: {error}") from error
    if not isinstance(data, dict):
        raise Refused(f"{path} is no JSON object")
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in data.items()}


def _daemon(given: Dict[str, Any], words: List[str]) -> int:
    from singularity import daemon

    action = given.pop("action", None)
    if action not in DAEMON:
        said = f"{action!r} is no action of the daemon" if action else "the daemon needs an action"
        raise SettingsError(f"{said}: {', '.join(DAEMON)}")

    def reread() -> Settings:
        return load(given, "daemon")

    if action in ("stop", "status"):  # what a daemon needs no more
        return getattr(daemon, action)(load(given, "daemon", strict=False))  # type: ignore[no-any-return]
    settings = reread()
    if action in ("start", "restart"):
        successor = ["start" if word == "restart" else word for word in words] + ["--nodaemonize"]
        return getattr(daemon, action)(settings, reread, successor)  # type: ignore[no-any-return]
    return getattr(daemon, action)(settings)  # type: ignore[no-any-return]


def _fail(said: str, code: int) -> int:
    print(f"singularity: {said}", file=sys.stderr)
    return code

"""The options: each stands here once, for the command line, the configuration file and the documentation."""

from __future__ import annotations

from typing import NamedTuple, Tuple

from singularity.log import LEVELS

ITEMS = ("network", "hosts", "hostname", "resolvers", "password", "file", "update", "exec", "ssh_keys")
"""What the agent can manage, and -F can choose from."""
BOTH = ("apply", "daemon")
LISTS = ("words", "texts", "paths")


class Option(NamedTuple):
    """One option: `--NAME` on the command line, `NAME` in the configuration file, a field of Settings."""

    flags: Tuple[str, ...]
    field: str
    help: str
    metavar: str = ""
    kind: str = "text"
    """text, path (made absolute), flag, off (a flag that switches the field off), or a list: words, texts or paths.

    Lists have commas or white space between their values in the file. On the command line that is so for words; texts
    are repeatable there, and of paths there are several.
    """
    commands: Tuple[str, ...] = BOTH
    """The subcommands that have it, which are also the sections of the file that may, beside [main]."""
    choices: Tuple[str, ...] = ()
    in_file: bool = True

    @property
    def name(self) -> str:
        """Its name in the configuration file."""
        return next(flag for flag in self.flags if flag.startswith("--"))[2:].replace("-", "_")


OPTIONS = (
    Option(("-l", "--loglevel"), "log_level", "what is logged: this grave, or graver", "LEVEL", choices=LEVELS),
    Option(
        ("-H", "--loghandler"), "log_handler", "where the log goes: syslog, - (standard error), or a file", "HANDLER"
    ),
    Option(("-b", "--backup"), "backup", "keep a copy of each file that is replaced (the default)", kind="flag"),
    Option(("--no-backup",), "backup", "keep none", kind="off", in_file=False),
    Option(
        ("-f", "--configuration"),
        "configuration",
        "the folder that singularity.conf lies in",
        "DIR",
        "path",
        in_file=False,
    ),
    Option(("-c", "--cache"), "cache", "where it is noted what was applied", "DIR", "path"),
    Option(
        ("-F", "--functions"),
        "functions",
        f"what the agent manages, with commas: all, or some of {', '.join(ITEMS)}",
        "ITEMS",
        "words",
    ),
    Option(("--root",), "root", "the folder that is taken for /", "DIR", "path"),
    Option(
        ("-d", "--configurators"),
        "configurators",
        "folders with configurators of your own; one that is called as a command or an action is written ./NAME",
        "DIR...",
        "paths",
    ),
    Option(
        ("--allow-paths",),
        "allow_paths",
        "repeatable: a folder, or pattern of files, if the hypervisor may read and write some only",
        "PATTERN",
        "texts",
    ),
    Option(
        ("--deny-paths",),
        "deny_paths",
        "repeatable: one that it may not, whatever is allowed",
        "PATTERN",
        "texts",
    ),
    Option(("--noop",), "noop", "show what would change, and change nothing", kind="flag", commands=("apply",)),
    Option(("-r", "--run"), "run", "the folder of the pidfile", "DIR", "path", ("daemon",)),
    Option(("-p", "--pidfile"), "pidfile", "default: singularity.pid in --run", "FILE", "path", ("daemon",)),
    Option(("-u", "--uid"), "uid", "the user, name or number, that the daemon becomes", "USER", commands=("daemon",)),
    Option(("-g", "--gid"), "gid", "the group that it becomes; default: the user's", "GROUP", commands=("daemon",)),
    Option(("--nodaemonize",), "nodaemonize", "stay in the foreground", kind="flag", commands=("daemon",)),
    Option(
        ("--channel",),
        "channels",
        "how the hypervisor is talked to; repeatable: auto, xenstore[:SOCKET], unix:PATH, virtio[:PORT], vsock:PORT",
        "CHANNEL",
        "texts",
        ("daemon",),
    ),
    Option(
        ("--allow-commands",),
        "allow_commands",
        "the only commands of the QEMU guest agent's dialect that are obeyed, with commas",
        "COMMANDS",
        "words",
        ("daemon",),
    ),
    Option(
        ("--block-commands",),
        "block_commands",
        "those that are not, whatever is allowed",
        "COMMANDS",
        "words",
        ("daemon",),
    ),
    Option(
        ("--update-key",),
        "update_key",
        "the public key (PEM) by which new versions of the agent must be signed",
        "FILE",
        "path",
        BOTH,
    ),
)

"""The demonstration on the command line: `PYTHONPATH=tests python -m demo --hosts 3`."""

import argparse
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from lab import LabError
from lab.network import MAX_HOSTS

from .show import show
from .stage import AbsentError, DemoError

FAILED, IMPOSSIBLE, INTERRUPTED = 1, 2, 130


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m demo",
        description="Make a lab of real machines, restart them one after the other through commissaire-server, prove "
        "it and clean up. Exit codes: 0 proven, 1 the restart or its proof failed, 2 it can't run on this computer.",
    )
    parser.add_argument("--hosts", type=int, default=3, metavar="N", help="how many machines (default: %(default)s)")
    arguments = parser.parse_args(argv)
    if not 1 <= arguments.hosts <= MAX_HOSTS:
        parser.error(f"--hosts is 1 to {MAX_HOSTS}, not {arguments.hosts}")
    _become_root()
    signal.signal(signal.SIGTERM, _leave)
    signal.signal(signal.SIGHUP, _leave)
    try:
        show(arguments.hosts)
    except AbsentError as error:
        print(f"demo: this computer can't show it: {error}", file=sys.stderr)
        return IMPOSSIBLE
    except (DemoError, LabError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print("demo: interrupted; everything is removed again", file=sys.stderr)
        return INTERRUPTED
    return 0


def _become_root() -> None:
    """Start again under sudo when that asks for no password; the lab says what is missing otherwise."""
    if os.geteuid() == 0 or not shutil.which("sudo"):
        return
    if subprocess.run(["sudo", "-n", "true"], check=False, capture_output=True).returncode:
        return
    environment = [f"PYTHONPATH={Path(__file__).parent.parent}", f"PATH={os.environ.get('PATH', os.defpath)}"]
    os.execvp("sudo", ["sudo", "-n", "env", *environment, sys.executable, "-m", "demo", *sys.argv[1:]])  # noqa: S606


def _leave(number: int, _: FrameType | None) -> None:
    raise SystemExit(128 + number)


if __name__ == "__main__":
    sys.exit(main())

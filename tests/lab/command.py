"""Run the programs a lab is made of, and say what went wrong in their own words."""

import subprocess
from collections.abc import Sequence


class LabError(Exception):
    """The lab can't do what was asked; the message names the thing, the cause and the next step."""


def run(argv: Sequence[str], text: str = "") -> str:
    """Run `argv` with `text` on its standard input and return its output. Raise LabError with its error output."""
    try:
        done = subprocess.run(argv, input=text, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise LabError(f"{argv[0]} is not installed: sh tests/lab/packages.sh") from error
    if done.returncode:
        raise LabError(f"{' '.join(argv)} failed ({done.returncode}): {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout

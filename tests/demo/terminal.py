"""What the demonstration says itself, in order with what the commands it runs say."""

import sys


def say(*lines: str) -> None:
    """Print each line. At once, because other processes write to the same place."""
    for line in lines:
        print(line, flush=True)


def heading(text: str) -> None:
    """Print what comes now."""
    say("", bold(f"# {text}"))


def command(text: str) -> None:
    """Print a command as its user would have typed it."""
    say(f"{bold('$')} {text}")


def bold(text: str) -> str:
    return f"\033[1m{text}\033[0m" if sys.stdout.isatty() else text

"""The benchmark on the command line: `PYTHONPATH=tests python -m bench [--write FILE] [PART ...]`."""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from lab import LabError

from . import api, guest, inventory, journal, launch, restart, rolling, virt
from .report import Part, as_markdown, as_text, computer, load
from .server import BenchError

PARTS: dict[str, Callable[[], Part]] = {
    "restart": restart.measure,
    "rolling": rolling.measure,
    "launch": launch.measure,
    "api": api.measure,
    "journal": journal.measure,
    "inventory": inventory.measure,
    "virt": virt.measure,
    "guest": guest.measure,
}


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure Commissaire and what it replaces.")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"what to measure: {', '.join(PARTS)} (default: all)")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the result there as Markdown, too")
    arguments = parser.parse_args(argv)
    if unknown := set(arguments.parts) - set(PARTS):
        parser.error(f"there is no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    begin = time.monotonic()
    facts = computer()
    print("\n".join(f"{name:12} {value}" for name, value in facts.items()), flush=True)
    parts = []
    for name in arguments.parts or PARTS:
        before = load()
        try:
            part = PARTS[name]()
        except (BenchError, LabError) as error:
            print(f"bench: {name}: {error}", file=sys.stderr)
            return 1
        part.load = f"{before:.1f} at its start, {load():.1f} at its end"
        print(f"\n{as_text(part)}", flush=True)
        parts.append(part)
    print(f"\n{time.monotonic() - begin:.0f} s in all")
    if arguments.write:
        arguments.write.write_text(as_markdown(facts, parts))
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Run all targets by both engines, on all processors: `PYTHONPATH=tests python -m fuzz.guest_agent [--seconds 600]`.

Where it is root it does so in namespaces of its own for network and host name, beside the agent's own --root.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from .machine import MEMORY
from .targets import TARGETS

MARKER = "COMMISSAIRE_FUZZ_GUEST_ALONE"
ENGINES = {"hypothesis": "examples", "atheris": "coverage"}
GRACE_SECONDS = 120.0
LINES_SHOWN = 60
COUNTS = re.compile(r"^(?:executions: |stat::number_of_executed_units:\s*)(\d+)$", re.MULTILINE)


@dataclass(frozen=True)
class Outcome:
    """What came of one engine on one target; `finding` is the end of what it printed, where it ended badly."""

    target: str
    engine: str
    executions: int
    seconds: float
    finding: str


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m fuzz.guest_agent", description="Fuzz the guest agent.")
    parser.add_argument("--seconds", type=int, default=600, help="how long all of it takes (default: 600)")
    parser.add_argument("--folder", type=Path, help="where findings stay (default: a new one)")
    parser.add_argument("--target", action="append", choices=list(TARGETS), help="only this one; can be repeated")
    parser.add_argument("--engine", action="append", choices=list(ENGINES), help="only this one; can be repeated")
    parser.add_argument(
        "--jobs", type=int, default=os.cpu_count() or 1, help="at once (default: as many as processors)"
    )
    arguments = parser.parse_args(argv)
    if os.geteuid() == 0 and MARKER not in os.environ:
        command = [
            "unshare",
            "--net",
            "--uts",
            sys.executable,
            "-m",
            "fuzz.guest_agent",
            *(sys.argv[1:] if argv is None else argv),
        ]
        return subprocess.run(command, env={**os.environ, MARKER: "1"}, check=False).returncode
    engines = arguments.engine or list(ENGINES)
    if "atheris" in engines and importlib.util.find_spec("atheris") is None:
        print("atheris is not installed (pip install atheris): only Hypothesis runs")
        engines = [engine for engine in engines if engine != "atheris"]
    folder = arguments.folder or Path(tempfile.mkdtemp(prefix="fuzz-guest-"))
    pairs = [(target, engine) for target in arguments.target or TARGETS for engine in engines]
    jobs = max(1, min(arguments.jobs, len(pairs)))
    seconds = max(1, arguments.seconds * jobs // len(pairs))
    print(f"{len(pairs)} runs of {seconds} s each, {jobs} at once")
    with ThreadPoolExecutor(jobs) as pool:
        outcomes = list(pool.map(lambda pair: _run(*pair, seconds, folder), pairs))
    return _report(outcomes, folder)


def _run(target: str, engine: str, seconds: int, folder: Path) -> Outcome:
    own = folder / f"{target}-{engine}"
    own.mkdir(parents=True, exist_ok=True)
    output, began, failed = own / "output", time.monotonic(), True
    with tempfile.TemporaryDirectory(dir=MEMORY) as guest, output.open("wb") as file:
        command = [sys.executable, "-m", f"fuzz.guest_agent.{ENGINES[engine]}", target, str(seconds), guest, str(own)]
        with contextlib.suppress(subprocess.TimeoutExpired):
            done = subprocess.run(
                command, stdout=file, stderr=subprocess.STDOUT, timeout=seconds + GRACE_SECONDS, check=False
            )
            failed = done.returncode != 0
    text = output.read_text(errors="replace")
    counts = COUNTS.findall(text)
    finding = (_end_of(text) or "it hung") if failed or not counts else ""
    return Outcome(target, engine, int(counts[-1]) if counts else 0, time.monotonic() - began, finding)


def _end_of(output: str) -> str:
    lines = [line for line in output.splitlines() if not line.startswith(("INFO: ", "WARNING: "))]
    return "\n".join(lines[-LINES_SHOWN:])


def _report(outcomes: Sequence[Outcome], folder: Path) -> int:
    for outcome in outcomes:
        if outcome.finding:
            print(f"--- {outcome.target}, by {outcome.engine}\n{outcome.finding}")
    for outcome in outcomes:
        told = "FOUND SOMETHING" if outcome.finding else "nothing found"
        ran = f"{outcome.executions:10,} executions {outcome.seconds:7.0f} s"
        print(f"{outcome.target:10} {outcome.engine:11} {ran}  {told}")
    found = sum(bool(outcome.finding) for outcome in outcomes)
    total = sum(outcome.executions for outcome in outcomes)
    print(f"{total:,} executions, {found} findings" + (f"; see {folder}" if found else ""))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

"""Drive a target by Hypothesis: `python -m fuzz.guest_agent.examples TARGET SECONDS GUEST`, and count its inputs."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from hypothesis import HealthCheck, given, settings

from .strategies import inputs
from .targets import TARGETS

ROUND = 500
EXECUTIONS = "executions: "


def main() -> int:
    name, seconds = sys.argv[1], float(sys.argv[2])
    target, count, end = TARGETS[name](Path(sys.argv[3])), 0, time.monotonic() + seconds

    @settings(max_examples=ROUND, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(inputs(name))
    def once(data: bytes) -> None:
        nonlocal count
        if time.monotonic() < end:
            count += 1
            target.run(data)

    try:
        while time.monotonic() < end:
            once()
    finally:
        print(f"{EXECUTIONS}{count}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())

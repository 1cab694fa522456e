"""Somebody who needs the hosts all the time, and writes down when one is away."""

import asyncio
import math
import threading
import time
from dataclasses import dataclass, field
from typing import Self

from lab import Lab

PAUSE_SECONDS = 0.05
PATIENCE_SECONDS = 1.0  # a busy computer's hiccup is no outage
IMPATIENCE_SECONDS = 0.2  # while a host is away: to see it come back
FAREWELL_SECONDS = 5.0  # at the end: for a host that is away still


@dataclass
class Outage:
    """From the first connection that failed to the end of the first that was greeted again; `time.monotonic`."""

    address: str
    start: float
    why: str
    end: float = math.inf


@dataclass
class Probe:
    """Asks the ssh port of each of the lab's hosts for its greeting every 50 ms: `with Probe(lab) as probe:`.

    `pause_seconds` makes it ask hosts that are there less often: each greeting costs the host a process.
    """

    lab: Lab
    pause_seconds: float = PAUSE_SECONDS
    log: list[Outage] = field(default_factory=list)
    asked: int = 0
    started: float = 0
    ended: float = 0
    longest_pause_seconds: float = 0

    def __enter__(self) -> Self:
        self._stop = threading.Event()
        self.started = time.monotonic()
        self._thread = threading.Thread(target=self.lab.inside, args=(asyncio.run, self._watch()), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended = time.monotonic()
        self._stop.set()
        self._thread.join()

    def outages(self, address: str) -> list[tuple[float, float]]:
        """Return when the host was away: (start, end) in seconds since the probe began; the end may be infinite."""
        return [(away.start - self.started, away.end - self.started) for away in self.log if away.address == address]

    def account(self) -> str:
        """Return what this proof rests on."""
        return (
            f"The probe asked {self.asked} times in {self.ended - self.started:.1f} s; "
            f"the longest it left a host unwatched was {self.longest_pause_seconds:.2f} s."
        )

    async def _watch(self) -> None:
        await asyncio.gather(*(self._follow(host.address) for host in self.lab.hosts))

    async def _follow(self, address: str) -> None:
        away: Outage | None = None
        last = self.started
        while True:
            last_time = self._stop.is_set()  # what was asked before may not know yet
            asked = time.monotonic()
            self.longest_pause_seconds = max(self.longest_pause_seconds, asked - last)
            trouble = await _greeting(address, IMPATIENCE_SECONDS if away else PATIENCE_SECONDS)
            last = time.monotonic()
            self.asked += 1
            if trouble and not away:
                away = Outage(address, asked, trouble)
                self.log.append(away)
            elif away and not trouble:
                away.end = last
                away = None
            if last_time and (not away or last > self.ended + FAREWELL_SECONDS):
                return
            await asyncio.sleep(PAUSE_SECONDS if away else self.pause_seconds)


async def _greeting(address: str, seconds: float) -> str:
    """Return why no sshd greets there, empty when one does."""
    writer = None
    try:
        async with asyncio.timeout(seconds):
            reader, writer = await asyncio.open_connection(address, 22)
            return "" if await reader.read(4) == b"SSH-" else "no greeting"
    except TimeoutError:
        return "silent"
    except OSError as error:
        return error.strerror or str(error)
    finally:
        if writer:
            writer.close()

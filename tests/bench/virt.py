"""All virtual machines of several hypervisors by one request, one hypervisor of which accepts connections and hangs."""

import socket
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from api.node import node
from commissaire.database import Database
from commissaire.fleet.hypervisors import put_hypervisor
from commissaire.secrets.store import SecretStore

from .report import Part, ratio
from .server import BenchError, Server, running

HYPERVISORS = 4
MACHINES = 50
ROUNDS = 20


def measure() -> Part:
    number = HYPERVISORS * MACHINES
    part = Part(f"{number} machines of {HYPERVISORS} hypervisors, and one hypervisor that hangs")
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, _hung() as uri:
        uris = {f"h{index}": _hypervisor(Path(folder), index) for index in range(HYPERVISORS)}
        alone = _measure(Path(folder) / "alone", uris, number)
        hung = _measure(Path(folder) / "hung", {**uris, "hung": uri}, number)
    for path in PATHS:
        for name, measured in (("all answer", alone), ("one hangs", hung)):
            times = measured[path].further
            median = statistics.median(times)
            compared = "" if measured is alone else ratio(median, statistics.median(alone[path].further), "of that")
            part.add(f"GET {path}, {name}: first request", f"{1000 * measured[path].first:,.0f} ms")
            on = f"{len(times)} requests, median; at most {1000 * max(times):.1f} ms; {measured[path].size:,} bytes"
            part.add(f"GET {path}, {name}: each further one", f"{1000 * median:.1f} ms", compared, on)
    part.notes.append(
        "Machines of libvirt's test driver, in the server's own process: no network takes part but the hung one's: it "
        "takes connections and says nothing. The request that finds it so waits 5 s (/virt) or 10 s (v1), the others "
        "of the next 10 s do not; all answers name it. Each path is asked by a server of its own."
    )
    return part


@dataclass
class Measured:
    """What came of asking for one path: seconds, and the bytes of an answer."""

    first: float
    further: list[float]
    size: int


def _measure(home: Path, uris: dict[str, str], number: int) -> dict[str, Measured]:
    def prepare(database: Database) -> None:
        with database.write() as session:
            store = SecretStore({}, "")
            for name, uri in uris.items():
                put_hypervisor(session, store, name, uri=uri, allowed=True, virt_type="auto", pool="default")

    found = {}
    for index, path in enumerate(PATHS):
        folder = home / str(index)
        folder.mkdir(parents=True)
        with running(folder, prepare=prepare) as server:
            first, size = _ask(server, path, number, len(uris) - HYPERVISORS)
            further = [_ask(server, path, number, len(uris) - HYPERVISORS)[0] for _ in range(ROUNDS)]
        found[path] = Measured(first, further, size)
    return found


def _ask(server: Server, path: str, machines: int, silent: int) -> tuple[float, int]:
    begin = time.perf_counter()
    answer = server.call("GET", path)
    seconds = time.perf_counter() - begin
    found = PATHS[path](answer)
    if found != (machines, silent):
        raise BenchError(f"{path} has {found[0]} machines and {found[1]} silent hypervisors")
    return seconds, len(answer.content)


def _in_xml(answer: httpx.Response) -> tuple[int, int]:
    return answer.text.count("<domain>"), answer.text.count("<silent>")


def _in_json(answer: httpx.Response) -> tuple[int, int]:
    page = answer.json()
    return len(page["items"]), len(page["silent"])


PATHS = {"/virt": _in_xml, "/api/v1/machines?limit=200": _in_json}
"""What is asked, and how to count the machines and the silent hypervisors of an answer."""


def _hypervisor(folder: Path, index: int) -> str:
    return node(folder / f"h{index}.xml", {f"m{index}-{number}": "admin" for number in range(MACHINES)})


@contextmanager
def _hung() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as listener:  # the kernel accepts, and nobody says anything
        yield f"qemu+tcp://127.0.0.1:{listener.getsockname()[1]}/system"

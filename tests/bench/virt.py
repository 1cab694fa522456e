"""All virtual machines of several hypervisors by one request, one hypervisor of which accepts connections and hangs."""

import socket
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

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
    part = Part(f"GET /virt: {number} machines of {HYPERVISORS} hypervisors, and one hypervisor that hangs")
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, _hung() as uri:
        uris = {f"h{index}": _hypervisor(Path(folder), index) for index in range(HYPERVISORS)}
        alone = _measure(Path(folder) / "alone", uris, number)
        hung = _measure(Path(folder) / "hung", {**uris, "hung": uri}, number)
    for name, (first, times, size) in (("all answer", alone), ("one hangs", hung)):
        median = statistics.median(times)
        compared = "" if times is alone[1] else ratio(median, statistics.median(alone[1]), "where all answer")
        part.add(f"{name}: first request", f"{1000 * first:,.0f} ms")
        on = f"{len(times)} requests, median; at most {1000 * max(times):.1f} ms; {size:,} bytes of XML"
        part.add(f"{name}: each further one", f"{1000 * median:.1f} ms", compared, on)
    part.notes.append(
        "Machines of libvirt's test driver, in the server's own process: no network takes part but the hung one's: it "
        "takes connections and says nothing. The request that finds it so waits 5 s, the others of the next 10 s "
        "do not; all answers name it."
    )
    return part


def _measure(home: Path, uris: dict[str, str], number: int) -> tuple[float, list[float], int]:
    home.mkdir()

    def prepare(database: Database) -> None:
        with database.write() as session:
            store = SecretStore({}, "")
            for name, uri in uris.items():
                put_hypervisor(session, store, name, uri=uri, allowed=True, virt_type="auto", pool="default")

    with running(home, prepare=prepare) as server:
        first, _ = _ask(server, number, uris)
        asked = [_ask(server, number, uris) for _ in range(ROUNDS)]
    return first, [seconds for seconds, _ in asked], asked[0][1]


def _ask(server: Server, number: int, uris: dict[str, str]) -> tuple[float, int]:
    begin = time.perf_counter()
    answer = server.call("GET", "/virt")
    seconds = time.perf_counter() - begin
    found = answer.text.count("<domain>"), answer.text.count("<silent>")
    if found != (number, len(uris) - HYPERVISORS):
        raise BenchError(f"/virt has {found[0]} machines and {found[1]} silent hypervisors")
    return seconds, len(answer.content)


def _hypervisor(folder: Path, index: int) -> str:
    return node(folder / f"h{index}.xml", {f"m{index}-{number}": "admin" for number in range(MACHINES)})


@contextmanager
def _hung() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as listener:  # the kernel accepts, and nobody says anything
        yield f"qemu+tcp://127.0.0.1:{listener.getsockname()[1]}/system"

"""Send GETs over a few kept-alive connections as fast as the answers come: `client.py HOST PORT SECONDS CONNECTIONS`.

The paths and the Authorization header come as JSON on standard input. A process of its own, with no HTTP library, so
that little of what is measured is the client's.
"""

import asyncio
import itertools
import json
import re
import sys
import time

LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)


async def main(host: str, port: int, seconds: float, connections: int) -> None:
    wanted = json.load(sys.stdin)
    paths = itertools.cycle(wanted["paths"])
    tail = f" HTTP/1.1\r\nHost: {host}:{port}\r\nAuthorization: {wanted['authorization']}\r\n\r\n"
    begin = time.perf_counter()
    took: list[float] = []
    size = [0]

    async def ask() -> None:
        reader, writer = await asyncio.open_connection(host, port, limit=1 << 24)
        while (sent := time.perf_counter()) < begin + seconds:
            writer.write(f"GET {next(paths)}{tail}".encode())
            head = await reader.readuntil(b"\r\n\r\n")
            length = LENGTH.search(head)
            if not head.startswith(b"HTTP/1.1 200") or not length:
                sys.exit(f"answered {head!r}")
            size[0] = len(await reader.readexactly(int(length[1])))
            took.append(time.perf_counter() - sent)
        writer.close()

    await asyncio.gather(*(ask() for _ in range(connections)))
    elapsed = time.perf_counter() - begin
    took.sort()
    figures = {"requests": len(took), "a_second": len(took) / elapsed, "bytes": size[0]}
    figures |= {"median_ms": took[len(took) // 2] * 1000, "p99_ms": took[len(took) * 99 // 100] * 1000}
    print(json.dumps({**figures, "client_ms": time.process_time() * 1000 / len(took)}))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])))

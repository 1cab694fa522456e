"""Send a server everything its OpenAPI document allows and forbids: `PYTHONPATH=tests python -m fuzz [--seconds 600]`.

The server runs in a network namespace that has nothing but its loopback, so whatever address it is given leads nowhere.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import httpx

BIN = Path(sys.executable).parent
ENDPOINT = "http://127.0.0.1:8000"
CONFIG = Path(__file__).with_name("schemathesis.toml")
MARKER = "COMMISSAIRE_FUZZ_ALONE"
OF_HYPERVISORS = r"^/(hosts?|networks|virt)(/|$)|^/api/v1/(hypervisors|machines|vm-networks|guests)(/|$)"
"""Nobody works here, and hypervisors fail, which is a 502: tests/api/test_openapi.py has these, on a test driver."""


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m fuzz", description="Fuzz a server by its OpenAPI document.")
    parser.add_argument("--seconds", type=int, default=600, help="how long (default: 600)")
    parser.add_argument("--folder", type=Path, help="where the server's log and the report stay (default: nowhere)")
    parser.add_argument("rest", nargs="*", metavar="OPTION", help="options for schemathesis, after --")
    arguments = parser.parse_args(argv)
    if MARKER not in os.environ:
        return _alone(sys.argv[1:] if argv is None else list(argv))
    if arguments.folder:
        arguments.folder.mkdir(parents=True, exist_ok=True)
        return _fuzz(arguments.folder, arguments.seconds, arguments.rest)
    with tempfile.TemporaryDirectory() as folder:
        return _fuzz(Path(folder), arguments.seconds, arguments.rest)


def _alone(arguments: list[str]) -> int:
    """Do the same in a network namespace of its own."""
    script = 'ip link set lo up && exec "$@"'
    command = ["unshare", "--net", "sh", "-c", script, "sh", sys.executable, "-m", "fuzz", *arguments]
    return subprocess.run(command, env={**os.environ, MARKER: "1"}, check=False).returncode


def _fuzz(folder: Path, seconds: int, options: list[str]) -> int:
    log = folder / "server.log"
    server = _start(folder, log)
    try:
        credentials = json.loads((folder / ".commissaire.json").read_text())
        command = [str(BIN / "schemathesis"), "--config-file", str(CONFIG), "run", f"{ENDPOINT}/openapi.json"]
        command += [f"--max-time={seconds}", f"--exclude-path-regex={OF_HYPERVISORS}"]
        command += [f"--auth={credentials['username']}:{credentials['password']}", "--continue-on-failure", *options]
        code = subprocess.run(command, cwd=folder, check=False).returncode
        alive = server.poll() is None
    finally:
        server.terminate()
        server.wait(30)
    faults = [line for line in log.read_text().splitlines() if "unexpected_error" in line or '"status": 5' in line]
    print(*faults[:20], sep="\n")
    print(f"{len(faults)} faults in the server's log; the server {'lived' if alive else 'DIED'}")
    return code or (1 if faults or not alive else 0)


def _start(folder: Path, log: Path) -> subprocess.Popen[bytes]:
    command = [str(BIN / "commissaire-server"), "--no-config-file", "--data-dir", str(folder / "data"), "--workers=0"]
    with log.open("wb") as output:
        environment = {**os.environ, "HOME": str(folder), "COMMISSAIRE_LOCAL_HYPERVISOR": ""}
        server = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and server.poll() is None:
        try:
            if httpx.get(f"{ENDPOINT}/readyz", trust_env=False).status_code == 200:
                return server
        except httpx.TransportError:
            time.sleep(0.2)
    server.kill()
    raise SystemExit(f"the server did not start:\n{log.read_text()}")


if __name__ == "__main__":
    sys.exit(main())

"""agentupdate: the new version is checked and tried, and takes over or not."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import signal
import socket
import subprocess
import threading
import time
import zipapp
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from singularity import signature, update
from singularity.errors import Refused
from singularity.functions import agentupdate
from unit.guest_agent.agent_daemon import InstalledAgent, gone, installed
from unit.guest_agent.agent_doubles import MemoryFiles, build_program, memory_guest
from unit.waiting import until

BACKENDS = [signature.by_libcrypto, signature.by_cryptography]


@pytest.fixture
def agent() -> Iterator[InstalledAgent]:
    with installed() as made:
        yield made


def md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


def program(path: Path, text: str) -> Path:
    source = path.with_suffix(".source")
    source.mkdir()
    (source / "__main__.py").write_text(text)
    zipapp.create_archive(source, path)
    return path


def offer(agent: InstalledAgent, path: Path, digest: str = "") -> dict[str, str]:
    return agent.ask("agentupdate", f"file://{path},{digest or md5(path)}")


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  as its base calls it
        """Say nothing."""


@pytest.fixture
def web(tmp_path: Path) -> Iterator[str]:
    """A web server of the test's folder."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_new_version_takes_over_in_the_same_process(agent: InstalledAgent, tmp_path: Path, web: str) -> None:
    new = build_program(tmp_path / "new", "1.2.3")
    agent.daemon("start")
    pid, former = agent.pid(), agent.program.read_bytes()
    answer = agent.ask("agentupdate", f"{web}/new,{md5(new)}")
    assert answer == {"message": "", "returncode": "0"}
    until(lambda: agent.ask("version")["message"] == "1.2.3")
    assert agent.pid() == pid
    assert agent.program.read_bytes() == new.read_bytes()
    assert Path(f"{agent.program}.former").read_bytes() == former
    assert os.access(agent.program, os.X_OK)
    assert agent.daemon("stop").returncode == 0


def test_a_version_that_passes_its_trial_and_does_not_take_over_is_put_back(
    agent: InstalledAgent, tmp_path: Path
) -> None:
    beginning = "import sys\nif not any('trial-' in word for word in sys.argv):\n    raise SystemExit(3)\n"
    new = build_program(tmp_path / "new", "1.2.3", beginning=beginning)
    agent.daemon("start")
    former, version = agent.program.read_bytes(), agent.ask("version")["message"]
    assert agent.ask("agentupdate", f"file://{new},{md5(new)}")["returncode"] == "0"
    until(lambda: Path(f"{agent.program}.former").exists())
    until(lambda: agent.program.read_bytes() == former)
    until(lambda: agent.daemon("status").returncode == 0)
    assert agent.ask("version")["message"] == version
    assert agent.daemon("stop").returncode == 0


def test_a_takeover_waits_for_a_password_whose_key_is_there(agent: InstalledAgent, tmp_path: Path) -> None:
    new = build_program(tmp_path / "new", "1.2.3")
    agent.daemon("start")
    assert offer(agent, new)["returncode"] == "0"
    assert agent.ask("keyinit", "5")["returncode"] == "D0"
    time.sleep(1.5)
    assert agent.ask("version")["message"] == "1.0.0"
    assert agent.ask("password", "AAAA")["message"] == "Invalid password data received", "the key was there"
    until(lambda: agent.ask("version")["message"] == "1.2.3")


def test_an_update_by_the_command_leaves_the_file_of_a_daemon_that_runs_alone(
    agent: InstalledAgent, tmp_path: Path
) -> None:
    new = build_program(tmp_path / "new", "1.2.3")
    cache = agent.root / "var/cache/singularity"
    cache.mkdir(parents=True)
    (cache / "update.json").write_text(json.dumps(f"file://{new},{md5(new)}"))
    agent.daemon("start")
    refused = agent.run("apply", "update")
    said = f"The daemon runs, as process {agent.pid()}, and can't do without its file; stop it first"
    assert (refused.returncode, refused.stderr) == (1, f"singularity: update: {said}\n")
    assert agent.ask("features")["returncode"] == "0"
    agent.daemon("stop")
    assert agent.run("apply", "update").returncode == 0
    assert agent.program.read_bytes() == new.read_bytes()


def test_who_stops_the_agent_before_a_takeover_keeps_it(agent: InstalledAgent, tmp_path: Path) -> None:
    new = build_program(tmp_path / "new", "1.2.3")
    agent.daemon("start")
    before = agent.program.read_bytes()
    assert offer(agent, new)["returncode"] == "0"
    assert agent.daemon("restart").returncode == 0
    assert agent.ask("version")["message"] == "1.0.0"
    assert agent.program.read_bytes() == before
    assert list(agent.folder.glob("*.new")) == []


def killed_in_the_midst(agent: InstalledAgent, url: str, digest: str, begun: Callable[[], bool]) -> None:
    """Ask for an update, and kill the agent when it has begun something of it."""
    with socket.socket(socket.AF_UNIX) as host:
        agent.ask("version")
        host.connect(str(agent.socket))
        host.sendall(json.dumps({"name": "agentupdate", "value": f"{url},{digest}"}).encode() + b"\n\n")
        until(begun)
        os.kill(agent.pid(), signal.SIGKILL)
        until(lambda: gone(agent.pid()))


def test_an_agent_that_was_killed_while_it_fetched_is_started_at_once(agent: InstalledAgent) -> None:
    agent.daemon("start")
    with socket.create_server(("127.0.0.1", 0)) as silent, ExitStack() as stack:
        silent.settimeout(10)

        def asked() -> bool:
            return bool(stack.enter_context(silent.accept()[0]))

        killed_in_the_midst(agent, f"http://127.0.0.1:{silent.getsockname()[1]}/x", "0" * 32, asked)
        assert agent.daemon("status").returncode == 3
        started = agent.daemon("start")
        assert (started.returncode, started.stdout) == (0, "")
        assert agent.ask("version")["returncode"] == "0"


def test_a_trial_does_not_outlive_the_agent_and_what_it_leaves_is_swept(
    agent: InstalledAgent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    beginning = "import sys, time\nif any('trial-' in word for word in sys.argv):\n    time.sleep(60)\n"
    new = build_program(tmp_path / "new", "1.2.3", beginning=beginning)
    run = agent.root / "run/singularity"

    def trials() -> list[int]:
        found = subprocess.run(["pgrep", "-f", f"{agent.program}.*new.*trial-"], capture_output=True, check=False)
        return [int(pid) for pid in found.stdout.split()]

    agent.daemon("start")
    killed_in_the_midst(agent, f"file://{new}", md5(new), lambda: bool(trials()))
    until(lambda: not trials())
    left = [*agent.folder.glob("singularity.*.new"), *run.glob("trial-*")]
    assert len(left) == 2
    others = [run / "trial-balance", agent.folder / "singularity.conf.new", agent.folder / "singularity.0123abcd.news"]
    for path in others:
        path.touch()
    agent.daemon("start")
    assert all(path.exists() for path in left), "another's update may be under way"
    agent.daemon("stop")
    for path in (*left, *others):
        os.utime(path, (0, 0))
    agent.daemon("start")
    assert [path.exists() for path in (*left, *others)] == [False] * 2 + [True] * 3
    assert agent.ask("version")["message"] == "1.0.0"


def test_the_host_may_send_an_object_and_a_better_digest(agent: InstalledAgent, tmp_path: Path) -> None:
    new = build_program(tmp_path / "new", "2.0")
    agent.daemon("start")
    value = {"url": f"file://{new}", "sha256": hashlib.sha256(new.read_bytes()).hexdigest()}
    assert agent.ask("agentupdate", value)["returncode"] == "0"
    until(lambda: agent.ask("version")["message"] == "2.0")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("raise SystemExit(3)", "The new version does not run: it ends at once, with status 3"),
        ("import singularity.nothing", "The new version does not run: it ends at once, with status 1"),
        ("import time\ntime.sleep(60)", "The new version does not answer"),
    ],
)
def test_a_version_that_does_not_answer_changes_nothing(
    agent: InstalledAgent, tmp_path: Path, text: str, said: str
) -> None:
    agent.daemon("start")
    pid, before = agent.pid(), agent.program.read_bytes()
    assert offer(agent, program(tmp_path / "bad", text)) == {"returncode": "500", "message": said}
    assert agent.ask("version")["message"] == "1.0.0"
    assert (agent.pid(), agent.program.read_bytes()) == (pid, before)
    assert {path.name for path in agent.folder.iterdir()} == {
        "root",
        "socket",
        "log",
        "singularity",
        "singularity.source",
    }


def test_a_version_that_is_none_is_refused(agent: InstalledAgent, tmp_path: Path) -> None:
    agent.daemon("start")
    assert "version that is none" in offer(agent, build_program(tmp_path / "new", "one"))["message"]


def test_what_can_not_be_installed_is_refused(agent: InstalledAgent, tmp_path: Path, web: str) -> None:
    agent.daemon("start")
    text = tmp_path / "text"
    text.write_text("no program")
    new = build_program(tmp_path / "new")
    refusals = {
        (f"file://{text},{md5(text)}"): "The new version is no program of one file, as zipapp makes them",
        (f"file://{new},{'0' * 32}"): "The new version has another digest than it should have",
        (f"file://{new},123"): "The digest is none of md5, sha256, sha512",
        (f"{web}/absent,{'0' * 32}"): "The new version can't be fetched: the server answers 404",
        (f"http://127.0.0.1:1/x,{'0' * 32}"): "The new version can't be fetched: [Errno 111] Connection refused",
        (f"ftp://127.0.0.1/x,{'0' * 32}"): "ftp can't be fetched from: a URL begins with http, https, file",
        "nonsense": "agentupdate needs a URL and a digest",
    }
    assert {value: agent.ask("agentupdate", value)["message"] for value in refusals} == refusals
    assert agent.ask("version")["message"] == "1.0.0"


@pytest.mark.parametrize(
    "value", [None, 5, "", ",", "x,", ",x", [], {}, {"url": 1, "md5": "x"}, {"url": "x", "md5": 1}]
)
def test_what_names_no_url_and_digest_is_refused(value: Any) -> None:
    with pytest.raises(Refused, match="agentupdate needs a URL and a digest"):
        agentupdate.answer(value, memory_guest(), None)


def test_a_program_that_is_not_one_file_is_not_replaced() -> None:
    with pytest.raises(Refused, match="not installed as one file"):
        agentupdate.answer(f"file:///x,{'0' * 32}", memory_guest(), None)


def test_with_a_key_updates_must_be_signed(agent: InstalledAgent, tmp_path: Path, web: str) -> None:
    private, public = keys(tmp_path, "EC")
    new = build_program(tmp_path / "new", "1.1")
    agent.daemon("--update-key", str(public), "start")
    assert "can't be fetched: the server answers 404" in agent.ask("agentupdate", f"{web}/new,{md5(new)}")["message"]
    wrong = {"url": f"{web}/new", "md5sum": md5(new), "signature": base64.b64encode(b"x" * 70).decode()}
    assert agent.ask("agentupdate", wrong)["message"] == "The new version is not signed by the key that signs updates"
    (tmp_path / "new.sig").write_bytes(sign(private, new))
    assert agent.ask("agentupdate", f"{web}/new,{md5(new)}")["returncode"] == "0"
    until(lambda: agent.ask("version")["message"] == "1.1")


def keys(folder: Path, kind: str) -> tuple[Path, Path]:
    private, public = folder / "private.pem", folder / "public.pem"
    options = {"EC": ["-pkeyopt", "ec_paramgen_curve:P-256"], "RSA": [], "ED25519": []}[kind]
    subprocess.run(
        ["openssl", "genpkey", "-algorithm", kind, *options, "-out", private], check=True, capture_output=True
    )
    subprocess.run(["openssl", "pkey", "-in", private, "-pubout", "-out", public], check=True, capture_output=True)
    return private, public


def sign(private: Path, path: Path) -> bytes:
    made = path.with_suffix(".signature")
    commands = (
        ["openssl", "dgst", "-sha256", "-sign", private, "-out", made, path],
        ["openssl", "pkeyutl", "-sign", "-rawin", "-inkey", private, "-in", path, "-out", made],
    )
    assert any(subprocess.run(command, capture_output=True, check=False).returncode == 0 for command in commands)
    return made.read_bytes()


@pytest.mark.parametrize("kind", ["EC", "RSA", "ED25519"])
def test_a_signature_is_verified_by_whatever_the_guest_has(kind: str, tmp_path: Path) -> None:
    private, public = keys(tmp_path, kind)
    path = tmp_path / "program"
    path.write_bytes(b"program" * 100)
    made = sign(private, path)
    wrong = bytes([made[0]]) + made[1:-1] + bytes([made[-1] ^ 1])
    for backend in BACKENDS:
        assert backend(public.read_bytes(), made, path.read_bytes())
        assert not backend(public.read_bytes(), made, path.read_bytes() + b"x")
        assert not backend(public.read_bytes(), wrong, path.read_bytes())
        with pytest.raises(Refused, match="no public key in PEM form"):
            backend(b"nonsense", made, path.read_bytes())
    assert signature.by_openssl(str(public), made, str(path))
    assert not signature.by_openssl(str(public), wrong, str(path))
    assert signature.verify(str(public), made, str(path))


def test_apply_update_fetches_what_was_asked_for_last_unless_it_is_there(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    guest = memory_guest(noop=True)
    agentupdate.apply(guest)
    present = build_program(tmp_path / "singularity")
    monkeypatch.setattr("sys.argv", [str(present)])
    guest.cache.write("update", f"http://127.0.0.1/same,{md5(present)}")
    agentupdate.apply(guest)
    files: Any = guest.files
    assert isinstance(files, MemoryFiles)
    assert files.diffs == []
    guest.cache.write("update", json.loads(json.dumps(f"http://127.0.0.1/other,{'0' * 32}")))
    agentupdate.apply(guest)
    assert files.diffs == ["the agent would be replaced by http://127.0.0.1/other\n"]
    assert update.program() == str(present)

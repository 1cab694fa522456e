"""Secrets stay where they belong: canaries are planted, and looked for wherever they could have leaked to."""

from __future__ import annotations

import base64
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import Lab

from .controller import Controller

pytestmark = pytest.mark.integration


@pytest.fixture
def controller(lab: Lab, tmp_path: Path) -> Iterator[Controller]:
    """A server of the test's own, logging everything."""
    with Controller(lab, tmp_path, "--debug") as controller:
        yield controller


class Search(threading.Thread):
    """Looks for needles in every process' arguments and environment, and in files, as long as it runs."""

    def __init__(self, needles: list[bytes], folders: list[Path], excused: list[Path]) -> None:
        super().__init__(daemon=True)
        self.needles = needles
        self.folders = folders
        self.excused = excused
        self.found: set[str] = set()
        self.seen: set[str] = set()
        self.stopping = threading.Event()

    def run(self) -> None:
        """Look until told to stop."""
        while not self.stopping.wait(0.02):
            self.look()

    def look(self) -> None:
        """Look once."""
        places = [
            place for folder in Path("/proc").glob("[0-9]*") for place in (folder / "cmdline", folder / "environ")
        ]
        for folder in self.folders:
            for root, _, names in os.walk(folder):  # not rglob: folders vanish under it
                paths = (Path(root, name) for name in names)
                places.extend(path for path in paths if path not in self.excused and path.is_file())
        for place in places:
            try:
                content = place.read_bytes()
            except OSError:
                continue
            if place.name == "cmdline":
                self.seen.add(content.replace(b"\0", b" ").decode(errors="replace"))
            if any(needle in content for needle in self.needles):
                self.found.add(f"{place}: {content[:200]!r}")


def test_keys_and_passwords_appear_nowhere(controller: Controller, tmp_path: Path) -> None:
    _, password = controller.credentials
    private = controller.lab.private_key.read_text()
    encoded = base64.b64encode(private.encode()).decode()
    lines = [line for line in private.splitlines() if "PRIVATE KEY" not in line and len(line) > 40]
    needles = [text.encode() for text in (*lines, encoded[:60], encoded[60:160], password)]
    commctl_configuration = controller.home / ".commissaire.json"
    search = Search(needles, [tmp_path, Path("/dev/shm")], [commctl_configuration, controller.log])
    answers = []
    search.start()
    try:
        controller.add_hosts("web")
        operation = controller.restart("web", max_unavailable=3)
        assert controller.ended(operation)["state"] == "finished"
        paths = (operation, f"{operation}/hosts", f"{operation}/events", "/api/v1/inventory", "/api/v0/hosts")
        answers.extend(controller.ask("GET", path).text for path in paths)
        answers.append(controller.ask("PUT", "/api/v0/host/10.77.0.99", {"ssh_priv_key": 5, "cluster": encoded}).text)
        answers.append(controller.ask("GET", "/metrics").text)
    finally:
        search.stopping.set()
        search.join()
    assert any("ansible-playbook" in line for line in search.seen), "the search saw the playbooks run"
    search.look()
    assert search.found == set()

    log = controller.log.read_text()
    assert log.count(password) == 1, "shown once at the first start"
    log = log.replace(password, "", 1)
    journals = [
        host.run(["journalctl", "--no-pager"], capture_output=True, text=True).stdout for host in controller.lab.hosts
    ]
    for text in [log, *answers, *journals]:
        assert not any(needle.decode() in text for needle in needles)
    assert controller.stop() == 0
    database = b"".join(path.read_bytes() for path in controller.data_dir.glob("commissaire.db*"))
    assert not any(needle in database for needle in needles)
    for name in ("master.key", "users.json"):
        assert (controller.data_dir / name).stat().st_mode & 0o077 == 0
    assert commctl_configuration.stat().st_mode & 0o077 == 0
    assert list((controller.data_dir / "operations").iterdir()) == []

"""The place where operations are recorded goes away while one runs, and comes back: it goes on by itself."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lab import Lab

from .controller import Controller
from .postgresql import PostgreSQL

pytestmark = pytest.mark.integration

GONE_SECONDS = 20
"""Twice as long as it takes until a server without a heartbeat counts as gone."""


def test_a_database_that_is_gone_for_a_while_stops_a_restart_which_then_goes_on(lab: Lab, tmp_path: Path) -> None:
    with PostgreSQL() as database, Controller(lab, tmp_path, "--database-url", database.url) as controller:
        controller.add_hosts("web")
        with goes_on_by_itself(controller):
            database.stop()
            time.sleep(GONE_SECONDS)
            assert controller.ask("GET", "/readyz").status_code == 503
            assert controller.processes_of_playbooks() == []
            database.start()


def test_a_full_disk_of_the_server_stops_a_restart_which_goes_on_when_there_is_room(lab: Lab, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32m,mode=0700", "tmpfs", data], check=True)
    try:
        with Controller(lab, tmp_path) as controller:
            controller.add_hosts("web")
            with goes_on_by_itself(controller):
                fill = ["dd", "if=/dev/zero", f"of={data / 'ballast'}", "bs=4k"]
                assert "No space left" in subprocess.run(fill, stderr=subprocess.PIPE, text=True, check=False).stderr
                time.sleep(GONE_SECONDS)
                (data / "ballast").unlink()
    finally:
        subprocess.run(["umount", "--lazy", data], check=True)


@contextmanager
def goes_on_by_itself(controller: Controller) -> Iterator[None]:
    """Run the block once the first host of a restart is away; each must have restarted once in the end."""
    first = controller.lab.hosts[0]
    before = [len(host.boots()) for host in controller.lab.hosts]
    operation = controller.restart("web")
    controller.until(
        controller.phase(operation, first.address, "rebooting", "verifying"), 90, "the first host to go down"
    )
    yield
    back = time.monotonic()
    shown = controller.ended(operation, 240)
    print(f"{shown['attempt']} attempts, ended {time.monotonic() - back:.1f} s after the storage was back")
    assert (shown["state"], shown["message"]) == ("finished", "3 restarted")
    assert [len(host.boots()) for host in controller.lab.hosts] == [number + 1 for number in before]

"""The rulebook, carried out by ansible-rulebook: an operation fails, and its cluster's hosts are checked."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from api.conftest import PASSWORD, USER, checkpoint, settings_in
from api.serving import serving
from commissaire.database import Database
from commissaire.records import OperationState

pytestmark = pytest.mark.integration
ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
PATIENCE_SECONDS = 240  # a Java engine has to start
INVENTORY = """\
all:
  children:
    cluster_web_1: {hosts: {node1: {}}}
    cluster_db: {hosts: {node2: {}}}
  vars:
    ansible_connection: local
    ansible_python_interpreter: "{{ ansible_playbook_python }}"
"""


def until(condition: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert process.poll() is None, log.read_text()[-4000:]
        assert time.monotonic() < deadline, log.read_text()[-4000:]
        time.sleep(0.2)


def test_the_hosts_of_a_cluster_are_checked_when_an_operation_on_it_failed(tmp_path: Path) -> None:
    if shutil.which("java") is None:
        pytest.skip("there is no Java, which ansible-rulebook needs: apt-get install openjdk-17-jre-headless")
    (tmp_path / "inventory.yml").write_text(INVENTORY)
    empty = tmp_path / "commissaire.db"
    database = Database(f"sqlite:///{empty}")
    database.migrate()
    database.close()
    log = tmp_path / "rulebook.log"
    with serving(settings_in(tmp_path, empty)) as (url, fleet), log.open("wb") as output:
        fleet.cluster("web-1", "10.0.0.1")
        environment = {
            **os.environ, "PATH": f"{BIN}:{os.environ['PATH']}", "HOME": str(tmp_path),
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT), "COMMISSAIRE_ENDPOINT": url, "COMMISSAIRE_USERNAME": USER,
            "COMMISSAIRE_PASSWORD": PASSWORD,
        }  # fmt: skip
        process = subprocess.Popen(
            [
                BIN / "ansible-rulebook", "--rulebook", "commissaire.fleet.look_after_failures", "-v",
                "--inventory", str(tmp_path / "inventory.yml"),
                "--env-vars", "COMMISSAIRE_ENDPOINT,COMMISSAIRE_USERNAME,COMMISSAIRE_PASSWORD",
            ],
            cwd=tmp_path, env=environment, stdout=output, stderr=subprocess.STDOUT,
        )  # fmt: skip
        try:
            until(lambda: "listening to the operations of" in log.read_text(), process, log)
            operation = fleet.restart("web-1")
            fleet.claim().write([checkpoint("10.0.0.1", "rebooting", "failed", "no answer")])
            fleet.end(operation, OperationState.FAILED, "1 failed")
            until(lambda: "PLAY RECAP" in log.read_text(), process, log)
        finally:
            process.terminate()
            process.wait(60)
    told = log.read_text()
    assert "PLAY [Look whether hosts can be used]" in told
    recap = told[told.index("PLAY RECAP") :]
    assert "node1" in recap
    assert "node2" not in recap
    assert PASSWORD not in told

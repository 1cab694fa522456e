"""What /proc tells of a play's processes."""

import io
import os
import subprocess
import sys
import time

from ansible.utils.display import Display
from ansible_collections.commissaire.fleet.plugins.plugin_utils.processes import ended_children, leave_behind


def test_a_child_that_has_come_and_gone_is_noticed():
    before = ended_children(os.getpid())
    assert ended_children(os.getpid()) == before
    subprocess.run([sys.executable, "-c", ""], check=True)
    assert ended_children(os.getpid()) != before


def test_of_a_process_that_is_gone_nothing_changes():
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    assert ended_children(child.pid) == ended_children(child.pid) == ""


def test_a_process_that_is_left_behind_says_nothing_to_a_queue_that_it_has_no_more(tmp_path, monkeypatch):
    class Queue:
        def send_display(self, *_arguments, **_options):
            raise OSError("closed")

    for name in ("stdout", "stderr"):  # as a worker of Ansible's has them
        monkeypatch.setattr(sys, name, io.StringIO())
    monkeypatch.setattr(Display(), "_final_q", Queue())
    monkeypatch.setattr(Display(), "verbosity", 3)
    done = tmp_path / "done"

    def work():
        Display().vvv("ESTABLISH SSH CONNECTION")
        Display().warning("not now")
        done.touch()

    leave_behind("test", work)
    deadline = time.monotonic() + 10
    while not done.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)

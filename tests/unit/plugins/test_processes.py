"""What /proc tells of a play's processes."""

import os
import subprocess
import sys

from ansible_collections.commissaire.fleet.plugins.plugin_utils.processes import ended_children


def test_a_child_that_has_come_and_gone_is_noticed():
    before = ended_children(os.getpid())
    assert ended_children(os.getpid()) == before
    subprocess.run([sys.executable, "-c", ""], check=True)
    assert ended_children(os.getpid()) != before


def test_of_a_process_that_is_gone_nothing_changes():
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    assert ended_children(child.pid) == ended_children(child.pid) == ""

"""The process that ends a play that hangs: on processes of this test's, in place of ansible-playbook."""

import contextlib
import signal
import subprocess
import sys
from types import SimpleNamespace

import pytest
from ansible_collections.commissaire.fleet.plugins.plugin_utils import watchdog
from ansible_collections.commissaire.fleet.plugins.plugin_utils.place import Places
from ansible_collections.commissaire.fleet.plugins.plugin_utils.place_file import PlaceFile
from ansible_collections.commissaire.fleet.plugins.plugin_utils.processes import Identity

POLLS = "import time\nwhile True: time.sleep(0.001)"
BLOCKS = "import time\ntime.sleep(600)"


@pytest.fixture
def watched(tmp_path, monkeypatch):
    """Return what runs a program under the watchdog; it returns with what signal that ended, None when it went on."""
    monkeypatch.setattr(watchdog, "LOOK_SECONDS", 0.2)
    monkeypatch.setattr(watchdog, "UNSEEN_LOOKS", 5)
    monkeypatch.setattr(watchdog, "LOOKS", 5)
    monkeypatch.setattr(watchdog, "POLLS", 5)
    places = PlaceFile(str(tmp_path), "play")
    with places.change() as record:
        record.places = Places(held=frozenset("a"))
    mark = tmp_path / "mark"

    def watch(program, looks=15):
        mark.touch()
        left = iter(range(looks))

        def sleep(seconds):
            with contextlib.suppress(subprocess.TimeoutExpired):
                main.wait(seconds)
            if next(left, None) is None:
                mark.unlink()

        monkeypatch.setattr(watchdog, "time", SimpleNamespace(sleep=sleep))
        with (tmp_path / "log").open("a") as log:
            main = subprocess.Popen([sys.executable, "-c", program], stderr=log)
            try:
                watchdog.watch(places, mark, Identity.of(main.pid))
                with contextlib.suppress(subprocess.TimeoutExpired):
                    main.wait(0 if not mark.exists() else 10)
            finally:
                ended = main.poll()
                main.kill()
                main.wait()
        return ended

    return watch


def test_a_play_that_polls_and_has_no_worker_is_ended_and_its_log_is_kept(watched, tmp_path):
    (tmp_path / "log").write_text("what was said before\n")
    assert watched(POLLS) == -signal.SIGTERM
    assert (tmp_path / "log").read_text() == f"what was said before\n{watchdog.HANGS}"


def test_a_play_that_waits_for_something_else_is_left_alone(watched):
    assert watched(BLOCKS) is None


def test_a_play_with_a_worker_that_is_known_to_be_killed_is_ended(watched, monkeypatch):
    monkeypatch.setattr(watchdog.processes, "has_killed_child", lambda _main: True)
    assert watched(BLOCKS) == -signal.SIGTERM


def test_the_watchdog_of_an_earlier_play_ends(tmp_path, monkeypatch):
    left_behind = []
    monkeypatch.setattr(watchdog.processes, "leave_behind", lambda name, _work: left_behind.append(name))
    for play in ("one", "two", "two"):
        watchdog.start(PlaceFile(str(tmp_path), play), str(tmp_path), play)
    assert [path.name for path in tmp_path.glob("commissaire-watchdog-*")] == ["commissaire-watchdog-two"]
    assert len(left_behind) == 2

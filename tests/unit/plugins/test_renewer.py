"""When the renewer of a lease renews it, with a play that is only told of."""

import pytest
from ansible_collections.commissaire.fleet.plugins.plugin_utils import renewer
from ansible_collections.commissaire.fleet.plugins.plugin_utils.machine import NoContactError
from ansible_collections.commissaire.fleet.plugins.plugin_utils.place_file import PlaceFile
from ansible_collections.commissaire.fleet.plugins.plugin_utils.renewer import Note, Renewer

MAIN, WORKING, WAITING = 10, 11, 12


@pytest.fixture
def play(tmp_path, monkeypatch):
    """Return what tells whether the lease is renewed while these processes live, and those are stopped."""
    places = PlaceFile(str(tmp_path), "play")
    with places.change() as record:
        record.waiting[0] = WAITING

    def renews(workers, stopped, answer=True):
        asked = []

        def renew(*arguments):
            asked.append(arguments)
            if isinstance(answer, Exception):
                raise answer
            return answer

        monkeypatch.setattr(renewer.processes, "live_workers", lambda _main: workers)
        monkeypatch.setattr(renewer.processes, "is_stopped", lambda pid: pid in stopped)
        monkeypatch.setattr(renewer.lease, "renew", renew)
        held = Renewer(None, Note.of(str(tmp_path), "play", "h1"), places, 7, 60, MAIN).renew()
        return bool(asked), held

    return renews


@pytest.mark.parametrize(
    ("workers", "stopped", "renewed"),
    [
        (set(), set(), True),
        (set(), {MAIN}, False),
        ({WORKING}, {MAIN}, True),
        ({WORKING}, {MAIN, WORKING}, False),
        ({WAITING}, {MAIN}, False),
        ({WORKING, WAITING}, {MAIN, WORKING}, False),
        (None, {MAIN}, False),
    ],
)
def test_a_suspended_play_keeps_its_leases_while_a_worker_of_it_still_works(play, workers, stopped, renewed):
    assert play(workers, stopped) == (renewed, True)


@pytest.mark.parametrize(
    ("answer", "held"), [(True, True), (False, False), (NoContactError("silent"), True), (OSError("full"), True)]
)
def test_only_a_lease_that_is_lost_is_given_up(play, answer, held):
    assert play(set(), set(), answer) == (True, held)

"""The record that the workers of one play share."""

import multiprocessing

import pytest
from ansible_collections.commissaire.fleet.plugins.plugin_utils.canary import Flight
from ansible_collections.commissaire.fleet.plugins.plugin_utils.place import Places, release, take
from ansible_collections.commissaire.fleet.plugins.plugin_utils.place_file import PlaceFile, Record


def test_a_change_is_there_for_the_next_reader(tmp_path):
    with PlaceFile(str(tmp_path), "play").change() as record:
        record.places = take(record.places, "a")
        record.arrived.add(3)
        record.waiting[4] = 1234
    with PlaceFile(str(tmp_path), "play").change() as record:
        assert record == Record(Places(held=frozenset("a")), {3}, {4: 1234})


def test_only_a_change_makes_a_new_version(tmp_path):
    file = PlaceFile(str(tmp_path), "play")
    assert file.version() is None
    with file.change() as record:
        record.arrived.add(1)
    version = file.version()
    with file.change():
        pass
    assert file.version() == version
    with file.change() as record:
        record.arrived.add(2)
    assert file.version() != version


def test_plays_do_not_share_places(tmp_path):
    with PlaceFile(str(tmp_path), "one").change() as record:
        record.arrived.add(1)
    with PlaceFile(str(tmp_path), "other").change() as record:
        assert record == Record()


def test_workers_that_change_it_at_once_lose_nothing(tmp_path):
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_arrive, args=(str(tmp_path), index)) for index in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(10)
    with PlaceFile(str(tmp_path), "play").change() as record:
        assert record.arrived == set(range(80))


def test_hosts_that_wait_or_are_still_to_come_are_ahead():
    record = Record(arrived={0, 1, 3}, waiting={1: 10, 3: 11})
    assert [record.ahead_of(index) for index in (0, 1, 3, 4)] == [0, 0, 2, 3]


def test_hosts_that_failed_in_an_earlier_play_count_once_and_are_not_waited_for():
    record = Record()
    record.begin({"b": 1, "d": 3}, first=2, now=7.0)
    assert record.places == Places(failed=frozenset("bd"))
    assert record.ahead_of(4) == 2
    assert record.flight() == Flight({"b": 7.0}, frozenset("b"))
    record.places = release(take(record.places, "b"), "b", failed=True)
    assert record.places.failed == frozenset("bd")


def test_a_host_that_seemed_lost_and_ended_well_has_neither_failed_nor_kept_its_place():
    record = Record(Places(held=frozenset("ab")), arrived={0, 1}, waiting={3: 10}, under_way={"a", "b"})
    record.give_up()
    assert (record.lost, record.places) == ({"a", "b"}, Places(kept=frozenset("ab"), failed=frozenset("ab")))
    assert record.arrived == {0, 1, 2}
    give_back(record, "a")
    give_back(record, "b", failed=True)
    assert (record.lost, record.places) == (set(), Places(failed=frozenset("b")))


def test_a_host_that_is_skipped_was_not_tried_out():
    record = Record(Places(held=frozenset("ab")), first={"a": 0, "b": 0}, under_way={"a", "b"})
    give_back(record, "a", skipped=True)
    give_back(record, "b")
    assert (record.first, record.under_way) == ({"b": 7.0}, set())


def test_hosts_that_left_the_play_are_not_waited_for():
    record = Record(Places(held=frozenset("a")), arrived={0}, under_way={"a"})
    record.leave({"a": 0, "b": 1})
    assert record == Record(Places(kept=frozenset("a"), failed=frozenset("a")), arrived={0, 1})


@pytest.mark.parametrize(
    ("held", "waiting", "forks", "alone"),
    [("", {1: 10}, 2, True), ("", {1: 10, 2: 11}, 3, False), ("", {1: 10}, None, False), ("a", {1: 10}, 2, False)],
)
def test_nobody_comes_once_all_forks_wait(held, waiting, forks, alone):
    record = Record(Places(held=frozenset(held)), waiting=waiting)
    assert record.nobody_comes(2, forks) is alone


def give_back(record, host, failed=False, skipped=False):
    record.release(host, failed=failed, out_of_service=False, stop=False, skipped=skipped, now=7.0)


def _arrive(directory: str, index: int) -> None:
    for step in range(10):
        with PlaceFile(directory, "play").change() as record:
            record.arrived.add(index * 10 + step)

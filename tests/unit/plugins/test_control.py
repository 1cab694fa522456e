"""The file that pauses or stops a rolling play."""

import pytest
from ansible_collections.commissaire.fleet.plugins.plugin_utils.control import plan_control


@pytest.mark.parametrize(
    ("text", "action", "message"),
    [
        ("pause the database is busy\n", "pause", "paused: the database is busy"),
        ("stop\n", "refuse", "says stop"),
        ("stop enough for today\nmore", "refuse", "not started: enough for today"),
        ("", None, ""),
        ("go on\n", None, ""),
    ],
)
def test_its_first_line_is_what_counts(tmp_path, text, action, message):
    file = tmp_path / "control"
    file.write_text(text)
    decision = plan_control(str(file))
    assert (decision and decision.action) == action
    assert not decision or message in decision.message


def test_no_file_stops_nothing_and_an_unreadable_one_pauses(tmp_path):
    assert plan_control("") is None
    assert plan_control(str(tmp_path / "none")) is None
    assert plan_control(str(tmp_path)).action == "pause"

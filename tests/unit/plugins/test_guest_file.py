"""What is to be done to a file within a guest."""

import pytest
from ansible_collections.commissaire.fleet.plugins.module_utils.guest_file import (
    GuestFile,
    Wanted,
    is_secret,
    octal,
    plan_file,
    shown,
)

THERE = GuestFile(b"old", "0640", ("ann", "1000"), ("users", "100"))
CASES = {
    "nothing is wanted": (THERE, Wanted(), None),
    "it is so": (THERE, Wanted(b"old", "0640", "ann", "users"), None),
    "owners by number": (THERE, Wanted(b"old", owner="1000", group="100"), None),
    "other content": (THERE, Wanted(b"new"), Wanted(b"new")),
    "other mode": (THERE, Wanted(b"old", "0600"), Wanted(mode="0600")),
    "other owner": (THERE, Wanted(owner="bob", group="users"), Wanted(owner="bob")),
    "other group": (THERE, Wanted(group="0"), Wanted(group="0")),
    "new": (None, Wanted(b""), Wanted(b"", "0644")),
    "new with a mode": (None, Wanted(b"x", "0600", "ann"), Wanted(b"x", "0600", "ann")),
    "more than was read": (GuestFile(b"ol", whole=False), Wanted(b"ol"), Wanted(b"ol")),
    "what is not known differs": (GuestFile(b"old"), Wanted(b"old", "0640", "ann"), Wanted(mode="0640", owner="ann")),
}


@pytest.mark.parametrize("case", CASES)
def test_only_what_differs_is_changed(case):
    before, wanted, plan = CASES[case]
    assert plan_file(before, wanted) == plan


def test_a_file_that_is_missing_needs_content():
    with pytest.raises(ValueError, match="it is not there; give its content"):
        plan_file(None, Wanted(mode="0600"))


@pytest.mark.parametrize(
    ("mode", "digits"),
    [(None, None), ("644", "0644"), ("0600", "0600"), ("4755", "4755"), (0o640, "0640"), (0, "0000")],
)
def test_a_mode_is_four_digits(mode, digits):
    assert octal(mode) == digits


@pytest.mark.parametrize("mode", ["u=rw", "", "0888", "77777", -1])
def test_a_mode_that_is_none_is_refused(mode):
    with pytest.raises(ValueError, match=r"is not octal; write it as '0640'"):
        octal(mode)


def test_what_others_may_not_read_is_secret_and_so_is_what_nobody_knows():
    assert [is_secret(mode) for mode in ("0644", "0640", "0600", None)] == [False, True, True, True]


def test_a_diff_shows_text_of_a_sensible_length():
    assert shown(None, False) == ""
    assert shown(b"text\n", False) == "text\n"
    assert shown(b"text\n", True) == "(the content is not shown)\n"
    assert shown(b"\xff", False) == shown(b"\0", False) == "(binary, 1 bytes)\n"
    assert shown(b"x" * 70000, False) == shown(b"x", False, whole=False) == "(the content is too long to be shown)\n"

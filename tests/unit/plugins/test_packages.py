"""Which packages changed between two listings, and whether that is what was asked for."""

import pytest
from ansible_collections.commissaire.fleet.plugins.plugin_utils.packages import (
    package_changes,
    package_selection,
    unmet_wishes,
)

DPKG = "a 1\nlib:amd64 2\nlib:i386 2\nlinux-image-6.1 6.1-1\npython3.11 3 half-configured\n"
RPM = "a.noarch 1-1\nkernel.x86_64 5-1\nkernel.x86_64 6-1\nlib.i686 1:2-1\nlib.x86_64 1:2-1\npython3.11.x86_64 3-1\n"


@pytest.mark.parametrize(
    ("before", "after", "changes"),
    [
        ("", "", []),
        ("a 1\nb 2\n", "b 2\na 1\n", []),
        ("a 1\nb 2\n", "a 1\nb 3\n", [("b", "2", "3")]),
        ("a 1\n", "a 1\nb 2\n", [("b", None, "2")]),
        ("b 2\na 1\n", "", [("a", "1", None), ("b", "2", None)]),
        ("a 1 half-configured\n", "a 1\n", [("a", "1 half-configured", "1")]),
        ("kernel 5\n", "kernel 6\nkernel 5\n", [("kernel", "5", "5, 6")]),
        ("a 1\r\n\nnonsense\n", "a 1\n", []),
    ],
)
def test_only_what_differs_is_told(before, after, changes):
    assert [tuple(change.values()) for change in package_changes(before, after)] == changes


@pytest.mark.parametrize(
    ("listing", "separator", "wanted", "hold", "selected", "held"),
    [
        (DPKG, ":", [], [], [], []),
        (DPKG, ":", ["b", "lib=3", "a"], [], ["lib=3", "a"], []),
        (DPKG, ":", ["a", "lib=3"], ["lib"], ["a"], ["lib"]),
        (DPKG, ":", ["a"], ["linux-*", "?", "zz*"], [], ["a", "linux-image-6.1"]),
        (DPKG, ":", ["python3"], ["LIB"], [], []),
        (RPM, ".", ["b=1", "lib=1:2", "kernel"], [], ["lib=1:2", "kernel"], []),
        (RPM, ".", ["a", "lib"], ["kernel*", "li?"], ["a"], ["kernel", "lib"]),
        (RPM, ".", ["python3"], ["python3"], [], []),
        (RPM, ".", ["python3.11=3"], ["x86_64"], ["python3.11=3"], []),
        ("", ".", ["a"], ["*"], [], []),
    ],
)
def test_a_host_upgrades_what_it_has_and_does_not_hold(listing, separator, wanted, hold, selected, held):
    assert package_selection(listing, wanted, hold, separator) == {"wanted": selected, "held": held}


@pytest.mark.parametrize(
    ("before", "after", "wanted", "hold", "separator", "unmet"),
    [
        (DPKG, DPKG, ["a", "a=1", "lib=2", "not-there=7"], ["*"], ":", []),
        ("a 1\n", "a 2\n", ["a=3"], [], ":", ["a is 2, not 3"]),
        ("a 1\n", "a 12\n", ["a=1"], [], ":", ["a is 12, not 1"]),
        ("a 1\nb 1\n", "a 2\nb 1\n", [], ["?"], ":", ["a was to be held, but 1 became 2"]),
        ("a 1\n", "", [], ["a"], ":", ["a was to be held, but 1 became none"]),
        ("a 1 half-configured\n", "a 1\n", ["a=1"], ["a"], ":", []),
        (RPM, RPM, ["a=1", "a=1-1", "kernel=5", "kernel=6-1", "lib=2", "lib=1:2", "lib=1:2-1"], ["*"], ".", []),
        (RPM, RPM, ["kernel=7", "lib=2:2", "lib=2-2"], [], ".",
         ["kernel is 5-1, 6-1, not 7", "lib is 1:2-1, not 2:2", "lib is 1:2-1, not 2-2"]),
        ("kernel.x86_64 5-1\n", RPM, [], ["kernel"], ".", ["kernel was to be held, but 5-1 became 5-1, 6-1"]),
    ],
)  # fmt: skip
def test_what_is_not_as_asked_is_told(before, after, wanted, hold, separator, unmet):
    assert unmet_wishes(before, after, wanted, hold, separator) == unmet

"""Which packages changed between two lists."""

import pytest
from ansible_collections.commissaire.fleet.plugins.plugin_utils.packages import package_changes


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

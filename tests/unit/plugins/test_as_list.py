"""What stands for a list."""

import pytest
from ansible_collections.commissaire.fleet.plugins.filter.as_list import as_list


@pytest.mark.parametrize(
    ("value", "parts"),
    [
        ([], []),
        (["a,b", ""], ["a,b", ""]),
        (("a",), ["a"]),
        ("a, b,,c ", ["a", "b", "c"]),
        ("", []),
        (20, [20]),
    ],
)
def test_a_text_is_split_at_its_commas_and_a_list_stays_as_it_is(value, parts):
    assert as_list(value) == parts

"""What zypper 1.14 prints with --xmlout, shortened."""

import pytest
from ansible_collections.commissaire.fleet.plugins.plugin_utils.zypper import zypper_updates

LISTED = """<?xml version='1.0'?>
<stream>
<message type="info">Reading installed packages...</message>
<update-status version="0.6">
<update-list>
<update kind="package" name="app" edition="3-1" arch="noarch" edition-old="1-1"><summary>&lt;b&gt;</summary>
</update>
<update kind="patch" name="TEST-app-2" edition="1" arch="noarch" ><summary>app</summary>
</update></update-list>
</update-status>
</stream>
"""
DRY_RUN = """<?xml version='1.0'?>
<stream>
<install-summary download-size="22144" space-usage-diff="0" packages-to-change="3">
<to-upgrade>
<solvable type="package" name="app" edition="2-1" arch="noarch" edition-old="1-1" summary="&quot;nothing&quot;">
<description>Has nothing in it.</description></solvable>
</to-upgrade>
<to-downgrade>
<solvable type="package" name="tool" edition="1-1" arch="noarch" edition-old="2-1" summary=""></solvable>
</to-downgrade>
<to-install>
<solvable type="package" name="addition" edition="1-1" arch="noarch" summary="has nothing in it"></solvable>
<solvable type="patch" name="TEST-app-2" edition="1" arch="noarch" summary="app"></solvable>
</to-install>
<to-remove>
<solvable type="package" name="old" edition="1-1" arch="noarch" summary=""></solvable>
</to-remove>
</install-summary>
</stream>
"""


@pytest.mark.parametrize(
    ("text", "updates"),
    [
        ("<?xml version='1.0'?>\n<stream>\n</stream>\n", []),
        (LISTED, ["app 1-1 -> 3-1"]),
        (DRY_RUN, ["app 1-1 -> 2-1", "tool 2-1 -> 1-1", "addition 1-1"]),
    ],
)
def test_packages_are_read_and_nothing_else(text, updates):
    assert zypper_updates(text) == updates


@pytest.mark.parametrize("text", ["", "zypper: not found", LISTED[:300]])
def test_what_ends_early_is_no_empty_list(text):
    with pytest.raises(ValueError, match="no end"):
        zypper_updates(text)

"""What cloud-init reads."""

import yaml
from ansible_collections.commissaire.fleet.plugins.modules.vm_seed import _yaml


def test_it_is_yaml_that_says_what_was_asked_for():
    text = 'hi \U0001f600 ä \x7f\x85\u2028 \\ " \t\n'
    asked = {"a": text, "b": ["007", "52:54:00:11:12:12", "no"], "c": 1.5, "d": None}
    assert yaml.safe_load(_yaml(asked)) == asked

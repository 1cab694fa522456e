# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Turn what a role takes into the questions of an AWX survey."""

from __future__ import annotations

DOCUMENTATION = r"""
name: survey_questions
short_description: The questions of an AWX survey, from what a role takes
version_added: 0.1.0
author: The Commissaire authors (@commissaire)
description:
  - Makes a question of each option in a role's C(meta/argument_specs.yml). Lists and dictionaries are left out; AWX has
    no questions for them.
positional: _input
options:
  _input:
    description: The options of an entry point of C(argument_specs), by their names.
    type: dict
    required: true
  prefix:
    description: What the options' names begin with, and the variables that are asked for do not.
    type: str
    default: ""
  leave_out:
    description: Variables that are not asked for.
    type: list
    elements: str
    default: []
  required:
    description: Variables that need an answer.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Show what the survey of an upgrade asks for
  ansible.builtin.debug:
    msg: "{{ specs.argument_specs.main.options | commissaire.fleet.survey_questions(prefix='upgrade_') }}"
  vars:
    specs: "{{ lookup('ansible.builtin.file', 'roles/upgrade/meta/argument_specs.yml') | from_yaml }}"
"""

RETURN = r"""
_value:
  description: Questions as C(spec) of an AWX survey has them.
  type: list
  elements: dict
  sample:
    - variable: reboot
      question_name: Reboot
      question_description: Whether a host reboots when it is upgraded.
      type: multiplechoice
      choices: [when_needed, always, never]
      required: false
      default: when_needed
"""

from typing import Any

from ansible_collections.commissaire.fleet.plugins.plugin_utils import survey


def survey_questions(
    options: dict[str, Any], prefix: str = "", leave_out: list[str] | None = None, required: list[str] | None = None
) -> list[dict[str, Any]]:
    """Return the questions."""
    return survey.survey_questions(options, prefix, leave_out or [], required or [])


class FilterModule:
    """Ansible's way to find filters."""

    def filters(self) -> dict[str, Any]:
        """Return them by name."""
        return {"survey_questions": survey_questions}

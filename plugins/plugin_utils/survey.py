# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Turn what a role takes into the questions of an AWX survey."""

from __future__ import annotations

import re
from typing import Any

TYPES = {"int": "integer", "float": "float", "bool": "multiplechoice", "str": "text", "raw": "text", "path": "text"}
"""AWX's types of questions for Ansible's types of options; lists and dictionaries can't be asked for."""
_MARKUP = re.compile(r"\b[BCIV]\(([^)]*)\)")


def survey_questions(
    options: dict[str, Any], prefix: str, leave_out: list[str], required: list[str]
) -> list[dict[str, Any]]:
    """Return a question for each option (of `argument_specs`), called as the option without `prefix`.

    `leave_out` and `required` are such names. Every question has its default, so that an answer left out is as good
    as a variable left out; one whose default is a template is not asked, for AWX lets Ansible carry no answer out.
    """
    questions = []
    for option, spec in options.items():
        name = option[len(prefix) :] if option.startswith(prefix) else option
        kind = spec.get("type", "str")
        if name in leave_out or kind not in TYPES or "{{" in str(spec.get("default")):
            continue
        answer = "multiplechoice" if spec.get("choices") else "password" if spec.get("no_log") else TYPES[kind]
        question = {
            "variable": name,
            "question_name": name.replace("_", " ").capitalize(),
            "question_description": _plain(spec["description"]),
            "type": answer,
            "default": _default(spec.get("default"), answer),
            "required": name in required,
        }
        if answer == "multiplechoice":
            question["choices"] = [str(choice) for choice in spec.get("choices") or ["true", "false"]]
        questions.append(question)
    return questions


def _plain(description: str | list[str]) -> str:
    text = description if isinstance(description, str) else " ".join(description)
    return " ".join(_MARKUP.sub(r"\1", text).split())


def _default(value: Any, answer: str) -> Any:
    """Return *value* as AWX wants it for this type of answer: it refuses a number for a text."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return value if answer in ("integer", "float") else str(value)

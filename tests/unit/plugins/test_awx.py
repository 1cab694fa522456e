"""The surveys of the job templates for AWX, against the roles and playbooks."""

import re
from pathlib import Path

import pytest
import yaml
from ansible_collections.commissaire.fleet.plugins.plugin_utils.survey import survey_questions

ROOT = Path(__file__).parents[3]
DATA = yaml.safe_load((ROOT / "playbooks/vars/awx.yml").read_text())
TEMPLATES = {template["playbook"]: template for template in DATA["awx_templates"]}
NEEDS_NO_TEMPLATE = {"awx_register"}


def options_of(playbook):
    template = TEMPLATES.get(playbook, {})
    if "options" in template:
        return template["options"]
    role = template.get("role", playbook)
    specs = yaml.safe_load((ROOT / f"roles/{role}/meta/argument_specs.yml").read_text())
    return specs["argument_specs"]["main"]["options"]


CASES = {
    "a number": (
        {"type": "int", "default": 60, "description": "Seconds."},
        {"type": "integer", "default": 60, "question_description": "Seconds."},
    ),
    "a fraction": ({"type": "float", "default": 0.5, "description": "x"}, {"type": "float", "default": 0.5}),
    "a word of some": (
        {"type": "str", "choices": ["a", "b"], "default": "a", "description": "x"},
        {"type": "multiplechoice", "choices": ["a", "b"], "default": "a"},
    ),
    "yes or no": (
        {"type": "bool", "default": False, "description": "x"},
        {"type": "multiplechoice", "choices": ["true", "false"], "default": "false"},
    ),
    "a text": ({"default": "", "description": "x"}, {"type": "text", "default": ""}),
    "a secret": ({"no_log": True, "description": "x"}, {"type": "password", "default": ""}),
    "no default": ({"description": "x"}, {"default": ""}),
    "a description with markup": (
        {"description": ["C(when_needed) asks", "the  host;", "see V(x)."]},
        {"question_description": "when_needed asks the host; see x."},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_an_option_becomes_a_question(case):
    spec, expected = CASES[case]
    (question,) = survey_questions({"role_some_option": spec}, "role_", [], [])
    assert {"variable": "some_option", "question_name": "Some option", "required": False, **expected}.items() <= (
        question.items()
    )


def test_lists_dictionaries_templates_and_what_is_left_out_are_not_asked_for():
    spec = {"description": "x"}
    options = {"r_a": spec, "r_b": spec, "r_c": {**spec, "type": "list"}, "r_d": {**spec, "type": "dict"}}
    options["r_e"] = {**spec, "default": "{{ inventory_hostname }}"}  # AWX would give it on as it stands there
    (question,) = survey_questions(options, "r_", ["a"], ["b"])
    assert (question["variable"], question["required"]) == ("b", True)


def test_what_is_not_logged_is_asked_for_as_a_password():
    options = {"r_a": {"type": "str", "description": "A.", "default": "", "no_log": True}}
    (question,) = survey_questions(options, "r_", [], [])
    assert (question["type"], question["default"]) == ("password", "")


def test_every_playbook_has_a_template():
    assert set(TEMPLATES) == {path.stem for path in (ROOT / "playbooks").glob("*.yml")} - NEEDS_NO_TEMPLATE


def test_what_is_not_asked_for_is_there():
    rolling = {name.removeprefix("rolling_") for name in options_of("rolling")}
    assert set(DATA["awx_not_asked_of_rolling"]) <= rolling
    for name, template in TEMPLATES.items():
        prefix = f"{name}_" if template.get("rolling") else ""
        own = {option.removeprefix(prefix) for option in options_of(name)}
        known = own | rolling if template.get("rolling") else own
        assert {*template.get("not_asked", []), *template.get("required", [])} <= known, name


def questions_of(name):
    """Return what the survey asks for, as playbooks/awx_register.yml has it made."""
    template = TEMPLATES[name]
    rolling = template.get("rolling", False)
    own = survey_questions(
        options_of(name), f"{name}_" if rolling else "", template.get("not_asked", []), template.get("required", [])
    )
    not_asked = DATA["awx_not_asked_of_rolling"] + template.get("not_asked", [])
    return own + (survey_questions(options_of("rolling"), "rolling_", not_asked, []) if rolling else [])


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_survey_asks_for_variables_that_the_playbook_takes_with_their_defaults(name):
    template, questions = TEMPLATES[name], questions_of(name)
    assert "options" not in template or not (ROOT / f"roles/{name}").exists()
    roles = [name, "rolling"] if template.get("rolling") else []
    places = [f"playbooks/{name}.yml", *(f"roles/{role}/defaults/main.yml" for role in roles)]
    taken = "".join((ROOT / place).read_text() for place in places if (ROOT / place).exists())
    variables = [question["variable"] for question in questions]
    assert len(set(variables)) == len(variables)
    for question in questions:
        variable = question["variable"]
        if template.get("rolling"):
            assert re.search(rf"\b{variable} \| default", taken), f"{name} takes no variable {variable}"
            role = "rolling" if f"rolling_{variable}" in options_of("rolling") else name
            default = options_of(role)[f"{role}_{variable}"]["default"]
        else:
            assert "options" not in template or re.search(rf"\b{variable} \| default", taken)
            default = options_of(name)[variable].get("default", "")
        is_number = question["type"] in ("integer", "float")
        told = str(default).lower() if isinstance(default, bool) else default if is_number else str(default)
        assert question["default"] == told
    assert {question["variable"] for question in questions if question["required"]} == set(template.get("required", []))

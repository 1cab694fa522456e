"""The playbook that registers job templates, by the real modules of awx.awx, with a double of AWX: none runs here."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from integration.awx import running_awx
from unit.plugins.test_awx import ROOT, TEMPLATES, questions_of

pytestmark = pytest.mark.integration
BIN = Path(sys.executable).parent


def register(url, *arguments):
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "CONTROLLER_"))
    }
    environment |= {
        "CONTROLLER_HOST": url, "CONTROLLER_USERNAME": "admin", "CONTROLLER_PASSWORD": "secret",
        "COMMISSAIRE_ENDPOINT": "https://commissaire.example.com", "COMMISSAIRE_USERNAME": "awx",
        "COMMISSAIRE_PASSWORD": "{{ s3cret }}", "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json",
    }  # fmt: skip
    command = ["ansible-playbook", "-i", "localhost,", "commissaire.fleet.awx_register", *arguments]
    done = subprocess.run(
        [BIN / command[0], *command[1:]], cwd="/", env=environment, capture_output=True, text=True, check=False
    )
    return done, json.loads(done.stdout[done.stdout.index("{") :])["stats"].get("localhost", {})


def test_the_templates_are_registered_with_their_surveys_and_once():
    with running_awx() as (url, awx):
        project = ("-e", "awx_project_url=https://git.example.com/fleet.git", "-e", "awx_machine_credential=ssh")
        done, stats = register(url, *project)
        assert done.returncode == 0, done.stdout + done.stderr
        assert stats["failures"] == 0
        assert not awx.refused
        assert awx.named("projects")["Commissaire"]["scm_url"] == "https://git.example.com/fleet.git"
        injected = awx.named("credential_types")["Commissaire server"]["injectors"]["env"]
        assert injected["COMMISSAIRE_PASSWORD"] == "{{ password }}"
        inputs = awx.named("credentials")["Commissaire server"]["inputs"]
        assert inputs["password"] == "{{ s3cret }}", "what looks like a template is none"
        assert "s3cret" not in done.stdout
        source = awx.named("inventory_sources")["Commissaire"]
        assert (source["source"], source["source_path"]) == ("scm", "inventory/commissaire.yml")
        assert (ROOT / source["source_path"]).is_file()
        templates = awx.named("job_templates")
        assert set(templates) == {f"Commissaire: {name}" for name in TEMPLATES}
        for name, wanted in TEMPLATES.items():
            template = templates[f"Commissaire: {name}"]
            assert (ROOT / template["playbook"]).is_file()
            assert template["linked"] == [{"id": awx.named("credentials")["ssh"]["id"]}]
            assert awx.surveys.get(template["id"], {"spec": []})["spec"] == questions_of(name)
            variables = json.loads(template["extra_vars"])
            assert variables.get("lease_owner") == ("AWX job {{ awx_job_id }}" if wanted.get("rolling") else None)
        before = len(awx.writes)
        done, stats = register(url, *project)
        assert (done.returncode, stats["changed"]) == (0, 0), done.stdout
        assert awx.writes[before:] == []

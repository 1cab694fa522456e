"""What the variables of roles say, with Ansible's own templating and the hosts' own shell."""

import os
import subprocess
from pathlib import Path

import pytest

yaml = pytest.importorskip("yaml")

ROLES = Path(__file__).parents[3] / "roles"
LISTED = """\
S | Repository | Name | Current Version | Available Version | Arch
--+------------+------+-----------------+-------------------+-------
v | repo-oss   | bash | 5.2-1.1         | 5.2-1.2           | x86_64
"""


@pytest.mark.parametrize(
    ("printed", "code", "asked"),
    [
        (LISTED, 0, (0, "repo-oss   | bash | 5.2-1.1         | 5.2-1.2           | x86_64\n")),
        ("No updates found.\n", 0, (0, "")),
        ("", 7, (7, "")),
        (LISTED, 106, (106, "")),
    ],
)
def test_a_zypper_that_fails_does_not_count_as_one_that_has_nothing_to_upgrade(tmp_path, printed, code, asked):
    (tmp_path / "printed").write_text(printed)
    zypper = tmp_path / "zypper"
    zypper.write_text(f"#!/bin/sh\ncat {tmp_path}/printed\nexit {code}\n")
    zypper.chmod(0o755)
    ask = yaml.safe_load((ROLES / "upgrade/vars/zypper.yml").read_text())["upgrade_ask"]
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(["sh", "-c", ask], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == asked

"""Schemathesis' stateful phase against a real server for a while; `make fuzz` does all phases for longer.

Single requests of every kind to every operation are in tests/api/test_openapi.py.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

UNCERTAIN = "--exclude-checks=positive_data_acceptance,negative_data_rejection"
"""They err now and then in sequences of requests; test_openapi.py has them for single ones."""
TESTS = Path(__file__).parents[1]


@pytest.mark.integration
def test_a_server_answers_whatever_is_sent_to_it_as_its_document_tells(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root, for a network namespace")
    command = [
        sys.executable,
        "-m",
        "fuzz",
        "--seconds",
        "60",
        "--folder",
        str(tmp_path),
        "--",
        "--phases=stateful",
        UNCERTAIN,
    ]
    environment = {**os.environ, "PYTHONPATH": str(TESTS)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr
    assert "Stateful" in done.stdout, done.stdout

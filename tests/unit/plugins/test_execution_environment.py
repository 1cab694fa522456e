"""What ansible-builder installs with the collection, as it says itself."""

import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[3]


def test_ansible_builder_finds_what_the_collection_needs():
    done = subprocess.run(
        [Path(sys.executable).parent / "ansible-builder", "introspect", ROOT],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    found = yaml.safe_load(done.stdout)
    assert found["python"] == ["aiohttp>=3.9  # from collection commissaire.fleet"], found
    assert found["system"] == [
        "openssh-clients [platform:rpm]  # from collection commissaire.fleet",
        "openssh-client [platform:dpkg]  # from collection commissaire.fleet",
    ], found


def test_what_it_names_is_part_of_the_collections_archive():
    files = yaml.safe_load((ROOT / "meta/execution-environment.yml").read_text())["dependencies"].values()
    assert list(files) == ["meta/ee-requirements.txt", "meta/ee-bindep.txt"]
    ignored = yaml.safe_load((ROOT / "galaxy.yml").read_text())["build_ignore"]
    assert not {"meta", "extensions", *files} & set(ignored)

"""With what modules reach a hypervisor that asks who one is."""

import os
from pathlib import Path

import pytest
from ansible_collections.commissaire.fleet.plugins.module_utils.hypervisor_access import (
    Access,
    authentication_file,
    explained,
    way_to,
)

yaml = pytest.importorskip("yaml")
ROOT = Path(__file__).parents[3]


def test_without_credentials_the_uri_is_as_it_was_given():
    with way_to("qemu+ssh://root@h1/system?keyfile=/k", Access()) as uri:
        assert uri == "qemu+ssh://root@h1/system?keyfile=/k"


def test_certificates_are_where_the_uri_says():
    with way_to("qemu+tls://h1/system?mode=direct", Access(pki_path="/etc/my pki")) as uri:
        assert uri == "qemu+tls://h1/system?mode=direct&pkipath=/etc/my%20pki"


def test_ssh_knows_the_key_and_the_hosts_keys_and_trusts_no_other_while_it_is_needed():
    access = Access(private_key_file="/k e'y", known_hosts_file="/known%hosts")
    with way_to("qemu+ssh://root@h1/system", access) as uri:
        before, _, rest = uri.partition("?command=")
        assert before == "qemu+ssh://root@h1/system"
        script = Path(rest.partition("&")[0])
        assert os.access(script, os.X_OK)
        text = script.read_text()
        assert script.parent.stat().st_mode & 0o777 == 0o700
    assert "-o StrictHostKeyChecking=yes" in text
    assert "-o 'UserKnownHostsFile=\"/known%%hosts\"'" in text
    assert """-o 'IdentityFile="/k e'"'"'y"'""" in text
    assert not script.parent.exists()


def test_a_password_is_told_to_a_program_by_a_file_in_memory():
    with authentication_file(Access(username="ann", password="s#3 c=ret")) as descriptor:
        text = Path(f"/dev/fd/{descriptor}").read_text()
    assert "authname=ann\npassword=s#3 c=ret\n" in text
    with authentication_file(Access(pki_path="/pki")) as descriptor:
        assert descriptor is None


@pytest.mark.parametrize("password", [" s3cret", "s3cret\\"])
def test_a_password_that_such_a_file_can_not_hold_is_refused(password):
    with pytest.raises(ValueError, match="can't be told to virt-install"), authentication_file(Access("ann", password)):
        pass


def test_half_of_a_login_is_refused():
    with pytest.raises(ValueError, match="belong together"):
        Access.of({"username": "ann", "password": "", "pki_path": None})


def test_no_representation_shows_a_password():
    assert "s3cret" not in repr(Access.of({"username": "ann", "password": "s3cret"}))


def test_a_refusal_is_told_in_words_that_help():
    said = "Cannot recv data: @@@@\n@ WARNING @\nHost key verification failed.: Connection reset by peer"
    assert explained(said).startswith("its SSH host key is none that is known; ")
    assert explained("no route to host") == "no route to host"


def test_every_module_with_these_options_is_in_the_action_group():
    modules = {path.stem: path.read_text() for path in (ROOT / "plugins/modules").glob("*.py")}
    with_options = {name for name, text in modules.items() if "  - commissaire.fleet.hypervisor\n" in text}
    group = yaml.safe_load((ROOT / "meta/runtime.yml").read_text())["action_groups"]["hypervisor"]
    assert sorted(with_options) == group

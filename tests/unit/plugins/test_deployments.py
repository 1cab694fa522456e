"""What `ostree admin status` of 2022.7 printed, on Debian 12."""

from ansible_collections.commissaire.fleet.plugins.plugin_utils.deployments import read_deployments

A = "63f02915d6c2964c833e4d1964922571ea897a8e6220cfcdcf59048a3ae49b0f"
B = "c71bf5a5a0a769a1eb1149dba70fd10f74553612707069fc21665879ecf87027"
STATUS = f"""  debian {A}.0 (pending)
    Version: 7.2.6
    origin refspec: origin:debian/stable
* debian {B}.1
    origin refspec: origin:debian/stable
    GPG: Signature made Sat 21 Nov 2026
"""


def test_deployments_are_read_in_their_order():
    origin = "origin:debian/stable"
    assert read_deployments(STATUS) == [
        {"osname": "debian", "checksum": A, "booted": False, "version": "7.2.6", "origin": origin},
        {"osname": "debian", "checksum": B, "booted": True, "version": "", "origin": origin},
    ]


def test_no_deployments_are_none():
    assert read_deployments("No deployments.\n") == []
    assert read_deployments("    Version: 7.2.6\n") == []

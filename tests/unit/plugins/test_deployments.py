"""What ostree 2022.7 printed on Debian 12, and what rpm-ostree and bootc print by their documents and schemas."""

import json

import pytest
from ansible_collections.commissaire.fleet.plugins.plugin_utils.deployments import read_deployments

A = "63f02915d6c2964c833e4d1964922571ea897a8e6220cfcdcf59048a3ae49b0f"
B = "c71bf5a5a0a769a1eb1149dba70fd10f74553612707069fc21665879ecf87027"
OSTREE = f"""  debian {A}.0 (pending)
    Version: 7.2.6
    origin refspec: origin:debian/stable
* debian {B}.1
    origin refspec: origin:debian/stable
    GPG: Signature made Sat 21 Nov 2026
"""
RPM_OSTREE = {
    "deployments": [
        {
            "checksum": A,
            "base-checksum": B,
            "version": "41.1",
            "booted": False,
            "origin": "fedora:fedora/41/x86_64/iot",
        },
        {"checksum": B, "booted": True, "container-image-reference": "ostree-unverified-registry:quay.io/os:1"},
    ],
    "transaction": None,
    "cached-update": None,
}


def entry(name: str, digest: str, **more: object) -> dict:
    """Return a BootEntry of bootc's host-v1."""
    image = {
        "image": {"image": f"quay.io/{name}", "transport": "registry"},
        "version": None,
        "timestamp": None,
        "imageDigest": f"sha256:{digest}",
        "architecture": "amd64",
    }
    return {"image": image, "cachedUpdate": None, "incompatible": False, "pinned": False, **more}


def bootc(**status: object) -> str:
    """Return what `bootc status --format json` prints."""
    booted = {
        "type": "bootcHost",
        "staged": None,
        "booted": entry("os:1", B),
        "rollback": None,
        "rollbackQueued": False,
    }
    return json.dumps({"apiVersion": "org.containers.bootc/v1", "kind": "BootcHost", "status": booted | status})


def shown(name: str, digest: str, **more: object) -> dict:
    """Return what is read from such an entry."""
    rest = {"version": "", "booted": False, "staged": False, "download_only": False, "cached": ""}
    return {"checksum": f"sha256:{digest}", "origin": f"quay.io/{name}"} | rest | more


def test_the_deployments_of_ostree_are_read_in_their_order():
    origin = "origin:debian/stable"
    assert read_deployments(OSTREE) == [
        {"checksum": A, "booted": False, "version": "7.2.6", "origin": origin},
        {"checksum": B, "booted": True, "version": "", "origin": origin},
    ]


def test_those_of_rpm_ostree_name_what_is_layered_upon_and_where_they_come_from():
    image = "ostree-unverified-registry:quay.io/os:1"
    assert read_deployments(json.dumps(RPM_OSTREE), "rpm-ostree") == [
        {
            "checksum": A,
            "base_checksum": B,
            "version": "41.1",
            "origin": "fedora:fedora/41/x86_64/iot",
            "booted": False,
        },
        {"checksum": B, "base_checksum": B, "version": "", "origin": image, "booted": True},
    ]


@pytest.mark.parametrize(
    ("status", "read"),
    [
        ({}, [shown("os:1", B, booted=True)]),
        (
            {"staged": entry("os:2", A, downloadOnly=True), "rollback": entry("os:0", A)},
            [
                shown("os:2", A, staged=True, download_only=True),
                shown("os:1", B, booted=True),
                shown("os:0", A),
            ],
        ),
        (
            {"rollback": entry("os:0", A), "rollbackQueued": True},
            [shown("os:0", A), shown("os:1", B, booted=True)],
        ),
        (
            {"booted": entry("os:1", B, cachedUpdate=entry("os:1", A)["image"])},
            [shown("os:1", B, booted=True, cached=f"sha256:{A}")],
        ),
        ({"type": None, "booted": None}, []),
        ({"booted": {"image": None, "incompatible": False, "pinned": False}}, []),
        ({"booted": entry("os:1", B, incompatible=True)}, []),
    ],
)
def test_those_of_bootc_are_read_where_it_can_change_them(status, read):
    assert read_deployments(bootc(**status), "bootc") == read


@pytest.mark.parametrize("system", ["ostree", "rpm-ostree", "bootc"])
def test_no_deployments_are_none(system):
    assert read_deployments("", system) == []
    assert read_deployments("No deployments.\n    Version: 7.2.6\n") == []


def test_an_unknown_program_is_named():
    with pytest.raises(ValueError, match="system is 'dnf'; give one of ostree, rpm-ostree, bootc"):
        read_deployments("", "dnf")

"""A container manager's options as a kubeconfig, and what may not be in one that somebody sends."""

from __future__ import annotations

import base64
from typing import Any

import pytest
import yaml

from commissaire.managers.error import ManagerError
from commissaire.managers.kubeconfig import kubeconfig_of, read_kubeconfig

URL = "https://10.0.0.5:6443"
PEM = "-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----\n"


def parts(content: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    assert content["current-context"] == content["contexts"][0]["name"]
    return content["clusters"][0]["cluster"], content["users"][0]["user"]


def given(cluster: dict[str, Any] | None = None, user: dict[str, Any] | None = None, **more: Any) -> str:
    return yaml.safe_dump(
        {
            "clusters": [{"name": "other", "cluster": {}}, {"name": "c", "cluster": {"server": URL} | (cluster or {})}],
            "users": [{"name": "u", "user": user or {"token": "t"}}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
            "current-context": "x",
            **more,
        }
    )


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    ("options", "cluster", "user"),
    [
        ({"token": "t"}, {}, {"token": "t"}),
        (
            {"client_certificate": PEM, "client_key": "KEY"},
            {},
            {"client-certificate-data": encoded(PEM), "client-key-data": encoded("KEY")},
        ),
        (
            {"certificate_path": "/a.crt", "certificate_key_path": "/a.key"},
            {},
            {"client-certificate": "/a.crt", "client-key": "/a.key"},
        ),
        ({"certificate_authority": "/ca.crt"}, {"certificate-authority": "/ca.crt"}, {}),
        ({"certificate_authority": PEM}, {"certificate-authority-data": encoded(PEM)}, {}),
    ],
)
def test_options_become_a_kubeconfig(options: dict[str, Any], cluster: dict[str, Any], user: dict[str, Any]) -> None:
    assert parts(kubeconfig_of({"server_url": URL, **options})) == ({"server": URL, **cluster}, user)


def test_the_url_of_the_documents_example_is_understood() -> None:
    assert parts(kubeconfig_of({"apiserver": "https://192.168.152.101:8080/api/"}))[0] == {
        "server": "https://192.168.152.101:8080"
    }


def test_of_a_kubeconfig_the_current_context_counts() -> None:
    user = {"client-certificate-data": "YQ==", "client-key-data": "Yg=="}
    assert parts(kubeconfig_of({"kubeconfig": given(user=user)})) == ({"server": URL}, user)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "is no YAML"),
        ("[]", "has no current-context"),
        ("a: b", "has no current-context"),
        (given(**{"current-context": "y"}), "has no context y"),
        (given(contexts=[{"name": "x", "context": {"cluster": "c", "user": "v"}}]), "has no user v"),
        (given(contexts=[{"name": "x", "context": {"cluster": "d", "user": "u"}}]), "has no cluster d"),
        (given(user={"exec": {"command": "id"}}), "has exec, which runs a program"),
        (given(user={"tokenFile": "/etc/shadow"}), "has tokenFile, which names a file"),
        (given(user={"client-key": "/etc/ssl/key"}), "has client-key, which names a file"),
        (given({"insecure-skip-tls-verify": True}), "switches off who the server must be"),
        (given({"proxy-url": "http://evil"}), "through somebody else"),
        (given({"server": "http://10.0.0.5"}), "has a server that is not https://"),
        (given({"server": 5}), "has a server that is no text"),
        (given(user={"token": ["t"]}), "has a token that is no text"),
        (given(user={"client-key-data": "?"}), "has a client-key-data that is no base64"),
        ("[" * 5000, "is no YAML"),
    ],
)
def test_a_kubeconfig_that_makes_the_server_do_something_is_refused(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        read_kubeconfig(text)
    with pytest.raises(ManagerError, match="the option kubeconfig"):
        kubeconfig_of({"kubeconfig": text})


def test_without_a_server_there_is_no_kubeconfig() -> None:
    with pytest.raises(ManagerError, match="have no server_url"):
        kubeconfig_of({"token": "t"})


def test_nothing_else_of_a_kubeconfig_is_kept() -> None:
    user = {"token": "t", "as": "system:admin", "extensions": [{"name": "x" * 1000}]}
    assert parts(read_kubeconfig(given({"extensions": []}, user))) == ({"server": URL}, {"token": "t"})

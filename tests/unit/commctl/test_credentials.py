"""Whom commctl claims to be, and whom it believes: kubeconfigs, tokens, certificates."""

from __future__ import annotations

import base64
import json
import ssl
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from unit.commctl.certificates import Authority
from unit.commctl.server import ScriptedServer, problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from unit.commctl.conftest import Run


@pytest.fixture
def configure(configuration: Path, server: ScriptedServer) -> Callable[..., None]:
    """Write a configuration that leads to *server* and has these keys, too."""
    server.answer("GET", "/api/v0/clusters", 200, [])

    def write(**values: Any) -> None:
        configuration.write_text(json.dumps({"endpoint": server.endpoint, **values}))

    return write


@pytest.fixture
def kubeconfig(tmp_path: Path) -> Callable[[dict[str, Any]], str]:
    """Write a kubeconfig whose current context has this user; another context has another."""

    def write(user: dict[str, Any]) -> str:
        document = {
            "current-context": "here",
            "contexts": [
                {"name": "there", "context": {"cluster": "c", "user": "other"}},
                {"name": "here", "context": {"cluster": "c", "user": "me"}},
            ],
            "users": [{"name": "other", "user": {"token": "wrong"}}, {"name": "me", "user": user}],
        }
        (tmp_path / "kube").mkdir(exist_ok=True)
        (tmp_path / "kube/config").write_text(yaml.safe_dump(document))
        return "kube/config"

    return write


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def tls_server(authority: Authority) -> Iterator[ScriptedServer]:
    """A server that asks for a client certificate, and takes one of the authority's or none."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(authority.path))
    pair = authority.sign("server")
    context.load_cert_chain(pair.certificate, pair.key)
    context.verify_mode = ssl.CERT_OPTIONAL
    with ScriptedServer(tls=context) as server:
        server.answer("GET", "/api/v0/clusters", 200, [])
        yield server


def authorization(server: ScriptedServer) -> str | None:
    return server.requests[-1].headers.get("Authorization")


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        ({"token": "abc"}, "Bearer abc"),
        ({"tokenFile": "token"}, "Bearer from-file"),
        ({"username": "kube", "password": "p:w"}, f"Basic {base64.b64encode(b'kube:p:w').decode()}"),
        ({"token": "abc", "username": "kube", "password": "pw"}, "Bearer abc"),
    ],
)
def test_a_kubeconfigs_current_user_wins_over_username_and_password(
    commctl: Run,
    server: ScriptedServer,
    configure: Callable[..., None],
    kubeconfig: Callable[[dict[str, Any]], str],
    tmp_path: Path,
    user: dict[str, Any],
    expected: str,
) -> None:
    path = kubeconfig(user)
    (tmp_path / "kube/token").write_text("from-file\n")
    configure(kubeconfig=path, username="ignored", password="ignored")
    assert commctl("cluster", "list").code == 0
    assert authorization(server) == expected


def test_a_kubeconfig_is_found_below_the_home_folder(
    commctl: Run, server: ScriptedServer, configure: Callable[..., None], kubeconfig: Callable[[dict[str, Any]], str]
) -> None:
    configure(kubeconfig=f"~/{kubeconfig({'token': 'abc'})}")
    assert commctl("cluster", "list").code == 0
    assert authorization(server) == "Bearer abc"


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (None, "can't be read: No such file or directory"),
        ("{", "is no YAML"),
        ("[]", "has no current-context; choose one: kubectl config use-context NAME"),
        ({"current-context": ""}, "has no current-context"),
        ({"current-context": "gone"}, "has no context gone"),
        ({"users": [{"name": "other"}, 5]}, "has no user me"),
        ({"users": [{"name": "me", "user": {"exec": {}}}]}, "user me has exec, of which commctl can use nothing"),
        ({"users": [{"name": "me"}]}, "user me has nothing, of which commctl can use nothing"),
        ({"users": [{"name": "me", "user": {"token": 5}}]}, "token of user me must be a string"),
        ({"users": [{"name": "me", "user": {"tokenFile": "gone"}}]}, "the token file"),
        (
            {"users": [{"name": "me", "user": {"client-certificate-data": "%"}}]},
            "client-certificate-data of user me is no base64",
        ),
    ],
)
def test_a_kubeconfig_that_makes_no_sense_is_named(
    commctl: Run,
    server: ScriptedServer,
    configure: Callable[..., None],
    kubeconfig: Callable[[dict[str, Any]], str],
    tmp_path: Path,
    change: Any,
    complaint: str,
) -> None:
    path = tmp_path / kubeconfig({"token": "abc"})
    if isinstance(change, dict):
        path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), **change}))
    elif change is None:
        path.unlink()
    else:
        path.write_text(change)
    configure(kubeconfig=str(path))
    result = commctl("cluster", "list")
    assert (result.code, result.out) == (2, "")
    assert complaint in result.err
    assert "kube" in result.err
    assert not server.requests


def test_a_refused_token_names_the_kubeconfig_and_not_the_token(
    commctl: Run, configure: Callable[..., None], server: ScriptedServer, kubeconfig: Callable[[dict[str, Any]], str]
) -> None:
    server.answers.clear()
    server.answer("GET", "/api/v0/clusters", 403, problem(403, "Forbidden", "wrong"))
    configure(kubeconfig=kubeconfig({"token": "abc"}), username="ignored")
    result = commctl("cluster", "list")
    assert "asked as the token's owner" in result.err
    assert "endpoint, kubeconfig from " in result.err
    assert "abc" not in result.err
    assert "ignored" not in result.err


def test_a_private_authority_is_believed_only_when_named(
    commctl: Run, configuration: Path, tls_server: ScriptedServer, authority: Authority
) -> None:
    values = {"endpoint": tls_server.endpoint, "username": "me", "password": "pw"}
    configuration.write_text(json.dumps(values))
    refused = commctl("cluster", "list")
    assert refused.code == 1
    assert "certificate verify failed" in refused.err
    configuration.write_text(json.dumps({**values, "certificate_authority": authority.path.name}))
    assert commctl("cluster", "list").code == 0
    assert authorization(tls_server) == f"Basic {base64.b64encode(b'me:pw').decode()}"


def test_a_client_certificate_is_shown_and_needs_no_name(
    commctl: Run, configuration: Path, tls_server: ScriptedServer, authority: Authority
) -> None:
    pair = authority.sign("robot")
    values = {
        "endpoint": tls_server.endpoint,
        "certificate-authority": str(authority.path),
        "client-certificate": str(pair.certificate),
        "client-key": str(pair.key),
    }
    configuration.write_text(json.dumps(values))
    assert commctl("cluster", "list").code == 0
    assert tls_server.clients == ["robot"]
    assert authorization(tls_server) is None
    configuration.write_text(json.dumps({**values, "username": "me", "password": "pw"}))
    assert commctl("cluster", "list").code == 0
    assert authorization(tls_server) == f"Basic {base64.b64encode(b'me:pw').decode()}"


@pytest.mark.parametrize("inline", [True, False])
def test_a_kubeconfigs_client_certificate_is_shown(
    commctl: Run,
    configuration: Path,
    tls_server: ScriptedServer,
    authority: Authority,
    kubeconfig: Callable[[dict[str, Any]], str],
    inline: bool,
) -> None:
    pair = authority.sign("kube")
    files = {"client-certificate": pair.certificate, "client-key": pair.key}
    user = {name: f"../{path.name}" for name, path in files.items()}
    if inline:
        user = {f"{name}-data": base64.b64encode(path.read_bytes()).decode() for name, path in files.items()}
    values = {"endpoint": tls_server.endpoint, "certificate-authority": "ca.pem", "kubeconfig": kubeconfig(user)}
    configuration.write_text(json.dumps(values))
    assert commctl("cluster", "list").code == 0
    assert tls_server.clients == ["kube"]


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"certificate-authority": "key.pem"}, "certificate-authority holds no certificate in PEM"),
        ({"certificate-authority": "gone"}, "the certificate-authority "),
        ({"client-certificate": "ca.pem"}, "client-certificate and client-key are no pair in PEM"),
        ({"client-certificate": "ca.pem", "client-key": "key.pem"}, "client-certificate and client-key are no pair"),
    ],
)
def test_certificates_that_are_none_are_told(
    commctl: Run, configuration: Path, tmp_path: Path, authority: Authority, values: dict[str, str], complaint: str
) -> None:
    (tmp_path / "key.pem").write_bytes(authority.sign("x").key.read_bytes())
    configuration.write_text(
        json.dumps({"endpoint": "https://127.0.0.1:1", "username": "u", "password": "p", **values})
    )
    result = commctl("cluster", "list")
    assert (result.code, result.out) == (2, "")
    assert complaint in result.err

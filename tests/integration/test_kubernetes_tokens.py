"""Bearer tokens by TokenReview, against a double of the API server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from starlette.testclient import TestClient

from commissaire.app import create_app
from commissaire.auth.entry import User, load
from commissaire.auth.plugin import SignIn
from commissaire.auth.role import Role
from commissaire.configuration import SettingsError
from commissaire.settings import AuthenticationPlugin, Settings
from unit.commctl.certificates import Authority

from .token_reviewer import REVIEWER, REVIEWER_NAME, TokenReviewer, token_reviewer

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def reviewer(authority: Authority) -> Iterator[TokenReviewer]:
    with token_reviewer(authority.sign("server"), authority.path) as made:
        made.users = {
            "token-of-alice": {"username": "alice", "groups": ["dev", "system:authenticated"]},
            "token-of-root": {"username": "root", "groups": ["system:masters", "system:authenticated"]},
            "token-of-robot": {"username": "system:serviceaccount:default:robot"},
        }
        yield made
        assert made.mistakes == []


def identify(options: dict[str, Any], authorization: str, name: str = "kubernetes") -> User | None:
    (entry,) = load([AuthenticationPlugin.model_validate({"name": name, **options})])
    return entry.identify(SignIn({"authorization": authorization}))


def by_token(reviewer: TokenReviewer, authority: Authority) -> dict[str, Any]:
    return {"server_url": reviewer.url, "token": REVIEWER, "certificate_authority": str(authority.path)}


def by_certificate(reviewer: TokenReviewer, authority: Authority) -> dict[str, Any]:
    pair = authority.sign(REVIEWER_NAME)
    return {
        "server_url": reviewer.url, "certificate_path": str(pair.certificate), "certificate_key_path": str(pair.key),
        "certificate_authority": str(authority.path),
    }  # fmt: skip


def by_kubeconfig(reviewer: TokenReviewer, authority: Authority) -> dict[str, Any]:
    document = {
        "apiVersion": "v1", "kind": "Config", "current-context": "here",
        "clusters": [
            {"name": "it", "cluster": {"server": reviewer.url, "certificate-authority": str(authority.path)}}
        ],
        "users": [{"name": "me", "user": {"token": REVIEWER}}],
        "contexts": [{"name": "here", "context": {"cluster": "it", "user": "me"}}],
    }  # fmt: skip
    path = authority.path.with_name("kubeconfig")
    path.write_text(json.dumps(document))
    return {"kubeconfig": str(path)}


@pytest.mark.parametrize("name", ["kubernetes", "openshift", "commissaire_http.authentication.kubernetes"])
@pytest.mark.parametrize("options", [by_token, by_certificate, by_kubeconfig])
def test_a_token_is_reviewed(reviewer: TokenReviewer, authority: Authority, options: Any, name: str) -> None:
    alice = identify(options(reviewer, authority), "Bearer token-of-alice", name)
    assert alice == User("alice", Role.VIEWER, frozenset({"dev", "system:authenticated"}))
    assert identify(options(reviewer, authority), "Bearer token-of-nobody", name) is None
    assert reviewer.asked == ["token-of-alice", "token-of-nobody"]


def test_masters_are_administrators_unless_the_configuration_says_otherwise(
    reviewer: TokenReviewer, authority: Authority
) -> None:
    options = by_token(reviewer, authority)

    def roles(**more: Any) -> list[str]:
        users = [identify({**options, **more}, f"bearer token-of-{name}") for name in ("alice", "root", "robot")]
        return [user.role for user in users if user]

    assert roles() == ["viewer", "administrator", "viewer"]
    assert roles(role="operator") == ["operator", "operator", "operator"]
    by_name = {"group:dev": "operator", "system:serviceaccount:default:robot": "registrar"}
    assert roles(roles=by_name) == ["operator", "viewer", "registrar"]


@pytest.mark.parametrize("authorization", ["", "Bearer", "Bearer  ", "Basic YTpi", "token-of-alice"])
def test_what_is_no_bearer_token_is_not_asked_about(
    reviewer: TokenReviewer, authority: Authority, authorization: str
) -> None:
    assert identify(by_token(reviewer, authority), authorization) is None
    assert reviewer.asked == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"token": "a wrong one"}, "system:auth-delegator"),
        ({"certificate_authority": None}, "CERTIFICATE_VERIFY_FAILED"),
        ({"server_url": "https://127.0.0.1:9"}, "refused"),
    ],
)
def test_a_server_that_can_not_be_asked_is_a_refusal_and_the_log_says_why(
    reviewer: TokenReviewer, authority: Authority, change: dict[str, Any], said: str
) -> None:
    options = {**by_token(reviewer, authority), **change}
    with structlog.testing.capture_logs() as logs:
        assert identify(options, "Bearer token-of-alice") is None
    (line,) = [entry for entry in logs if entry["log_level"] == "error"]
    assert said in str(line)
    assert REVIEWER not in str(line)
    assert reviewer.asked == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "kubernetes: the plugin needs server_url, and either token or certificate_path"),
        ({"server_url": "https://x"}, "either token or certificate_path"),
        ({"token": "x"}, "needs server_url"),
        ({"server_url": "https://x", "certificate_path": "/x"}, "either token or certificate_path"),
        ({"server_url": "https://x", "token": "x", "certificate_authority": "/nowhere"}, "there is no file /nowhere"),
        ({"kubeconfig": "/nowhere"}, "can't use the kubeconfig /nowhere"),
        ({"kubeconfig": "/nowhere", "token": "x"}, "leave the plugin's other options out"),
    ],
)
def test_options_that_can_not_be_used_are_told(options: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        identify(options, "")


def test_the_application_remembers_the_answer_and_asks_for_bearer_tokens(
    reviewer: TokenReviewer, authority: Authority, tmp_path: Path
) -> None:
    plugin = {"name": "openshift", **by_token(reviewer, authority)}
    with TestClient(create_app(Settings(data_dir=tmp_path, workers=0, authentication_plugins=[plugin]))) as client:
        refused = client.get("/api/v1/hosts")
        assert (refused.status_code, refused.headers["WWW-Authenticate"]) == (401, 'Bearer realm="commissaire"')
        headers = {"Authorization": "Bearer token-of-alice"}
        assert [client.get("/api/v0/clusters", headers=headers).status_code for _ in range(3)] == [200] * 3
        assert client.put("/api/v0/cluster/web", headers=headers).status_code == 403
        document = client.get("/openapi.json").json()
    assert reviewer.asked == ["token-of-alice"]
    assert document["security"] == [{"bearer": []}]
    assert document["components"]["securitySchemes"]["bearer"] == {"type": "http", "scheme": "bearer"}

"""Passwords and tokens of a real Keystone."""

from __future__ import annotations

import base64
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import structlog
from starlette.testclient import TestClient

from commissaire.app import create_app
from commissaire.auth import keystone as plugin_module
from commissaire.auth.entry import User, load
from commissaire.auth.httpbasicauth import hash_password
from commissaire.auth.plugin import SignIn
from commissaire.auth.role import Role
from commissaire.configuration import SettingsError
from commissaire.settings import AuthenticationPlugin, Settings
from unit.commctl.certificates import Authority

from .keystone import Keystone, environment, running_keystone

pytestmark = pytest.mark.integration
PASSWORD, TOKEN = "keystonepasswordauth", "keystonetokenauth"


@dataclass
class Site:
    """A Keystone with alice (operator in project fleet), bob (operator in another), another alice in domain other."""

    keystone: Keystone
    options: dict[str, Any]

    def entry(self, name: str, **options: Any) -> Any:
        (entry,) = load([AuthenticationPlugin.model_validate({"name": name, **self.options, **options})])
        return entry

    def password(self, user: str, password: str, **options: Any) -> User | None:
        """Sign in by a password."""
        found: User | None = self.entry(PASSWORD, **options).identify(basic(user, password))
        return found

    def token(self, token: str, **options: Any) -> User | None:
        """Sign in by a token."""
        found: User | None = self.entry(TOKEN, **options).identify(SignIn({"x-auth-token": token}))
        return found


def basic(user: str, password: str) -> SignIn:
    return SignIn({"authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()})


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    try:
        programs = environment()
    except (subprocess.CalledProcessError, OSError) as error:
        pytest.skip(f"needs Keystone from PyPI, which could not be installed: {error}")
    authority = Authority(tmp_path_factory.mktemp("authority"))
    with running_keystone(programs, tmp_path_factory.mktemp("keystone"), authority) as made:
        project = made.make("project", name="fleet", domain_id="default")
        operator = made.make("role", name="fleet-operator")
        alice = made.make("user", name="alice", password="pass:wörd", domain_id="default")
        bob = made.make("user", name="bob", password="secret", domain_id="default")
        other = made.make("domain", name="other")
        made.make("user", name="alice", password="of the other", domain_id=other)
        made.grant(operator, alice, project)
        made.grant(operator, bob, made.make("project", name="bobs", domain_id="default"))
        yield Site(made, {"url": made.url, "certificate_authority": str(authority.path)})


def test_a_password_is_exchanged_at_keystone(site: Site) -> None:
    assert site.password("alice", "pass:wörd") == User("alice", Role.ADMINISTRATOR)
    assert site.password("alice", "wrong") is None
    assert site.password("nobody", "pass:wörd") is None
    assert site.password("alice", "of the other") is None
    assert site.password("alice", "of the other", domain="other") == User("alice", Role.ADMINISTRATOR)
    assert site.password("alice", "pass:wörd", url=f"{site.keystone.url}/v3/") == User("alice", Role.ADMINISTRATOR)


@pytest.mark.parametrize("user", ["", "x" * 300, "\0", "ä\n"])
def test_names_that_can_be_none_are_a_refusal(site: Site, user: str) -> None:
    assert site.password(user, "x") is None


def test_with_a_project_its_roles_are_groups_and_who_has_none_is_refused(site: Site) -> None:
    roles = {"group:fleet-operator": "operator"}
    alice = site.password("alice", "pass:wörd", project="fleet", roles=roles)
    assert alice == User("alice", Role.OPERATOR, frozenset({"fleet-operator"}))
    assert site.password("bob", "secret", project="fleet", roles=roles) is None
    assert site.password("bob", "secret", roles=roles) == User("bob", Role.VIEWER)
    assert site.password("alice", "pass:wörd", project="nowhere") is None


def test_a_token_is_validated(site: Site) -> None:
    scoped = site.keystone.token("alice", "pass:wörd", project="fleet")
    assert site.token(scoped, project="fleet") == User("alice", Role.ADMINISTRATOR, frozenset({"fleet-operator"}))
    assert site.token(site.keystone.token("bob", "secret"), role="viewer") == User("bob", Role.VIEWER)
    for wrong in ("", "nonsense", scoped[:-4], "ä", "x" * 5000):
        assert site.token(wrong) is None


def test_a_role_in_another_project_gives_nothing_here(site: Site) -> None:
    own = site.keystone.token("bob", "secret", project="bobs")
    unscoped = site.keystone.token("bob", "secret")
    roles = {"group:fleet-operator": "operator"}
    assert site.token(own, roles=roles) == User("bob", Role.VIEWER)
    assert site.token(own, project="fleet", roles=roles) is None
    assert site.token(unscoped, project="fleet", roles=roles) is None
    assert site.token(own, project="bobs", roles=roles) == User("bob", Role.OPERATOR, frozenset({"fleet-operator"}))


def test_a_user_of_another_domain_is_told_from_one_of_the_same_name(site: Site) -> None:
    other = site.keystone.token("alice", "of the other", domain="other")
    roles = {"alice": "administrator"}
    assert site.token(other, roles=roles) == User("alice@other", Role.VIEWER)
    assert site.token(other, roles=roles, domain="other") == User("alice", Role.ADMINISTRATOR)


def test_a_revoked_token_is_refused(site: Site) -> None:
    token = site.keystone.token("bob", "secret")
    assert site.token(token) is not None
    site.keystone.client.delete("/v3/auth/tokens", headers={"X-Subject-Token": token}).raise_for_status()
    assert site.token(token) is None


@pytest.mark.parametrize("name", [PASSWORD, TOKEN, f"commissaire_http.authentication.{TOKEN}"])
def test_without_roles_a_warning_names_the_options(site: Site, name: str) -> None:
    with structlog.testing.capture_logs() as logs:
        site.entry(name)
        site.entry(name, role="viewer")
    (warning,) = logs
    assert (warning["event"], warning["plugin"]) == ("role_not_said", name)
    assert "options role and roles" in warning["message"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"url": "keystone:5000"}, r"keystonetokenauth: Keystone's url must be http://"),
        ({"url": "https://x", "certificate_authority": "/nowhere"}, "certificate_authority /nowhere"),
        ({}, "does not take these options"),
    ],
)
def test_options_that_can_not_be_used_are_told(options: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        load([AuthenticationPlugin.model_validate({"name": TOKEN, **options})])


@pytest.mark.parametrize("change", [{"url": "https://127.0.0.1:9"}, {"certificate_authority": None}])
def test_a_keystone_that_can_not_be_asked_is_a_refusal_and_the_log_says_so(site: Site, change: dict[str, Any]) -> None:
    with structlog.testing.capture_logs() as logs:
        assert site.password("alice", "pass:wörd", role="viewer", **change) is None
    assert [entry["event"] for entry in logs] == ["keystone_does_not_answer"]
    assert "pass:w" not in str(logs)


def test_with_keystone_down_the_other_plugins_are_asked_and_it_is_used_again_when_it_is_back(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plugin_module, "_TIMEOUT_SECONDS", 3)
    users = {"local": {"hash": hash_password("secret", rounds=4)}}
    plugins = [
        {"name": PASSWORD, **site.options, "role": "viewer"},
        {"name": TOKEN, **site.options, "role": "operator"},
        {"name": "httpbasicauth", "users": users},
    ]
    settings = Settings(data_dir=tmp_path, workers=0, authentication_plugins=plugins, credential_cache_seconds=0)
    with TestClient(create_app(settings)) as client:

        def status(**kwargs: Any) -> int:
            return client.get("/api/v0/clusters", **kwargs).status_code

        token = {"X-Auth-Token": site.keystone.token("bob", "secret")}
        assert [status(auth=("bob", "secret")), status(headers=token)] == [200, 200]
        site.keystone.process.send_signal(signal.SIGSTOP)
        try:
            begin = time.monotonic()
            assert status(auth=("local", "secret")) == 200
            assert status(auth=("bob", "secret")) == 403
            assert status(headers=token) == 403
            assert time.monotonic() - begin < 20
        finally:
            site.keystone.process.send_signal(signal.SIGCONT)
        assert [status(auth=("bob", "secret")), status(headers=token)] == [200, 200]
        assert client.put("/api/v0/cluster/web", headers=token).status_code == 403

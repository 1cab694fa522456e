"""Authentication plugins: found by name, made with their options, and careful with what they are given."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from commissaire.auth.entry import User, load
from commissaire.auth.httpbasicauth import HttpBasicAuth, basic_credentials, hash_password
from commissaire.auth.plugin import SignIn
from commissaire.auth.role import Role
from commissaire.configuration import SettingsError
from commissaire.settings import AuthenticationPlugin

USERS = {"admin": {"hash": hash_password("pass:word", rounds=4)}}


def plugin(name: str, **options: Any) -> AuthenticationPlugin:
    return AuthenticationPlugin.model_validate({"name": name, **options})


def header(user: str, password: str) -> dict[str, str]:
    return {"authorization": f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"}


def sign_in(user: str, password: str) -> SignIn:
    return SignIn(header(user, password))


def signed_in(found: HttpBasicAuth, user: str, password: str) -> str | None:
    identity = found.authenticate(sign_in(user, password))
    return identity and identity.name


@pytest.mark.parametrize(
    "name", ["httpbasicauth", "commissaire_http.authentication.httpbasicauth", "commissaire.auth.httpbasicauth"]
)
def test_a_plugin_is_found_by_its_short_and_its_long_name(name: str) -> None:
    (found,) = load([plugin(name, users=USERS)])
    assert found.identify(sign_in("admin", "pass:word")) == User("admin", Role.ADMINISTRATOR)
    assert found.identify(sign_in("admin", "pass")) is None


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        (
            "keystone",
            {},
            "there is no authentication plugin 'keystone'.*Commissaire has: httpauthclientcert, httpbasicauth, keyst",
        ),
        ("commissaire_http.authentication.other", {}, "there is no authentication plugin"),
        ("json", {}, "PluginClass"),
        ("", {}, "there is no authentication plugin ''"),
        (".x", {}, "there is no authentication plugin '.x'"),
        ("httpbasicauth", {}, "either filepath or users"),
        ("httpbasicauth", {"users": USERS, "filepath": "/x"}, "either filepath or users"),
        ("httpbasicauth", {"url": "x"}, "does not take these options"),
        ("httpbasicauth", {"filepath": "/nowhere"}, "can't read users from /nowhere"),
        ("httpbasicauth", {"users": {"admin": "x"}}, "users must look like"),
        ("httpbasicauth", {"users": {"admin": {}}}, "users must look like"),
        ("httpbasicauth", {"users": ["admin"]}, "users must look like"),
        ("httpbasicauth", {"users": "admin"}, "users must look like"),
        ("httpbasicauth", {"users": {"admin": {"hash": "x", "role": "root"}}}, "may have a role: administrator, op"),
    ],
)
def test_a_plugin_that_can_not_be_used_is_told(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        load([plugin(name, **options)])


def test_a_module_that_breaks_when_it_is_imported_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken_plugin.py").write_text("1 / 0\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(SettingsError, match=r"broken_plugin.*division by zero"):
        load([plugin("broken_plugin")])


@pytest.mark.parametrize("text", ["{", "a: [", "\t", "\0", "", "x", "5", "[]", "clusters: 1"])
def test_a_kubeconfig_that_is_none_is_told(tmp_path: Path, text: str) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text(text)
    with pytest.raises(SettingsError, match=f"can't use the kubeconfig {path}: "):
        load([plugin("kubernetes", kubeconfig=str(path))])


@pytest.mark.parametrize("text", ["{", "[]", '"x"', '{"admin": 1}', '{"admin": {"password": "x"}}', "null"])
def test_a_users_file_that_is_none_is_told(tmp_path: Path, text: str) -> None:
    path = tmp_path / "users.json"
    path.write_text(text)
    with pytest.raises(SettingsError, match=str(path)):
        HttpBasicAuth(filepath=str(path))


def test_users_removed_from_the_file_are_refused_and_a_broken_file_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "users.json"
    path.write_text(json.dumps(USERS))
    found = HttpBasicAuth(filepath=str(path))
    path.write_text("{")
    assert signed_in(found, "admin", "pass:word") == "admin"
    path.write_text("{}")
    assert signed_in(found, "admin", "pass:word") is None


@pytest.mark.parametrize("version", ["$2a$", "$2b$", "$2y$"])
def test_hashes_of_every_age_let_in_whose_they_are(version: str) -> None:
    stored = version + hash_password("pass:word", rounds=4).removeprefix("$2b$")
    found = HttpBasicAuth(users={"admin": {"hash": stored}})
    assert signed_in(found, "admin", "pass:word") == "admin"
    assert signed_in(found, "admin", "pass:wort") is None


@pytest.mark.parametrize("stored", ["", "x", "$2b$04$", "$2b$99$" + "x" * 53, "$1$abc$def", "ä", "\0"])
def test_a_hash_that_is_none_lets_nobody_in(stored: str) -> None:
    found = HttpBasicAuth(users={"admin": {"hash": stored}})
    for password in ("", "x", stored):
        assert signed_in(found, "admin", password) is None


@pytest.mark.parametrize(
    ("text", "credentials"),
    [
        ("Basic YWRtaW46eA==", ("admin", "x")),
        ("basic YWRtaW46eA==", ("admin", "x")),
        ("BASIC   YWRtaW46eA== ", ("admin", "x")),
        ("Basic YWRtaW46YTpi", ("admin", "a:b")),
        ("Basic OnA=", ("", "p")),
        ("Basic YWRtaW46cOQ=", ("admin", "p\u00e4")),
        ("Basic YWRtaW46cMOk", ("admin", "p\u00e4")),
        ("Basic YWRtaW4=", None),
        ("Basic YWRtaW46eA", None),
        ("Basic", None),
        ("", None),
        ("Bearer YWRtaW46eA==", None),
        ("Basic YWRtaW46eA==,Basic YWRtaW46eA==", None),
        ("Basic //79", None),
    ],
)
def test_a_header_has_credentials_or_none(text: str, credentials: tuple[str, str] | None) -> None:
    assert basic_credentials(text) == credentials


@settings(max_examples=200, deadline=None, database=None, derandomize=True)
@given(st.text(max_size=60) | st.builds("Basic {}".format, st.text(max_size=60)))
def test_no_header_breaks_anything(text: str) -> None:
    if basic_credentials(text) is None:
        assert HttpBasicAuth(users=USERS).authenticate(SignIn({"authorization": text})) is None


@settings(max_examples=100, deadline=None, database=None, derandomize=True)
@given(user=st.text(max_size=20).filter(lambda text: ":" not in text), password=st.text(max_size=40))
def test_credentials_come_back_as_they_were_sent(user: str, password: str) -> None:
    assert basic_credentials(header(user, password)["authorization"]) == (user, password)


BOTH = {
    "alice": {**USERS["admin"], "role": "operator"},
    "bob": USERS["admin"],
}


@pytest.mark.parametrize(
    ("options", "alice", "bob"),
    [
        ({}, "operator", "administrator"),
        ({"role": "viewer"}, "operator", "viewer"),
        ({"roles": {"alice": "registrar"}}, "registrar", "viewer"),
        ({"roles": {"bob": "administrator"}, "role": "registrar"}, "operator", "administrator"),
        ({"roles": {}}, "operator", "viewer"),
    ],
)
def test_a_role_comes_from_the_entry_by_name_then_from_the_user_then_from_the_entry(
    options: dict[str, Any], alice: str, bob: str
) -> None:
    (found,) = load([plugin("httpbasicauth", users=BOTH, **options)])
    roles = [user and user.role for user in (found.identify(sign_in(name, "pass:word")) for name in ("alice", "bob"))]
    assert roles == [alice, bob]


OWN = """
from commissaire.auth.plugin import Identity

class PluginClass:
    def authenticate(self, sign_in):
        return Identity(sign_in.headers["name"], frozenset(sign_in.headers["groups"].split()))
"""


@pytest.mark.parametrize(
    ("name", "groups", "role"),
    [
        ("alice", "", "viewer"),
        ("alice", "ops root", "viewer"),  # what is said of a name comes before what is said of its groups
        ("bob", "ops", "operator"),
        ("bob", "ops root", "administrator"),
        ("bob", "others", "registrar"),
        ("group:root", "", "registrar"),  # a user may call himself what he wants
        ("root", "", "registrar"),
    ],
)
def test_groups_have_roles_and_the_mightiest_counts(
    name: str, groups: str, role: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "plugin_with_groups.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    roles = {"alice": "viewer", "group:ops": "operator", "group:root": "administrator"}
    (found,) = load([plugin("plugin_with_groups", roles=roles, role="registrar")])
    user = found.identify(SignIn({"name": name, "groups": groups}))
    assert user == User(name, Role(role), frozenset(groups.split()))

"""Who may do what, before anything else is looked at."""

from __future__ import annotations

import base64
import json
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import structlog
from starlette.testclient import TestClient

from api.conftest import PASSWORD, USER, USERS
from commissaire.app import create_app
from commissaire.auth import httpbasicauth, throttle
from commissaire.auth.httpbasicauth import hash_password
from commissaire.auth.plugin import Identity, SignIn
from commissaire.auth.throttle import FREE, WAITING_AT_MOST
from commissaire.settings import Settings


def basic(credentials: bytes) -> str:
    return f"Basic {base64.b64encode(credentials).decode()}"


WRONG = {
    "none": None,
    "another password": basic(b"admin:wrong"),
    "another user": basic(b"nobody:wrong"),
    "no user": basic(b":"),
    "no colon": basic(b"admin"),
    "no base64": "Basic ???",
    "latin-1": basic(b"\xff\xfe:\xff"),
    "no credentials": "Basic",
    "only a blank": " ",
    "another scheme": "Bearer abc",
    "a NUL": basic(b"admin:\0"),
    "more than bcrypt takes": basic(b"admin:" + b"x" * 100),
    "very long": basic(b"admin:" + b"x" * 20000),
    "no ASCII": "Basic äöü",
    "padding only": "Basic ====",
}


def check_refusal(client: TestClient, path: str, status: int, header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header.encode()}
    answer = client.get(path, headers=headers, auth=lambda request: request)  # type: ignore[arg-type]
    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert ("WWW-Authenticate" in answer.headers) is (status == 401)
    assert answer.json()["detail"] == "the credentials are missing or wrong"


@pytest.mark.parametrize("why", WRONG)
def test_wrong_credentials_are_refused(client: TestClient, why: str) -> None:
    check_refusal(client, "/api/v0/clusters", 403, WRONG[why])
    check_refusal(client, "/api/v1/operations", 401, WRONG[why])


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/v0/clusters", 403), ("/api/v0/nothing", 403), ("/api/v0", 403), ("/api/v0/", 403),
        ("/api/v1/operations", 401), ("/api/v1/nothing", 401), ("/nothing", 401), ("/metrics", 401), ("/", 401),
        ("/api/v0x", 401), ("//api/v0/clusters", 401), ("/healthz/x", 401),
    ],
)  # fmt: skip
def test_wrong_credentials_are_refused_before_routing(client: TestClient, path: str, status: int) -> None:
    check_refusal(client, path, status, WRONG["none"])
    check_refusal(client, path, status, WRONG["another password"])


@pytest.mark.parametrize("path", ["/healthz", "/healthz/", "/readyz", "/openapi.json"])
def test_health_and_the_description_are_open(client: TestClient, path: str) -> None:
    assert client.get(path, auth=("nobody", "wrong")).status_code == 200


def test_a_refused_request_changes_nothing(client: TestClient) -> None:
    assert client.put("/api/v0/cluster/web", json={}, auth=("admin", "wrong")).status_code == 403
    assert client.get("/api/v0/clusters").json() == []


def test_metrics_are_for_those_who_signed_in(client: TestClient) -> None:
    client.get("/api/v0/clusters")
    client.get("/api/v1/hosts")
    client.request("BREW", "/coffee")
    text = client.get("/metrics").text
    assert 'commissaire_hosts{status="active"} 0.0' in text
    assert 'route="/api/v0/clusters",status="200"' in text
    assert 'route="/api/v1/hosts",status="200"' in text
    assert 'method="(other)",route="(none)",status="404"' in text
    assert "BREW" not in text


class Counting:
    """An authentication plugin as a user may write one: its module has it as `PluginClass`."""

    asked = 0
    cacheable = True

    def __init__(self, name: str = "guest") -> None:
        self._name = name

    def authenticate(self, sign_in: SignIn) -> Identity | None:
        Counting.asked += 1
        token = sign_in.headers.get("x-auth-token")
        if token == "explode":
            raise RuntimeError("a plugin that breaks")
        if token == "true":
            return True  # type: ignore[return-value]  # as plugins of Commissaire 0.0.6 did
        return Identity(self._name) if token == "secret" else None


PluginClass = Counting


def with_plugins(settings: Settings, *plugins: dict[str, object], cache_seconds: float = 300) -> TestClient:
    changed = {"authentication_plugins": list(plugins), "credential_cache_seconds": cache_seconds}
    app = create_app(Settings(**{**settings.model_dump(), **changed}))
    return TestClient(app, raise_server_exceptions=False)


BASIC = {"name": "httpbasicauth", "users": USERS}


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, object]:
    """The plugin above, in a module of its own."""
    module = tmp_path / "plugin_of_a_user.py"
    module.write_text(f"from {__name__} import Counting as PluginClass\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(Counting, "asked", 0)
    return {"name": "plugin_of_a_user"}


def get(client: TestClient, token: str) -> int:
    return client.get("/api/v0/clusters", headers={"X-Auth-Token": token}).status_code


def test_several_plugins_are_asked_in_order_and_the_first_success_wins(
    settings: Settings, own: dict[str, object]
) -> None:
    with with_plugins(settings, BASIC, own) as client:
        assert client.get("/api/v0/clusters", auth=(USER, PASSWORD)).status_code == 200
        assert Counting.asked == 0
        assert get(client, "secret") == 200
        assert get(client, "wrong") == 403
        assert Counting.asked == 2


def test_a_plugin_that_breaks_refuses_and_the_next_one_is_asked(settings: Settings, own: dict[str, object]) -> None:
    with with_plugins(settings, own, BASIC) as client:
        assert [get(client, token) for token in ("explode", "true")] == [403, 403]
        headers = {"X-Auth-Token": "explode"}
        assert client.get("/api/v0/clusters", headers=headers, auth=(USER, PASSWORD)).status_code == 200


def test_a_plugin_that_does_not_say_it_is_cacheable_is_asked_each_time(
    settings: Settings, own: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Counting, "cacheable", False)
    monkeypatch.setattr(Counting, "asked", 0)
    with with_plugins(settings, own, cache_seconds=60) as client:
        assert [get(client, "secret") for _ in range(3)] == [200] * 3
    assert Counting.asked == 3


def test_an_answer_is_not_remembered_when_one_before_it_might_answer_otherwise_the_next_time(
    settings: Settings, own: dict[str, object], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "by_language.py").write_text(
        "from commissaire.auth.plugin import Identity\n"
        "class PluginClass:\n"
        "    def authenticate(self, sign_in):\n"
        "        return Identity('other', role='viewer') if sign_in.headers.get('x-other') else None\n"
    )
    with with_plugins(settings, {"name": "by_language"}, own) as client:
        assert get(client, "secret") == 200
        assert client.put("/api/v0/cluster/web", headers={"X-Auth-Token": "secret", "X-Other": "1"}).status_code == 403
        assert get(client, "secret") == 200
    assert Counting.asked == 2


def test_credentials_that_were_right_are_not_asked_for_again_before_they_expire(
    settings: Settings, own: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    with with_plugins(settings, own, cache_seconds=60) as client:
        assert [get(client, "secret") for _ in range(3)] == [200] * 3
        assert Counting.asked == 1
        now = time.monotonic()
        monkeypatch.setattr("commissaire.auth.verified.time.monotonic", lambda: now + 61)
        assert get(client, "secret") == 200
        assert Counting.asked == 2


def test_wrong_credentials_are_asked_for_each_time(settings: Settings, own: dict[str, object]) -> None:
    with with_plugins(settings, own) as client:
        assert [get(client, "wrong") for _ in range(3)] == [403] * 3
    assert Counting.asked == 3


def test_without_a_cache_the_plugin_is_asked_each_time(settings: Settings, own: dict[str, object]) -> None:
    with with_plugins(settings, own, cache_seconds=0) as client:
        assert [get(client, "secret") for _ in range(3)] == [200] * 3
    assert Counting.asked == 3


def test_the_users_file_is_read_again_when_it_changes(settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "users.json"

    def write(password: str) -> None:
        path.write_text(json.dumps({USER: {"hash": hash_password(password, rounds=4)}}))

    write("first")
    with with_plugins(settings, {"name": "httpbasicauth", "filepath": str(path)}, cache_seconds=0) as client:
        answers = []
        for password in ("first", "second"):
            write(password)
            answers += [client.get("/metrics", auth=(USER, word)).status_code for word in ("first", "second")]
        path.write_text("{")  # as an editor leaves it for a moment
        answers.append(client.get("/metrics", auth=(USER, "second")).status_code)
    assert answers == [200, 401, 401, 200, 200]


def test_an_unknown_user_costs_as_much_as_a_wrong_password(monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[bytes] = []
    monkeypatch.setattr(httpbasicauth.bcrypt, "checkpw", lambda _, hashed: checked.append(hashed) or False)
    plugin = httpbasicauth.HttpBasicAuth(users={USER: {"hash": hash_password(PASSWORD)}})
    for user in (USER, "nobody"):
        assert plugin.authenticate(SignIn({"authorization": basic(f"{user}:wrong".encode())})) is None
    assert len(checked) == 2
    assert {hashed[:7] for hashed in checked} == {b"$2b$12$"}


EXAMPLE = """
from fastapi import HTTPException
from commissaire.auth.plugin import Identity

class AlwaysAllowOnSSL:
    def authenticate(self, sign_in):
        if sign_in.scheme == "https":
            return Identity("anyone from " + sign_in.client)
        raise HTTPException(418, "Whiiiiiee", {"X-Teapot": "yes"})

PluginClass = AlwaysAllowOnSSL
"""


def test_a_plugin_may_answer_by_itself(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The examples of Commissaire 0.0.6's Development chapter."""
    (tmp_path / "always_allow_on_ssl.py").write_text(EXAMPLE)
    monkeypatch.syspath_prepend(tmp_path)
    with with_plugins(settings, {"name": "always_allow_on_ssl"}, BASIC) as client:
        answer = client.get("/api/v0/clusters", auth=(USER, PASSWORD))
        assert (answer.status_code, answer.headers["X-Teapot"]) == (418, "yes")
        assert answer.json()["detail"] == "Whiiiiiee"
        client.base_url = "https://testserver"
        assert client.get("/api/v0/clusters").status_code == 200


def test_without_any_plugin_everybody_is_refused(settings: Settings) -> None:
    with structlog.testing.capture_logs() as logs, with_plugins(settings) as client:
        assert client.get("/api/v0/clusters", auth=(USER, PASSWORD)).status_code == 403
        assert client.get("/api/v1/hosts", auth=(USER, PASSWORD)).status_code == 401
        assert client.get("/healthz").status_code == 200
    assert "nobody_can_sign_in" in [entry["event"] for entry in logs]


def test_many_requests_with_the_same_credentials_are_one_question(
    settings: Settings, own: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = Counting.authenticate

    def slowly(plugin: Counting, sign_in: SignIn) -> Identity | None:
        time.sleep(0.3)
        return answer(plugin, sign_in)

    monkeypatch.setattr(Counting, "authenticate", slowly)
    with with_plugins(settings, own) as client, ThreadPoolExecutor(20) as threads:
        assert list(threads.map(lambda _: get(client, "secret"), range(20))) == [200] * 20
    assert Counting.asked == 1


def delayed(settings: Settings, seconds: float) -> TestClient:
    changed = {**settings.model_dump(), "refusal_delay_seconds": seconds}
    return TestClient(create_app(Settings(**changed)), raise_server_exceptions=False)


def test_refused_sign_ins_slow_down_but_never_right_ones_and_never_requests_without_credentials(
    settings: Settings,
) -> None:
    with delayed(settings, 0.5) as client, structlog.testing.capture_logs() as logs:

        def took(**kwargs: Any) -> float:
            begin = time.perf_counter()
            client.get("/api/v0/clusters", **kwargs)
            return time.perf_counter() - begin

        for _ in range(FREE + 2):
            took(auth=(USER, "wrong"))
        assert took(auth=(USER, "wrong")) > 0.5
        assert took(auth=("somebody else", "wrong")) > 0.5  # the client is the same
        assert took(headers={"X-Auth-Token": "wrong"}) > 0.5
        assert took() < 0.4
        assert took(auth=(USER, PASSWORD)) < 0.4
    refused = [entry for entry in logs if entry["event"] == "sign_in_refused"]
    assert [entry["delay_seconds"] for entry in refused[: FREE + 3]] == [0.0] * FREE + [0.25, 0.5, 0.5]
    assert {entry["client"] for entry in refused} == {"testclient"}
    assert "wrong" not in str(refused)


def test_who_does_not_wait_for_the_answers_is_not_looked_at(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(throttle, "_FIRST_SECONDS", 3)
    uncached = Settings(**{**settings.model_dump(), "credential_cache_seconds": 0})
    with delayed(uncached, 3) as client, ThreadPoolExecutor(WAITING_AT_MOST) as threads:
        for _ in range(FREE):
            client.get("/metrics", auth=(USER, "wrong"))
        guesses = [threads.submit(client.get, "/metrics", auth=(USER, f"wrong {n}")) for n in range(WAITING_AT_MOST)]
        until = time.monotonic() + 30
        while (answer := client.get("/metrics", auth=(USER, PASSWORD))).status_code == 200:
            assert time.monotonic() < until
        assert answer.status_code == 429
        assert answer.headers["Retry-After"] == "3"
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert [guess.result().status_code for guess in guesses] == [401] * WAITING_AT_MOST
        assert client.get("/metrics", auth=(USER, PASSWORD)).status_code == 200


def test_a_flood_of_guesses_leaves_threads_to_requests_whose_credentials_are_known(
    settings: Settings, own: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    answer, examined = Counting.authenticate, threading.Event()

    def slowly(plugin: Counting, sign_in: SignIn) -> Identity | None:
        if "guess" in sign_in.headers["x-auth-token"]:
            examined.wait(60)
        return answer(plugin, sign_in)

    monkeypatch.setattr(Counting, "authenticate", slowly)
    with with_plugins(settings, own) as client, ThreadPoolExecutor(80) as threads:
        assert get(client, "secret") == 200
        guesses = [threads.submit(get, client, f"guess {number}") for number in range(80)]
        try:
            # the routes run in threads, too: with one taken by each guess this would wait for them
            assert [get(client, "secret") for _ in range(10)] == [200] * 10
            assert not any(guess.done() for guess in guesses)
        finally:
            examined.set()
        assert {guess.result() for guess in guesses} == {403}


def test_bcrypt_leaves_a_processor_free(monkeypatch: pytest.MonkeyPatch) -> None:
    working, most, lock = 0, 0, threading.Lock()

    def check(*_: bytes) -> bool:
        nonlocal working, most
        with lock:
            working += 1
            most = max(most, working)
        time.sleep(0.02)
        with lock:
            working -= 1
        return False

    monkeypatch.setattr(httpbasicauth.bcrypt, "checkpw", check)
    plugin = httpbasicauth.HttpBasicAuth(users=USERS)
    guess = SignIn({"authorization": basic(b"admin:wrong")})
    with ThreadPoolExecutor(12) as threads:
        assert list(threads.map(lambda _: plugin.authenticate(guess), range(12))) == [None] * 12
    assert most == max(1, (os.cpu_count() or 1) - 1)

"""Paths that the gate lets pass, because their routes authenticate."""

from __future__ import annotations

import pytest

from commissaire.auth.self_auth import SelfAuths, check_self_auths
from commissaire.configuration import SettingsError


@pytest.mark.parametrize(
    ("path", "covered"),
    [
        ("/api/v0/secrets", True), ("/api/v0/secrets/a", True), ("/api/v0/secrets/a/b", True),
        ("/api/v0/secretsx", False), ("/api/v0/secret", False), ("/api/v0", False), ("//api/v0/secrets", False),
        ("/api/v0/./secrets", False), ("/api/v0/hosts/../secrets", False), ("/API/v0/secrets", False),
        ("/api/v0/secrets\n", False), ("", False), ("/", False),
    ],
)  # fmt: skip
@pytest.mark.parametrize("configured", ["/api/v0/secrets", "/api/v0/secrets/"])
def test_a_path_covers_itself_and_what_is_below_it(configured: str, path: str, covered: bool) -> None:
    assert SelfAuths([configured]).cover(path) is covered


@pytest.mark.parametrize("path", ["/api/v0/hosts", "/api/v0", "/", "", "api/v0/secrets", "/api/v0/secretsx", "/api"])
def test_a_path_that_would_be_open_to_everybody_is_refused(path: str) -> None:
    with pytest.raises(SettingsError, match=r"self_auths: nothing at .* open to everybody; only /api/v0/secrets"):
        check_self_auths(["/api/v0/secrets", path])


@pytest.mark.parametrize("paths", [[], ["/api/v0/secrets"], ["/api/v0/secrets/"], ["/api/v0/secrets/storage_service"]])
def test_paths_whose_routes_authenticate_can_be_named(paths: list[str]) -> None:
    check_self_auths(paths)

"""What a request from the controller comes to."""

import pytest
from ansible_collections.commissaire.fleet.plugins.plugin_utils.examination import request


@pytest.mark.parametrize("status", ["200", "204", "302", "404", "503"])
def test_the_status_is_told_and_redirections_are_not_followed(url, status):
    assert request(f"{url}/{status}", 10) == status


def test_a_server_that_is_not_there_is_told():
    assert "refused" in request("http://127.0.0.1:9/", 10)


def test_a_certificate_is_verified(tls_url, monkeypatch):
    url, authority = tls_url
    assert "CERTIFICATE_VERIFY_FAILED" in request(f"{url}/200", 10)
    monkeypatch.setenv("SSL_CERT_FILE", authority)
    assert request(f"{url}/200", 10) == "200"

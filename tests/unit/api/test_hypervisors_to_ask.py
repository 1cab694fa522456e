"""Which hypervisors /virt asks: those that are recorded and allowed, and those that announce machines."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlmodel import Session, SQLModel, create_engine

from commissaire.fleet.hypervisors import hypervisors_to_ask, put_hypervisor
from commissaire.secrets.store import SecretStore


@pytest.fixture
def session() -> Iterator[Session]:
    engine = create_engine("sqlite://")
    SQLModel.metadata.create_all(engine)
    with Session(engine) as session:
        for name, uri, allowed in (("a", "qemu+tls://a/system", True), ("b", "qemu+tls://b/system", False)):
            put_hypervisor(
                session, SecretStore({}, ""), name, uri=uri, allowed=allowed, virt_type="auto", pool="default"
            )
        yield session
    engine.dispose()


def test_what_is_announced_is_asked_under_its_hosts_name(session: Session) -> None:
    found = hypervisors_to_ask(session, ["qemu+tls://c/system", "qemu+tls://c/system"])
    assert found == {"a": "qemu+tls://a/system", "c": "qemu+tls://c/system"}


def test_an_announcement_grants_nothing_that_a_record_denies(session: Session) -> None:
    assert hypervisors_to_ask(session, ["qemu+tls://a/system", "qemu+tls://b/system"]) == {"a": "qemu+tls://a/system"}


def test_an_announcement_takes_nobodys_name(session: Session) -> None:
    found = hypervisors_to_ask(session, ["qemu+ssh://a/system", "qemu+ssh://b/system", "qemu+ssh://c/system",
                                         "qemu+tls://c/system"])  # fmt: skip
    assert found == {
        "a": "qemu+tls://a/system",
        "qemu+ssh://a/system": "qemu+ssh://a/system",
        "qemu+ssh://b/system": "qemu+ssh://b/system",
        "c": "qemu+ssh://c/system",
        "qemu+tls://c/system": "qemu+tls://c/system",
    }

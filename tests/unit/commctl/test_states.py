"""commctl may not import the server; what it knows of states is the same all the same."""

from __future__ import annotations

from commissaire.commctl.explain import _ORDER
from commissaire.commctl.progress import ENDED, STATES
from commissaire.records import TERMINAL, OperationHostState


def test_commctl_knows_when_an_operation_has_ended() -> None:
    assert set(ENDED) == set(TERMINAL)


def test_commctl_knows_all_states_of_hosts() -> None:
    assert set(STATES) == set(_ORDER) == set(OperationHostState)

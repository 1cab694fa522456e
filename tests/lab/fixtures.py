"""Labs for tests: `lab` has three machines and serves a whole module, `lab_of` makes as many as a test wants."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from . import Lab, obstacle
from .xenstore import XenStore, xenstore_obstacle


@pytest.fixture(scope="session")
def lab_possible() -> None:
    """Skip what needs a lab where there can't be one, saying what to install."""
    if why := obstacle():
        pytest.skip(why)


@pytest.fixture(scope="module")
def lab(lab_possible: None) -> Iterator[Lab]:
    """A lab of three machines, shared by the module's tests: leave it as you found it."""
    with Lab.make(hosts=3) as made:
        yield made


@pytest.fixture
def lab_of(lab_possible: None) -> Iterator[Callable[..., Lab]]:
    """`lab_of(2)` makes a lab of two machines that ends with the test; it takes what Lab.make takes."""
    with ExitStack() as stack:

        def make(hosts: int = 3, **kwargs: Any) -> Lab:
            return stack.enter_context(Lab.make(hosts=hosts, **kwargs))

        yield make


@pytest.fixture
def xenstore() -> Iterator[XenStore]:
    """A xenstored that ends with the test; the test is skipped where there can't be one, saying what to install."""
    if why := xenstore_obstacle():
        pytest.skip(why)
    with XenStore.make() as store:
        yield store

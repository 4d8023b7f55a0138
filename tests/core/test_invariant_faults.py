"""The invariant tests, with edges and without, find each of these planted faults: `pytest -m planted`, some minutes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.core.test_invariant import World
from tests.core.test_invariant_edges import Edges
from tests.core.test_invariant_walks import STEPS, Walk
from tests.field_faults import FIELD_FAULTS
from tests.following_faults import FOLLOWING_FAULTS
from tests.table_faults import TABLE_FAULTS

pytestmark = pytest.mark.planted

SEARCH = settings(
    max_examples=3000,  # the rarest fault takes some hundreds
    stateful_step_count=50,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.parametrize("plant", TABLE_FAULTS, ids=lambda plant: plant.__name__)
def test_a_planted_fault_of_tables_is_found(
    plant: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch)
    with pytest.raises(AssertionError, match=r"cut|checksum"):
        run_state_machine_as_test(World, settings=SEARCH)


@pytest.mark.parametrize("plant", FOLLOWING_FAULTS, ids=lambda plant: plant.__name__)
def test_a_planted_fault_of_edges_is_found(
    plant: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch)
    with pytest.raises(AssertionError):
        run_state_machine_as_test(Edges, settings=SEARCH)


@pytest.mark.parametrize("plant", FIELD_FAULTS, ids=lambda plant: plant.__name__)
def test_a_planted_fault_of_fields_is_found(
    plant: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def walk() -> None:
        for seed in range(3000):  # the rarest fault takes some hundreds
            Walk(World(), seed, selecting=True).go(STEPS)

    plant(monkeypatch)
    with pytest.raises(AssertionError, match=r"cut|checksum"):
        walk()

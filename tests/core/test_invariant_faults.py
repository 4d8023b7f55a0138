"""tests/core/test_invariant.py finds each of these planted faults of tables: `pytest -m planted`, some minutes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.core.test_invariant import World
from tests.table_faults import TABLE_FAULTS

pytestmark = pytest.mark.planted

FOUND_WITHIN = 3000
"""Examples; the rarest fault takes some hundreds."""


@pytest.mark.parametrize("plant", TABLE_FAULTS, ids=lambda plant: plant.__name__)
def test_a_planted_fault_of_tables_is_found(
    plant: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch)
    search = settings(
        max_examples=FOUND_WITHIN,
        stateful_step_count=50,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    with pytest.raises(AssertionError, match=r"cut|checksum"):
        run_state_machine_as_test(World, settings=search)

"""tests/storm/namespaces: a short storm between hosts, with real links that are cut and slowed down."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.storm.namespaces.network import NotPossible
from tests.storm.namespaces.storm import blow

pytestmark = pytest.mark.untraced


async def test_parts_die_and_links_are_cut_and_every_copy_is_that_of_its_cut(tmp_path: Path) -> None:
    said: list[str] = []
    try:
        storm = await blow(tmp_path, clients=20, seconds=20, seed=1, note=said.append)
    except NotPossible as error:
        pytest.skip(f"no network namespaces can be made here: {error}")
    counts = storm.counts()
    assert not storm.wrong, said
    assert not counts["mismatches"]
    assert counts["verified"] > 20
    assert sum(storm.events.values()) > 3

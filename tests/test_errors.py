"""ticker/errors.py: failures are counted by cause, and each cause is logged once."""

from __future__ import annotations

from collections import Counter

from ticker.errors import MAX_CAUSES, count_cause


def test_the_first_failure_of_each_cause_is_to_be_logged() -> None:
    counts: Counter[str] = Counter()
    assert [count_cause(counts, cause) for cause in ("torn", "damaged", "torn", "torn")] == [True, True, False, False]
    assert counts == {"torn": 3, "damaged": 1}


def test_causes_beyond_the_limit_are_counted_together_and_not_logged() -> None:
    counts: Counter[str] = Counter()
    logged = [count_cause(counts, f"cause {number}") for number in range(MAX_CAUSES + 7)]
    assert logged == [True] * MAX_CAUSES + [False] * 7
    assert len(counts) == MAX_CAUSES + 1
    assert counts["other"] == 7
    assert not count_cause(counts, "cause 0"), "known causes go on being counted by name"
    assert counts["cause 0"] == 2

"""tests/mutants: which faults are planted, and where none may be."""

from __future__ import annotations

import random

import pytest

from tests.mutants.__main__ import choose
from tests.mutants.sites import mutants


@pytest.mark.parametrize(
    ("source", "kind", "mutated"),
    [
        ("a < b", "comparison", "(a <= b)"),
        ("x = a in b", "comparison", "x = (a not in b)"),
        ("if ready:\n    pass", "condition", "if (not (ready)):\n    pass"),
        ("x = a and b", "condition", "x = (a or b)"),
        ("send(frame)", "call", "pass"),
        ("x = 7", "constant", "x = 8"),
        ("x = True", "constant", "x = False"),
        ("x = a - b", "operator", "x = (a + b)"),
        ("total += n", "operator", "total -= n"),
        ('"€"; x = a - b', "operator", '"€"; x = (a + b)'),
    ],
)
def test_a_source_has_a_mutant_of_each_of_its_places(source: str, kind: str, mutated: str) -> None:
    assert (kind, mutated) in [(each.kind, each.source) for each in mutants(source)]


@pytest.mark.parametrize(
    "source",
    [
        '"""A docstring: 1 < 2."""',
        "x: Annotated[int, 5]",
        '__slots__ = ("a", "b")',
        'x = f"{a - b}"',
        "def __repr__(self):\n    return self.a + 1",
    ],
)
def test_what_no_test_should_pin_has_no_mutant(source: str) -> None:
    assert list(mutants(source)) == []


def test_the_same_seed_chooses_the_same_mutants_of_every_kind() -> None:
    modules = ["ticker/core/hub.py", "ticker/protocol/wire.py"]
    first, again = (choose(modules, 40, random.Random(3)) for _ in range(2))  # noqa: S311  # repeatable
    assert first == again
    assert len({(each.module, each.mutant.source) for each in first}) == 40
    assert {each.mutant.kind for each in first} == {"comparison", "condition", "call", "constant", "operator"}

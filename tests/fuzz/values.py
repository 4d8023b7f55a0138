"""Unexpected values, and bytes damaged in transit."""

from __future__ import annotations

import json
from typing import Any

import msgpack
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

SCALARS: SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(min_value=-(2**63), max_value=2**64 - 1),
    st.sampled_from([0, 1, -1, 2**31, 2**53 - 1, 2**53, 2**63, 2**64 - 1]),
    st.floats(),
    st.text(max_size=8),
    st.binary(max_size=8),
)

ANYTHING: SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=4), inner, max_size=4)),
    max_leaves=6,
)

Damage = list[tuple[str, int, bytes]]

DAMAGE: SearchStrategy[Damage] = st.one_of(
    st.just([]),
    st.lists(
        st.tuples(st.sampled_from(["cut", "put", "insert", "repeat"]), st.integers(0, 400), st.binary(max_size=4)),
        max_size=3,
    ),
)
"""Changes to bytes: in half of the cases, none."""


def damaged(data: bytes, damage: Damage) -> bytes:
    for kind, where, content in damage:
        place = where % (len(data) + 1)
        if kind == "cut":
            data = data[:place]
        elif kind == "put":
            data = data[:place] + content + data[place + len(content) :]
        elif kind == "insert":
            data = data[:place] + content + data[place:]
        else:
            data += data[place:]
    return data[:100_000]


def as_msgpack(value: object, damage: Damage) -> bytes:
    return damaged(msgpack.packb(value), damage)


def as_json(value: object, damage: Damage) -> str:
    return damaged(json.dumps(value, default=repr).encode(), damage).decode(errors="replace")


def changed(value: Any, path: list[int], junk: object) -> Any:  # noqa: ANN401  # any part of a message
    """Return a value with `junk` at a path; a path that leads nowhere replaces the value whole."""
    if path and isinstance(value, dict) and value:
        key = list(value)[path[0] % len(value)]
        return {**value, key: changed(value[key], path[1:], junk)}
    if path and isinstance(value, list) and value:
        place = path[0] % len(value)
        return [*value[:place], changed(value[place], path[1:], junk), *value[place + 1 :]]
    return junk

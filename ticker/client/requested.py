"""The names of requests: by the fields that are asked for, and in batches that each fit into one request. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TypeAlias

from ticker.client.wanted import FieldSet
from ticker.protocol.wire import Encoding

FieldKeys: TypeAlias = dict[str, list[str]]
"""What a request has besides for names with some fields only; empty for all fields."""

_REQUEST_OVERHEAD = 256
"""Bytes of a request besides its names and fields, with room to spare."""


def by_fields(names: Iterable[str], requested: Mapping[str, FieldSet]) -> list[tuple[FieldKeys, list[str]]]:
    """Return names by the fields that are requested of them, first those with all fields, which may be none."""
    found: dict[FieldSet, list[str]] = {None: []}
    for name in names:
        found.setdefault(requested[name], []).append(name)
    return [({} if fields is None else {"fields": sorted(fields)}, some) for fields, some in found.items()]


def batches(names: list[str], besides: FieldKeys, most: int, encoding: Encoding) -> Iterator[list[str]]:
    """Iterate over names in batches that each fit, with what a request has besides, into `most` bytes."""
    batch: list[str] = []
    capacity = left = most - _REQUEST_OVERHEAD - (len(encoding.encode_request(besides)) if besides else 0)
    for name in names:
        size = len(encoding.encode_request({name: 0}))
        if batch and size > left:
            yield batch
            batch, left = [], capacity
        batch.append(name)
        left -= size
    if batch:
        yield batch

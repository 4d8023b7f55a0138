"""The checksum of a copy is the one that PROTOCOL.md describes."""

from __future__ import annotations

import json
import re
from pathlib import Path

from ticker.market import FieldKey, RecordValue
from ticker.protocol.digest import record_checksum, total

PROTOCOL = (Path(__file__).parents[2] / "PROTOCOL.md").read_text(encoding="utf-8")


def test_the_example_of_the_protocol_has_the_checksums_that_stand_beside_it() -> None:
    examples = re.findall(r"^    (\[-?\d+,\d+,\d+,\[.*\]\]) +(\d+)$", PROTOCOL, re.MULTILINE)
    assert len(examples) == 4
    stated = re.search(r"The sum is (\d+), and `digest` (\d+)\.", PROTOCOL)
    assert stated is not None
    checksums = []
    for text, checksum in examples:
        number, price_scale, size_scale, parts = json.loads(text)
        fields = dict(zip(parts[::2], parts[1::2], strict=True))
        checksums.append(record_checksum(number, (price_scale, size_scale), fields))
        assert checksums[-1] == int(checksum), text
    assert (sum(checksums), total(checksums)) == (int(stated[1]), int(stated[2]))


def test_what_is_not_there_does_not_count_and_the_order_of_fields_does_not_matter() -> None:
    fields: dict[FieldKey, RecordValue] = {16: [5, 1], 14: "live", "b": 1, "a": ("0.5",), 2: 7}
    same: dict[FieldKey, RecordValue] = {"a": ("0.5",), 2: 7, "b": 1, 1: None, 14: "live", 16: [5, 1], 17: []}
    assert record_checksum(3, (2, 0), fields) == record_checksum(3, (2, 0), same)
    assert record_checksum(3, (2, 0), fields) != record_checksum(3, (3, 0), fields)

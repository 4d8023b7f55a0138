"""ticker/net/records.py: TLS records are counted, and handed on a few at a time."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from ticker.bounds import RECORDS_PER_TURN
from ticker.net.records import RecordQueue, RecordRate


def record(content: bytes) -> bytes:
    return b"\x17\x03\x03" + len(content).to_bytes(2, "big") + content


RECORDS = st.lists(st.binary(max_size=40).map(record), max_size=60)


@given(RECORDS, st.data())
def test_however_records_come_in_all_their_bytes_are_handed_on_in_order(
    records: list[bytes], data: st.DataObject
) -> None:
    stream = b"".join(records)
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=20).map(sorted))
    queue, taken = RecordQueue(RecordRate(1, 1e9), 0.0), b""
    for begin, end in pairwise([0, *cuts, len(stream)]):
        queue.add(stream[begin:end])
        while portion := queue.take(0.0):
            taken += portion
    assert taken == stream
    assert not queue.waiting


@given(RECORDS)
def test_what_is_taken_at_once_are_few_records(records: list[bytes]) -> None:
    queue = RecordQueue(RecordRate(1, 1e9), 0.0)
    queue.add(b"".join(records))
    for first in range(0, len(records), RECORDS_PER_TURN):
        assert queue.take(0.0) == b"".join(records[first : first + RECORDS_PER_TURN])
    assert queue.take(0.0) == b""


@given(RECORDS, st.data())
def test_each_record_is_charged_once_and_each_piece_of_one_a_little(records: list[bytes], data: st.DataObject) -> None:
    rate = RecordRate(per_second=1, burst=0)
    stream = b"".join(records)
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=20).map(sorted))
    queue, taken = RecordQueue(rate, 0.0), 0
    for begin, end in pairwise([0, *cuts, len(stream)]):
        queue.add(stream[begin:end])
        while queue.take(0.0):
            taken += 1
        taken += 1
    assert len(records) <= round(queue.delay(), 6) <= len(records) + taken / 10
    assert rate.exceeded == (1 if records else 0)


def test_a_record_that_comes_byte_by_byte_is_charged_while_it_comes() -> None:
    queue = RecordQueue(RecordRate(per_second=100, burst=500), 0.0)
    queue.add(record(bytes(16_384))[:5])
    for _ in range(16_000):
        queue.add(b"\0")
        queue.take(0.0)
    assert queue.delay() > 10


def test_a_record_in_the_segments_of_a_network_costs_little_more_than_one() -> None:
    queue, stream = RecordQueue(RecordRate(per_second=1, burst=0), 0.0), record(bytes(16_384))
    for begin in range(0, len(stream), 1_460):
        queue.add(stream[begin : begin + 1_460])
        queue.take(0.0)
    assert queue.delay() < 2.5


def test_time_adds_to_the_allowance_up_to_the_burst() -> None:
    queue = RecordQueue(RecordRate(per_second=2, burst=3), 0.0)
    queue.add(record(b"") * 7)
    queue.take(0.0)
    assert queue.delay() == 2.0
    queue.take(2.0)
    assert queue.delay() == 0.0
    queue.add(record(b"") * 5)
    queue.take(1000.0)
    assert queue.delay() == 1.0

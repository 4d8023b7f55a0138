"""ticker/protocol/wire.py: messages as an event stream (PROTOCOL.md, section 9)."""

from __future__ import annotations

import json

from ticker.protocol.messages import Definition, Delta, Expiring, Heartbeat, Instruments, ServerMessage, Snapshot
from ticker.protocol.wire import JSON, Events

EVENTS = Events("epoch")


def test_a_message_is_an_event() -> None:
    assert EVENTS.frame(Expiring(99)) == b"data: [9,99]\n\n"


def test_a_heartbeat_carries_the_cursor_as_id() -> None:
    assert EVENTS.frame(Heartbeat(5, 1000)) == b"id: epoch:5\ndata: [7,5,1000]\n\n"


def test_data_messages_carry_their_cut_as_id() -> None:
    step, entry = EVENTS.step(1, EVENTS.reached(2, 3)), EVENTS.entry(0, {1: 19025})
    assert EVENTS.delta(step, [entry, entry]) == b'id: epoch:2\ndata: [6,1,2,3,[0,{"1":19025},0,{"1":19025}]]\n\n'
    assert EVENTS.delta(step, []) == b"id: epoch:2\ndata: [6,1,2,3,[]]\n\n"
    assert EVENTS.snapshot(step, [entry], [entry, entry]) == (
        b'id: epoch:2\ndata: [5,1,2,3,[0,{"1":19025}],[0,{"1":19025},0,{"1":19025}]]\n\n'
    )


def test_definitions_are_an_event_without_id() -> None:
    definitions = [Definition(0, "A", 2, 0, {}), Definition(1, "B", 5, 0, {"name": "x"})]
    event = EVENTS.instruments([EVENTS.definition(each) for each in definitions])
    assert event == b'data: [4,[[0,"A",2,0,{}],[1,"B",5,0,{"name":"x"}]]]\n\n'


def test_events_are_the_messages_in_json() -> None:
    whole: list[tuple[ServerMessage, bytes]] = [
        (
            Delta(1, 2, 3, [0, {1: None}]),
            EVENTS.delta(EVENTS.step(1, EVENTS.reached(2, 3)), [EVENTS.entry(0, {1: None})]),
        ),
        (
            Snapshot(1, 2, 3, [], [0, {}]),
            EVENTS.snapshot(EVENTS.step(1, EVENTS.reached(2, 3)), [], [EVENTS.entry(0, {})]),
        ),
        (Instruments([]), EVENTS.instruments([])),
    ]
    for message, event in whole:
        data = event.rpartition(b"data: ")[2].decode()
        assert json.loads(data) == json.loads(JSON.frame(message)[2:])

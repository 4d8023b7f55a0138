"""Subscriptions to some fields: what a client asks for as its user wants others, on one connection after another."""

from __future__ import annotations

from tests.golden.steps import (
    FEATURES,
    TIME,
    Conversation,
    Step,
    answer,
    closed,
    receives,
    resume,
    sends,
    subscribe,
    unsubscribe,
    wants,
    welcome,
)

EUR, GBP = 0, 1
DEFINED: Step = receives("INSTRUMENTS", [4, [[EUR, "EURUSD", 5, 0, {}]]])


def offers(cut: int) -> Step:
    """A WELCOME of a server that takes eight sets of fields."""
    return welcome(cut, features={**FEATURES, "fields": 8})


FIELDS = Conversation(
    "fields",
    [
        wants("GBPUSD", "EURUSD", fields={"EURUSD": ["bid", "ask"]}),
        offers(41),
        sends(subscribe(1, "GBPUSD"), subscribe(2, "EURUSD", fields=["ask", "bid"])),
        receives("INSTRUMENTS", [4, [[GBP, "GBPUSD", 4, 0, {}]]]),
        receives("SNAPSHOT", [5, 41, 42, TIME, [], [GBP, {1: 16939, 3: 16941, 14: "live"}]]),
        answer(1, ("GBPUSD", 0)),
        DEFINED,
        receives("SNAPSHOT of some fields, with the status", [5, 42, 43, TIME, [], [EUR, {1: 139121, 14: "live"}]]),
        answer(2, ("EURUSD", 0)),
        receives("DELTA with a field that comes later", [6, 43, 44, TIME, [EUR, {3: 139123}]]),
        wants("GBPUSD", "EURUSD", fields={"EURUSD": ["last", "bid"]}),
        sends(subscribe(3, "EURUSD", fields=["bid", "last"])),
        receives("DELTA of a former field, on its way", [6, 44, 45, TIME, [EUR, {3: 139124}]]),
        receives("SNAPSHOT that replaces the fields", [5, 45, 46, TIME, [], [EUR, {1: 139121, 5: 139122, 14: "live"}]]),
        answer(3, ("EURUSD", 0)),
        closed(),
        # The fields are a part of what is resumed.
        offers(60),
        sends(resume(4, 46, "GBPUSD", selected=[[["bid", "last"], ["EURUSD"]]])),
        receives("DELTA since the cursor", [6, 46, 60, TIME, [EUR, {5: 139130}]]),
        answer(4, ("GBPUSD", 0), ("EURUSD", 0)),
        wants("GBPUSD", "EURUSD"),
        sends(subscribe(5, "EURUSD")),
        receives("SNAPSHOT with all fields", [5, 60, 61, TIME, [], [EUR, {1: 139121, 2: 5, 5: 139130}]]),
        closed(),
        # There was no reply: which fields the copy has, the server cannot tell.
        offers(70),
        sends(resume(6, 61, "GBPUSD", forget=["EURUSD"]), subscribe(7, "EURUSD")),
        receives("REMOVED", [10, 61, 61, [EUR]]),
        answer(6, ("GBPUSD", 0)),
        receives("SNAPSHOT", [5, 61, 70, TIME, [], [EUR, {1: 139131, 2: 6}]]),
        answer(7, ("EURUSD", 0)),
        closed(),
        # Other fields that are wanted meanwhile are asked for behind the resume of the former ones.
        wants("GBPUSD", "EURUSD", fields={"GBPUSD": ["status"], "EURUSD": ["bid"]}),
        offers(71),
        sends(
            resume(8, 70, "GBPUSD", "EURUSD"),
            subscribe(9, "GBPUSD", fields=["status"]),
            subscribe(10, "EURUSD", fields=["bid"]),
        ),
        answer(8, ("GBPUSD", 0), ("EURUSD", 0)),
        receives("SNAPSHOT", [5, 70, 71, TIME, [], [GBP, {14: "live"}]]),
        answer(9, ("GBPUSD", 0)),
        receives("ERROR: the fields stay what they were", [3, 10, 5, "fields: too many", False]),
        receives("DELTA", [6, 71, 72, TIME, [EUR, {2: 7}]]),
        closed(),
        offers(72),
        sends(
            resume(11, 72, forget=["EURUSD"], selected=[[["status"], ["GBPUSD"]]]),
            subscribe(12, "EURUSD", fields=["bid"]),
        ),
        receives("REMOVED", [10, 72, 72, [EUR]]),
        answer(11, ("GBPUSD", 0)),
        receives("SNAPSHOT", [5, 72, 73, TIME, [], [EUR, {1: 139132}]]),
        answer(12, ("EURUSD", 0)),
        wants("EURUSD", fields={"EURUSD": ["bid"]}),
        sends(unsubscribe(13, "GBPUSD")),
    ],
)

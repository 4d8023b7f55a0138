"""What belongs to one connection only: the ids of tables, and what the server says of its source."""

from __future__ import annotations

from tests.golden.steps import (
    TIME,
    Bad,
    Conversation,
    answer,
    closed,
    receives,
    resume,
    sends,
    subscribe,
    wants,
    welcome,
)

BOOK, TRADES, CANDLES = "EURUSD book:3", "EURUSD trades:3", "EURUSD candles:1m:3"
ALL = ("EURUSD", BOOK, TRADES, CANDLES)
EUR = 0

TABLES = Conversation(
    "tables on one connection after another",
    [
        wants(*ALL),
        welcome(41),
        sends(subscribe(1, *ALL)),
        receives(
            "INSTRUMENTS with an instrument and its tables",
            [4, [[EUR, "EURUSD", 5, 0, {}], [-1, BOOK, 5, 0, {}], [-2, TRADES, 5, 0, {}], [-3, CANDLES, 5, 0, {}]]],
        ),
        receives(
            "SNAPSHOT",
            [
                5,
                41,
                42,
                TIME,
                [],
                [
                    EUR,
                    {1: 139121},
                    -1,
                    {16: [139121, 5, 139120, 4]},
                    -2,
                    {18: [7, 139121, 5, TIME, 1, None]},
                    -3,
                    {19: [1399507200, 1, 1, 1, 1, 5, 1]},
                ],
            ],
        ),
        answer(1, *((name, 0) for name in ALL)),
        closed(),
        # Tables are held by name until they have their ids; one that this server does not have leaves with the data.
        welcome(44),
        sends(resume(2, 42, *ALL)),
        receives("HEARTBEAT before any id", [7, 44, TIME]),
        receives(
            "INSTRUMENTS gives two tables each other's ids, one of them higher scales",
            [4, [[-1, TRADES, 5, 0, {}], [-2, BOOK, 6, 1, {}]]],
        ),
        receives(
            "SNAPSHOT with changes, and the whole record whose scales rose",
            [
                5,
                42,
                44,
                TIME,
                [EUR, {1: 139122}, -1, {18: [8, 139122, 2, TIME, -1, None]}],
                [-2, {16: [1391215, 55, 1391200, 40]}],
            ],
        ),
        answer(2, ("EURUSD", 0), (BOOK, 0), (TRADES, 0), (CANDLES, 12)),
        receives("DELTA", [6, 44, 45, TIME, [-1, {18: [9, 139122, 1, TIME, 1, None]}, -2, {16: [1391215, None]}]]),
        closed(),
        # Or with the reply, if there are no data.
        welcome(45),
        sends(resume(3, 45, "EURUSD", BOOK, TRADES), subscribe(4, CANDLES)),
        receives("INSTRUMENTS", [4, [[-7, BOOK, 6, 1, {}]]]),
        answer(3, ("EURUSD", 0), (BOOK, 0), (TRADES, 13)),
        closed(),
        # The connection is lost again before the tables have ids.
        welcome(46),
        sends(resume(5, 45, "EURUSD", BOOK, forget=[CANDLES]), subscribe(6, TRADES, CANDLES)),
        closed(),
        welcome(46),
        sends(resume(7, 45, "EURUSD", BOOK, forget=[TRADES, CANDLES]), subscribe(8, TRADES, CANDLES)),
        receives("INSTRUMENTS", [4, [[-40, BOOK, 6, 1, {}], [-41, TRADES, 5, 0, {}]]]),
        receives("DELTA", [6, 45, 46, TIME, [-40, {17: [1391230, 10]}]]),
        answer(7, ("EURUSD", 0), (BOOK, 0)),
        receives("INSTRUMENTS", [4, [[-42, CANDLES, 5, 0, {}]]]),
        receives("SNAPSHOT", [5, 46, 47, TIME, [], [-41, {18: []}, -42, {19: [1399507260, 2, 2, 2, 2, 5, 1]}]]),
        answer(8, (TRADES, 0), (CANDLES, 0)),
        receives("REMOVED", [10, 47, 47, [-41]]),
        receives("DELTA of what has left", [6, 47, 48, TIME, [-41, {18: [10, 139122, 1, TIME, 1, None]}]]),
        receives("SNAPSHOT of what comes back", [5, 48, 49, TIME, [], [-41, {18: [11, 1, 1, TIME, 1, None]}]]),
    ],
    [
        Bad("a second id for a table", [4, [[-50, BOOK, 6, 1, {}]]]),
        Bad("another id for a table that has left", [4, [[-50, TRADES, 5, 0, {}], [-41, "GBPUSD trades:3", 5, 0, {}]]]),
        Bad("one id for two tables", [4, [[-50, "GBPUSD book:3", 4, 0, {}], [-50, "GBPUSD trades:3", 4, 0, {}]]]),
        Bad("the id of a table for an instrument", [4, [[-40, "GBPUSD", 4, 0, {}]]]),
        Bad("the id of an instrument for a table", [4, [[EUR, "GBPUSD book:3", 4, 0, {}]]]),
        Bad("an instrument with a negative id", [4, [[-50, "GBPUSD", 4, 0, {}]]]),
        Bad("a table with an id that is not negative", [4, [[50, "GBPUSD book:3", 4, 0, {}]]]),
        Bad(
            "a good definition before a bad one",
            [4, [[-50, "GBPUSD book:3", 4, 0, {}], [0, "EURCHF book:3", 4, 0, {}]]],
        ),
        Bad("an id of 2**53 below zero", [4, [[-(2**53), "GBPUSD book:3", 4, 0, {}]]]),
        Bad("an id of an earlier connection", [6, 49, 50, TIME, [-1, {14: "live"}]]),
    ],
)

SCALES = Conversation(
    "a table that comes back with lower scales",
    [
        wants(BOOK),
        welcome(41),
        sends(subscribe(1, BOOK)),
        receives("INSTRUMENTS", [4, [[-1, BOOK, 5, 2, {}]]]),
        receives("SNAPSHOT", [5, 41, 42, TIME, [], [-1, {16: [139121, 500]}]]),
        answer(1, (BOOK, 0)),
        closed(),
        welcome(42),
        sends(resume(2, 42, BOOK)),
    ],
    [
        Bad("a lower scale of prices", [4, [[-9, BOOK, 4, 2, {}]]]),
        Bad("a lower scale of sizes", [4, [[-9, BOOK, 5, 1, {}]]]),
    ],
)

SOURCE = Conversation(
    "a source that is silent",
    [
        wants("EURUSD"),
        welcome(41),
        sends(subscribe(1, "EURUSD")),
        receives("SOURCE: nothing was heard since then", [11, TIME], silent=TIME),
        receives("INSTRUMENTS", [4, [[EUR, "EURUSD", 5, 0, {}]]]),
        receives("SNAPSHOT", [5, 41, 41, TIME, [], [EUR, {1: 139121, 14: "live"}]], silent=TIME),
        answer(1, ("EURUSD", 0)),
        receives("HEARTBEAT", [7, 41, TIME], silent=TIME),
        receives("SOURCE: it is heard again", [11, None], silent=None),
        receives("DELTA", [6, 41, 42, TIME, [EUR, {1: 139122}]], silent=None),
        receives("SOURCE, with a further element", [11, TIME + 1000, "later"], silent=TIME + 1000),
        closed(),
        # A new connection says it anew, if it holds.
        welcome(42) | {"silent": None},
        sends(resume(2, 42, "EURUSD")),
        receives("SOURCE again", [11, TIME + 1000], silent=TIME + 1000),
        answer(2, ("EURUSD", 0)),
    ],
    [
        Bad("SOURCE without a time", [11]),
        Bad("SOURCE whose time is a text", [11, "now"]),
        Bad("SOURCE whose time is negative", [11, -1]),
        Bad("SOURCE whose time is false", [11, False]),
    ],
)

CONVERSATIONS = [TABLES, SCALES, SOURCE]

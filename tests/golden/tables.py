"""Order books, trades and candles: rows that leave and come back, late and corrected ones, texts, scales that rise."""

from __future__ import annotations

from tests.golden.steps import (
    TIME,
    Bad,
    Conversation,
    Message,
    answer,
    receives,
    sends,
    subscribe,
    wants,
    welcome,
)

BOOK, TRADES, CANDLES = "EURUSD book:3", "EURUSD trades:3", "EURUSD candles:1m:3"
EUR_BOOK, EUR_TRADES, EUR_CANDLES = -1, -2, -200
MINUTE = 1399507200
TRUE = True


def delta(cut: int, *entries: object) -> Message:
    """Changes of the cut behind the one before."""
    return [6, cut - 1, cut, TIME + 1000 * cut, list(entries)]


def bids(cut: int, *cells: object) -> Message:
    return delta(cut, EUR_BOOK, {16: list(cells)})


def asks(cut: int, *cells: object) -> Message:
    return delta(cut, EUR_BOOK, {17: list(cells)})


BOOK_STEPS = [
    wants(BOOK),
    welcome(41),
    sends(subscribe(1, BOOK)),
    receives("INSTRUMENTS defines a table", [4, [[0, "EURUSD", 5, 0, {}], [EUR_BOOK, BOOK, 5, 0, {}]]]),
    receives(
        "SNAPSHOT with a book, asks fewer than bids",
        [5, 41, 42, TIME, [], [EUR_BOOK, {16: [139121, 50, 139120, 40, 139119, 30], 17: [139134, 7], 14: "live"}]],
    ),
    answer(1, (BOOK, 0)),
    receives("a level has another size, one is new, rows not in order", asks(43, 139139, 9, 139134, 8)),
    receives(
        "the best bid goes, and an old level enters though its size is the same", bids(44, 139118, 20, 139121, None)
    ),
    receives("it comes back, and pushes the entered one out", bids(45, 139118, None, 139121, 51)),
    receives("a better one enters before the one that goes", bids(46, 139125, 10, 139121, None)),
    receives("levels that are not held go", bids(47, 139110, None, "139.5", None)),
    receives(
        "one level for another, in an order in which four are held for a moment",
        bids(48, 139126, 1, 139127, 2, 139125, None, 139120, None),
    ),
    receives("a side is empty", asks(49, 139134, None, 139139, None)),
    receives("numbers as text, also the key", asks(50, 139200, "0.5", "1.391915", 3, "1.3920000001", 4)),
    receives("the key that is a text again", asks(51, "1.391915", "9007199254740993")),
    receives("the book is stale", delta(52, EUR_BOOK, {14: "stale", 15: "gap"})),
    receives(
        "it is live again, and only what differs comes",
        delta(53, EUR_BOOK, {14: "live", 15: None, 16: [139126, None, 139128, 6], 17: []}),
    ),
    receives("changes of a record that is defined, but not held", delta(54, 0, {1: 5}, EUR_BOOK, {16: [139128, 5]})),
    receives(
        "INSTRUMENTS raises both scales: integers move, also as keys, and texts stay", [4, [[EUR_BOOK, BOOK, 6, 2, {}]]]
    ),
    receives(
        "SNAPSHOT with the whole record: the text is an integer now",
        [
            5,
            54,
            55,
            TIME,
            [],
            [
                EUR_BOOK,
                {
                    16: [1391280, 500, 1391270, 200, 1391190, 3000],
                    17: [1391915, "9007199254740993", 1392000, 50, "1.3920000001", 400],
                    14: "live",
                },
            ],
        ],
    ),
    receives("a key at the higher scale", delta(56, EUR_BOOK, {16: [1391270, 201], 17: [1391915, 7]})),
    receives(
        "SNAPSHOT in which the same book has changes and a record: the record counts",
        [
            5,
            56,
            57,
            TIME,
            [EUR_BOOK, {16: [1391270, 1], 15: "gap"}],
            [EUR_BOOK, {16: [1391260, 1], 17: [1391915, 8], 14: "live"}],
        ],
    ),
    receives("a crossed book", delta(58, EUR_BOOK, {16: [1391916, 3]})),
    receives("an empty DELTA moves the cursor", delta(59)),
    receives("the rows of a side are withdrawn together", delta(60, EUR_BOOK, {16: None})),
    receives("rows come into the empty side", bids(61, 0, 3, -5, 4, "-0.0000001", 5)),
    receives(
        "SNAPSHOT with a record that has one side, and no status", [5, 61, 62, TIME, [], [EUR_BOOK, {16: [1391260, 1]}]]
    ),
]


def bad_book(name: str, *cells: object, field: int = 16) -> Bad:
    return Bad(name, [6, 62, 63, TIME, [EUR_BOOK, {field: list(cells)}]])


BAD_BOOKS = [
    bad_book("a row that is not whole", 1391260, 1, 1391270),
    bad_book("a key that is nil", None, 1),
    bad_book("a key that is true", TRUE, 1),
    bad_book("a key with a fraction", 1.5, 1),
    bad_book("a key that is no plain decimal", "1e3", 1),
    bad_book("a size that is true", 1391260, TRUE),
    bad_book("a size with a fraction", 1391260, 0.5),
    bad_book("a size that is an empty text", 1391260, ""),
    bad_book("a size of 2**53", 1391260, 2**53),
    bad_book("a key twice", 1391260, 1, 1391260, 2),
    bad_book("more levels than the table has", 5, 1, 6, 1, 7, 1),
    bad_book("trades of two columns", 1391260, 1, field=18),
    Bad("rows that are a map", [6, 62, 63, TIME, [EUR_BOOK, {16: {1391260: 1}}]]),
    Bad("rows that are a number", [6, 62, 63, TIME, [EUR_BOOK, {16: 1391260}]]),
    Bad("a bad side behind a good one", [6, 62, 63, TIME, [EUR_BOOK, {16: [1391260, 2], 17: [1391915]}]]),
    Bad("REMOVED with an id that is a text", [10, 62, 62, ["-1"]]),
    Bad("REMOVED with an id of -2**53", [10, 62, 62, [-(2**53)]]),
    Bad("REMOVED without ids", [10, 62, 62]),
    Bad("REMOVED beyond a gap", [10, 63, 63, [EUR_BOOK]]),
    Bad("REMOVED before the cursor", [10, 60, 61, [EUR_BOOK]]),
    Bad("EXPIRING without a time", [9]),
]


def trades(cut: int, *rows: list[object]) -> Message:
    return delta(cut, EUR_TRADES, {18: [cell for row in rows for cell in row]})


TRADES_STEPS = [
    wants(TRADES),
    welcome(41),
    sends(subscribe(1, TRADES)),
    receives("INSTRUMENTS", [4, [[EUR_TRADES, TRADES, 5, 0, {}]]]),
    receives(
        "SNAPSHOT with two trades",
        [
            5,
            41,
            42,
            TIME,
            [],
            [EUR_TRADES, {18: [41, 139122, 5, TIME, -1, None, 42, 139121, 7, TIME, 1, "a7"], 14: "live"}],
        ],
    ),
    answer(1, (TRADES, 0)),
    receives(
        "two trades, the later one first",
        trades(43, [44, 139124, 1, TIME + 5, None, 17], [43, 139123, 2, TIME + 5, 1, "a8"]),
    ),
    receives("a trade is corrected, and stays in its place", trades(44, [42, 139120, 8, TIME, 1, "a7"])),
    receives("a trade is busted", trades(45, [43, 139123, 0, TIME + 5, 1, "a8"])),
    receives("one trade", trades(46, [45, "1.3912500000000001", "0.25", TIME + 6, -1, ""])),
    receives(
        "the latest of more than there is room for",
        trades(47, [48, 139128, 1, TIME + 9, 1, 1], [50, 139130, 3, TIME + 9, 1, 3], [49, 139129, 2, TIME + 9, 1, 2]),
    ),
    receives("one that is older than all that are held", trades(48, [47, 139127, 1, TIME + 8, 1, 0])),
    receives(
        "the last one is corrected together with a new one",
        trades(49, [51, 139131, 4, TIME + 10, -1, 4], [50, 139130, 5, TIME + 9, 1, 3]),
    ),
    receives("INSTRUMENTS raises the scale of sizes", [4, [[EUR_TRADES, TRADES, 5, 3, {}]]]),
    receives(
        "SNAPSHOT with the whole record, shorter than before",
        [
            5,
            49,
            50,
            TIME,
            [],
            [EUR_TRADES, {18: [50, 139130, 5000, TIME + 9, 1, 3, 51, 139131, 4000, TIME + 10, -1, 4], 14: "halted"}],
        ],
    ),
    receives("INSTRUMENTS raises the scale of prices", [4, [[EUR_TRADES, TRADES, 6, 3, {}]]]),
    receives(
        "a trade at the higher scales, and a status of a later version",
        delta(51, EUR_TRADES, {18: [52, 1391315, 1, TIME + 11, 1, None], 14: "auction", 15: "opening"}),
    ),
]


def bad_trade(name: str, *cells: object) -> Bad:
    return Bad(name, [6, 51, 52, TIME, [EUR_TRADES, {18: list(cells)}]])


BAD_TRADES = [
    bad_trade("five columns", 53, 1391315, 1, TIME, 1),
    bad_trade("a number that is a text", "53", 1391315, 1, TIME, 1, None),
    bad_trade("a number below zero", -1, 1391315, 1, TIME, 1, None),
    bad_trade("a price that is nil", 53, None, 1, TIME, 1, None),
    bad_trade("a size that is nil", 53, 1391315, None, TIME, 1, None),
    bad_trade("a time that is a text", 53, 1391315, 1, "now", 1, None),
    bad_trade("a side of 2", 53, 1391315, 1, TIME, 2, None),
    bad_trade("a side of true", 53, 1391315, 1, TIME, TRUE, None),
    bad_trade("an id of 257 characters", 53, 1391315, 1, TIME, 1, "x" * 257),
    bad_trade("an id that is an array", 53, 1391315, 1, TIME, 1, ["a"]),
]


def bars(cut: int, *rows: list[object]) -> Message:
    return delta(cut, EUR_CANDLES, {19: [cell for row in rows for cell in row]})


CANDLES_STEPS = [
    wants(CANDLES),
    welcome(41),
    sends(subscribe(1, CANDLES)),
    receives("INSTRUMENTS", [4, [[EUR_CANDLES, CANDLES, 5, 0, {"period": "1m", "from": "trades"}]]]),
    receives("SNAPSHOT without a row", [5, 41, 42, TIME, [], [EUR_CANDLES, {19: [], 14: "live"}]]),
    answer(1, (CANDLES, 0)),
    receives("the first bar", bars(43, [MINUTE, 10, 10, 10, 10, 1, 1])),
    receives("it changes", bars(44, [MINUTE, 10, 15, 9, 12, 8, 4])),
    receives("the next but one", bars(45, [MINUTE + 120, 12, 12, 12, 12, 2, 1])),
    receives("a late trade amends a bar that is over", bars(46, [MINUTE, 10, 16, 9, 13, 9, 5])),
    receives("a late trade makes a bar between two", bars(47, [MINUTE + 60, 13, 13, 13, 13, 1, 1])),
    receives(
        "a new bar pushes out the first, behind an older one that changes",
        bars(48, [MINUTE + 240, 12, 12, 12, 12, None, None], [MINUTE + 60, 13, 14, 13, 14, 3, 2]),
    ),
    receives(
        "a late bar between two pushes out the first",
        bars(49, [MINUTE + 180, "1.5", 2, 1, "0.00000000000000001", "9007199254740993", 7]),
    ),
    receives("a late bar before all is dropped at once", bars(50, [MINUTE + 60, 1, 1, 1, 1, 1, 1])),
    receives("INSTRUMENTS raises both scales", [4, [[EUR_CANDLES, CANDLES, 6, 1, {"period": "1m", "from": "trades"}]]]),
    receives(
        "SNAPSHOT with the whole record",
        [
            5,
            50,
            51,
            TIME,
            [],
            [
                EUR_CANDLES,
                {19: [MINUTE + 240, 120, 125, 119, 121, 100, 9, MINUTE + 300, 121, 121, 121, 121, 10, 1], 14: "live"},
            ],
        ],
    ),
    receives(
        "two bars at the higher scales",
        bars(52, [MINUTE + 360, 121, 121, 121, 121, 1, 1], [MINUTE + 300, 121, 122, 121, 122, 13, 2]),
    ),
]


def bad_bar(name: str, *cells: object) -> Bad:
    return Bad(name, [6, 52, 53, TIME, [EUR_CANDLES, {19: list(cells)}]])


BAD_CANDLES = [
    bad_bar("six columns", MINUTE, 1, 1, 1, 1, 1),
    bad_bar("a start that is a text", str(MINUTE), 1, 1, 1, 1, 1, 1),
    bad_bar("an open that is nil", MINUTE, None, 1, 1, 1, 1, 1),
    bad_bar("a count below zero", MINUTE, 1, 1, 1, 1, 1, -1),
    bad_bar("a volume that is no plain decimal", MINUTE, 1, 1, 1, 1, ".5", 1),
    bad_bar("a bar twice", MINUTE, 1, 1, 1, 1, 1, 1, MINUTE, 1, 1, 1, 1, 1, 1),
]

CONVERSATIONS = [
    Conversation("book", BOOK_STEPS, BAD_BOOKS),
    Conversation("trades", TRADES_STEPS, BAD_TRADES),
    Conversation("candles", CANDLES_STEPS, BAD_CANDLES),
]

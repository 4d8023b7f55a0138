"""Values of every kind and width on one connection, and payloads of every malformed shape."""

from tests.golden.steps import TIME, Bad, Conversation, receives, sends, subscribe, wants

STEPS = [
    wants("*"),
    receives(
        "WELCOME",
        [
            1,
            1,
            "b0c0489832342636",
            "s1",
            41,
            TIME,
            10000,
            {"max_message_bytes": 65536, "max_symbols": 2000, "min_interval_ms": 0},
        ],
    ),
    sends(subscribe(1, "*")),
    receives(
        "INSTRUMENTS defines two", [4, [[0, "EURUSD", 5, 0, {"name": "Euro / US dollar"}], [300, "XAUUSD", 2, 0, {}]]]
    ),
    receives(
        "SNAPSHOT with complete records, one of them empty",
        [5, 41, 42, TIME, [], [0, {1: 139121, 2: 1000000, 3: 139134, 14: "live"}, 300, {}]],
    ),
    receives("REPLY to the subscribe", [2, 1, {"outcomes": [["*", 0, ""]], "interval_ms": 0}]),
    receives(
        "DELTA with a price, a time and fields of the feed's own",
        [6, 42, 43, TIME + 1000, [300, {1: 129033, 13: TIME, "note": "erster Kurs \u2013 gut", "depth": -1}]],
    ),
    receives(
        "DELTA across instruments, from before the cursor",
        [6, 41, 45, TIME + 2000, [0, {3: 139135}, 300, {1: 129033, 3: 129066}]],
    ),
    receives("HEARTBEAT", [7, 60, TIME + 3000]),
    receives("DELTA that withdraws a field", [6, 60, 61, TIME + 4000, [0, {2: None}]]),
    receives("INSTRUMENTS raises a scale: no value changes", [4, [[300, "XAUUSD", 3, 0, {"unit": "oz"}]]]),
    receives("DELTA at the raised scale", [6, 61, 62, TIME + 5000, [300, {1: 1290335, 3: 1290660}]]),
    receives(
        "DELTA with integers at every width",
        [
            6,
            62,
            65536,
            TIME + 6000,
            [
                0,
                {
                    "i0": 0,
                    "i1": 1,
                    "i2": 127,
                    "i3": 128,
                    "i4": 255,
                    "i5": 256,
                    "i6": 65535,
                    "i7": 65536,
                    "i8": 4294967295,
                    "i9": 4294967296,
                    "i10": 9007199254740991,
                    "n1": -1,
                    "n2": -127,
                    "n3": -128,
                    "n4": -255,
                    "n5": -256,
                    "n6": -65535,
                    "n7": -65536,
                    "n8": -4294967295,
                    "n9": -4294967296,
                    "n10": -9007199254740991,
                },
            ],
        ],
    ),
    receives(
        "DELTA with prices below one and below zero",
        [6, 65536, 65537, TIME + 7000, [0, {1: -5, 3: 7, 5: 0, 11: 9007199254740991}]],
    ),
    receives(
        "DELTA with numbers beyond 53 bits, which are plain decimal texts, and decimals of the feed's own",
        [
            6,
            65537,
            65538,
            TIME + 7500,
            [
                300,
                {
                    5: "5.000000000000001",
                    6: "-0.0000000000000001",
                    11: "1127313210.00855204",
                    "rate": ["0.0001"],
                    "large": ["9007199254740993"],
                    "label": "0.0001",
                },
            ],
        ],
    ),
    receives("INSTRUMENTS raises a scale: a text has no scale", [4, [[300, "XAUUSD", 4, 0, {"unit": "oz"}]]]),
    receives(
        "DELTA in which a text becomes an integer",
        [
            6,
            65538,
            65539,
            TIME + 7600,
            [
                300,
                {
                    5: 50001,
                    6: None,
                    11: 1127313211,
                    "rate": None,
                    "large": None,
                    "label": None,
                    1: 12903350,
                    3: 12906600,
                },
            ],
        ],
    ),
    receives("INSTRUMENTS defines twenty", [4, [[1000 + each, f"S{each}", 0, 0, {}] for each in range(20)]]),
    receives(
        "SNAPSHOT with changes and twenty records",
        [
            5,
            65537,
            70000,
            TIME + 8000,
            [0, {5: 139130}],
            [part for each in range(20) for part in (1000 + each, {5: each})],
        ],
    ),
    receives("SNAPSHOT that replaces a record", [5, 70000, 70001, TIME + 9000, [], [1000, {1: 8}]]),
    receives(
        "DELTA with texts of 31, 32 and 256 bytes",
        [6, 70001, 70002, TIME + 10000, [1001, {"a": "x" * 31, "b": "y" * 32, "c": "z" * 256}]],
    ),
    receives("a kind of a later version", [99, {"what": "ever"}]),
    receives(
        "DELTA with a further element and an unknown field id",
        [6, 70002, 70003, TIME + 11000, [1001, {1: 5, 99: 1}], "later"],
    ),
    receives("ERROR that is not fatal", [3, None, 4, "unknown op 'x'", False]),
    receives(
        "DELTA in the longest forms that msgpack allows",
        [6, 70003, 70004, TIME + 12000, [1001, {1: 6}]],
        forms={
            "msgpack": "dd00000005cf0000000000000006cf0000000000011173cf0000000000011174cf0004f8d82a0969"
            "d8dc0002cf00000000000003e9df00000001cf0000000000000001cf0000000000000006"
        },
    ),
    receives("GOODBYE", [8, "the server is stopping", 1500, True]),
]

REFUSED = [
    Bad("empty", forms={"msgpack": "", "json": ""}),
    Bad(
        "cut off",
        forms={
            "msgpack": "9605292acf0004f8d82a093af89094008401ce00021f7102ce000f424003ce00021f7e0ea46c697665cd012c",
            "json": '[5,41,42,TIME + 0,[],[0,{"1":139121,"2":1000000,"3":139134,"14":"live"},300,{}]',
        },
    ),
    Bad(
        "something behind the message",
        forms={"msgpack": "93073ccf0004f8d82a0946b0c0", "json": "[7,60,TIME + 3000]0"},
    ),
    Bad("a length that lies", forms={"msgpack": "ddffffffff06"}),
    Bad("a text that is not UTF-8", forms={"msgpack": "9408a2fffe01c3"}),
    Bad("an extension type", forms={"msgpack": "9307d4010001"}),
    Bad("a NaN", forms={"json": "[7,NaN,1]"}),
    Bad("not an array", {"kind": 6}),
    Bad("an empty array", []),
    Bad("a kind that is no integer", ["6", 1, 2]),
    Bad("DELTA without changes", [6, 70004, 70005, TIME + 0]),
    Bad("a negative cut", [6, 70004, -1, TIME, []]),
    Bad("a cut of 2**53", [6, 70004, 9007199254740992, TIME, []]),
    Bad("a time with a fraction", [6, 70004, 70005, 1.5, []]),
    Bad("a gap: since is beyond the cursor", [6, 70005, 70006, TIME, []]),
    Bad("a cut before the cursor", [6, 70000, 70003, TIME, []]),
    Bad("changes without fields", [6, 70004, 70005, TIME, [1001]]),
    Bad("an instrument that was not defined", [6, 70004, 70005, TIME, [7, {1: 5}]]),
    Bad("an id that is no integer", [6, 70004, 70005, TIME, ["1001", {1: 5}]]),
    Bad("fields that are no map", [6, 70004, 70005, TIME, [1001, [1, 5]]]),
    Bad("a price that is a text, but no plain decimal", [6, 70004, 70005, TIME, [1001, {1: "1e2"}]]),
    Bad("a price with a fraction", [6, 70004, 70005, TIME, [1001, {1: 5.5}]]),
    Bad("a price that is true", [6, 70004, 70005, TIME, [1001, {1: True}]]),
    Bad("a status that is a number", [6, 70004, 70005, TIME, [1001, {14: 1}]]),
    Bad("a field that is an array", [6, 70004, 70005, TIME, [1001, {"own": [1]}]]),
    Bad("a bad entry behind a good one", [6, 70004, 70005, TIME, [1001, {1: 7}, 1002, {1: "x"}]]),
    Bad("a bad record behind good changes", [5, 70004, 70005, TIME, [1001, {1: 7}], [7, {}]]),
    Bad("a price of 2**53", [6, 70004, 70005, TIME, [1001, {1: 9007199254740992}]]),
    Bad("a scale that falls", [4, [[300, "XAUUSD", 2, 0, {}]]]),
    Bad("an id with another symbol", [4, [[300, "XAGUSD", 3, 0, {}]]]),
    Bad("a scale of 16", [4, [[400, "NEW", 16, 0, {}]]]),
    Bad("a good definition before a bad one", [4, [[400, "NEW", 1, 0, {}], [300, "XAGUSD", 3, 0, {}]]]),
    Bad("a symbol that is a number", [4, [[400, 5, 1, 0, {}]]]),
    Bad("HEARTBEAT without a time", [7, 70005]),
    Bad("ERROR whose fatal is a number", [3, None, 4, "x", 1]),
    Bad("GOODBYE whose delay is a text", [8, "x", "soon", True]),
]

VALUES = Conversation("values", STEPS, REFUSED)

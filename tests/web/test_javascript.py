"""ticker/web/ticker.js takes messages as the Python client does: golden ones, random valid ones, and damaged ones."""

from __future__ import annotations

import json
import struct
import subprocess
from collections.abc import Iterator
from fnmatch import fnmatchcase
from random import Random
from typing import Any, NamedTuple

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.bounds import HANG_SECONDS
from tests.client.golden import CONVERSATIONS
from tests.web.javascript import SCRIPTS, Batch, batch, node
from ticker.client.replica import InstrumentState, State
from ticker.client.session import ClientSession
from ticker.commands.cells import shown
from ticker.errors import ProtocolError
from ticker.market import Status
from ticker.numbers import MAX_INTEGER
from ticker.protocol.wire import JSON, MSGPACK, Encoding

Message = list[Any]


@pytest.fixture(scope="module")
def javascript() -> Iterator[Batch]:
    with batch() as made:
        yield made


@pytest.mark.parametrize("part", ["session", "names", "tables", "readers", "addresses", "fields"])
def test_its_state_machine_does_what_the_protocol_says(part: str) -> None:
    command = [node(), "--test", "--test-reporter=tap", str(SCRIPTS / f"{part}.test.mjs")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=HANG_SECONDS)
    assert done.returncode == 0, done.stdout
    assert "\n# pass " in done.stdout


# A client in Python that says the same as batch.mjs


class Copy:
    """One connection whose client subscribed `*`."""

    def __init__(self, encoding: Encoding) -> None:
        self.session = ClientSession(encoding)
        self.session.add_names(["*"])
        self._begun = False

    def take(self, payload: bytes | str) -> dict[str, Any]:
        """The result of a payload."""
        changes, tables, refused = None, set[str](), False
        try:
            if self._begun:
                received = self.session.receive(payload)
                changes, tables = received.changes, received.tables
            else:
                self.session.begin(payload)
                self.session.requests()
                self._begun = True
        except ProtocolError:
            refused = True
        named = {symbol: _texts(fields) for symbol, fields in changes.items()} if changes is not None else None
        return {
            "refused": refused,
            "changes": named,
            "tables": sorted(tables, key=lambda name: name.encode("utf-16-be")),  # JavaScript's order
            "cursor": self.session.replica.cursor,
            "copy": {state.definition.symbol: _copy_of(state) for state in self.session.replica},
            "digest": self.session.replica.digest(),
        }


def _copy_of(state: State) -> dict[str, Any]:
    """The values of an instrument, and the fields of a table as on the wire."""
    if isinstance(state, InstrumentState):
        return _texts(state.present())
    return {str(key): value for key, value in state.wire().items() if value != []}


def _texts(fields: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value if value is None or isinstance(value, int | str) else shown(value) for name, value in fields.items()
    }


# Random messages, in whichever of its forms msgpack has for each value


def pack(value: object, random: Random) -> bytes:
    """A value as msgpack, in a form that need not be the shortest."""
    if value is None or isinstance(value, bool):
        return {None: b"\xc0", False: b"\xc2", True: b"\xc3"}[value]
    if isinstance(value, int):
        return random.choice(_integers(value))
    if isinstance(value, str):
        text = value.encode()
        return _head(len(text), random, (0xA0, 31), (0xD9, 0xDA, 0xDB)) + text
    if isinstance(value, list):
        body = b"".join(pack(each, random) for each in value)
        return _head(len(value), random, (0x90, 15), (None, 0xDC, 0xDD)) + body
    assert isinstance(value, dict)
    body = b"".join(pack(key, random) + pack(each, random) for key, each in value.items())
    return _head(len(value), random, (0x80, 15), (None, 0xDE, 0xDF)) + body


def _integers(value: int) -> list[bytes]:
    """All forms that an integer has."""
    forms = [struct.pack("b", value)] if -32 <= value < 128 else []
    for first, code, low, high in (
        (0xCC, ">B", 0, 2**8),
        (0xCD, ">H", 0, 2**16),
        (0xCE, ">I", 0, 2**32),
        (0xCF, ">Q", 0, 2**64),
        (0xD0, ">b", -(2**7), 2**7),
        (0xD1, ">h", -(2**15), 2**15),
        (0xD2, ">i", -(2**31), 2**31),
        (0xD3, ">q", -(2**63), 2**63),
    ):
        if low <= value < high:
            forms.append(bytes((first,)) + struct.pack(code, value))
    return forms


def _head(length: int, random: Random, short: tuple[int, int], long: tuple[int | None, ...]) -> bytes:
    """The head of a text, an array or a map; `long` are the first bytes before lengths of 1, 2 and 4 bytes."""
    forms = [bytes((short[0] | length,))] if length <= short[1] else []
    for first, code, limit in zip(long, (">B", ">H", ">I"), (2**8, 2**16, 2**32), strict=True):
        if first is not None and length < limit:
            forms.append(bytes((first,)) + struct.pack(code, length))
    return random.choice(forms)


def as_json(message: Message) -> str:
    """A message in JSON, whose map keys are texts."""
    return json.dumps(message, ensure_ascii=False)


INTEGERS = st.one_of(
    st.integers(-MAX_INTEGER, MAX_INTEGER),
    st.builds(
        lambda bits, nudge, sign: sign * min(2**bits + nudge, MAX_INTEGER),
        st.integers(0, 53),
        st.integers(-1, 1),
        st.sampled_from([1, -1]),
    ),
)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=300) | st.just("\ufeffa byte order mark is text")
SYMBOLS = st.text(st.characters(categories=["L", "N", "S"]), min_size=1, max_size=64) | st.sampled_from(
    ["constructor", "__proto__", "toString", "A", "B"]
)
OWN_NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,31}", fullmatch=True) | st.sampled_from(["constructor", "valueof"])
NUMBERS, UNKNOWN = [*range(1, 12)], [0, 20, 99, 65_535]
STATUSES: st.SearchStrategy[Any] = st.sampled_from([*Status]) | st.text("abé😀 ", max_size=20)
"""Words that this version knows, and those of a later one."""
PLAIN = st.from_regex(r"-?(0|[1-9][0-9]{0,39})(\.[0-9]{1,40})?", fullmatch=True)
FIELDS = st.lists(
    st.tuples(st.sampled_from([12, 13]), INTEGERS | st.none())
    | st.tuples(st.sampled_from(NUMBERS), INTEGERS | PLAIN | st.none())
    | st.tuples(st.just(14), STATUSES | st.none())
    | st.tuples(st.just(15), TEXTS | st.none())
    | st.tuples(st.sampled_from(UNKNOWN), INTEGERS | TEXTS | st.none() | st.lists(INTEGERS, max_size=3))
    | st.tuples(OWN_NAMES, INTEGERS | TEXTS | st.none() | st.tuples(PLAIN).map(list)),
    max_size=20,
).map(dict)
NUMBER = INTEGERS | PLAIN
NATURAL = st.integers(0, MAX_INTEGER)
SHORT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


def rows(*columns: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    """Rows of these columns, each key once, as a flat array."""
    whole = st.lists(st.tuples(*columns), max_size=4, unique_by=lambda row: (type(row[0]), row[0]))
    return whole.map(lambda found: [cell for row in found for cell in row])


LEVELS = rows(NUMBER, NUMBER | st.none())
WHOLE = rows(NUMBER, NUMBER)
BOOKS = st.fixed_dictionaries({}, optional={16: WHOLE | st.none(), 17: WHOLE, 14: STATUSES})
TABLES: dict[str, st.SearchStrategy[dict[int, Any]]] = {
    "book:100": st.fixed_dictionaries({}, optional={16: LEVELS, 17: LEVELS | st.none(), 14: STATUSES}),
    "trades:3": st.fixed_dictionaries(
        {},
        optional={
            18: rows(NATURAL, NUMBER, NUMBER, INTEGERS, st.sampled_from([1, -1, None]), INTEGERS | SHORT | st.none()),
            15: SHORT,
        },
    ),
    "candles:1m:3": st.fixed_dictionaries(
        {},
        optional={
            19: rows(st.integers(0, 10**11), *[NUMBER] * 4, NUMBER | st.none(), NATURAL | st.none()),
            14: STATUSES,
        },
    ),
}
LATER = st.lists(
    INTEGERS | TEXTS | st.none() | st.booleans() | st.dictionaries(TEXTS, INTEGERS, max_size=3), max_size=2
)


class Made(NamedTuple):
    """A conversation: its messages, and the source of their forms."""

    messages: list[Message]
    random: Random

    def frames(self) -> list[bytes]:
        return [pack(message, self.random) for message in self.messages]


@st.composite
def conversations(draw: st.DrawFn) -> Made:
    """WELCOME, definitions, and messages that follow each other."""
    cut = draw(st.integers(0, 2**40))
    messages: list[Message] = [[1, 1, "epoch", draw(TEXTS), cut, 5, 10_000, {}]]
    symbols = draw(st.lists(SYMBOLS, min_size=1, max_size=6, unique=True))
    tables = {symbol: draw(st.sampled_from([None, *TABLES])) for symbol in symbols}
    symbols = [f"{symbol} {tables[symbol]}" if tables[symbol] else symbol for symbol in symbols]
    numbers = st.lists(st.integers(0, MAX_INTEGER - 1), min_size=len(symbols), max_size=len(symbols), unique=True)
    ids = [-1 - number if " " in symbol else number for number, symbol in zip(draw(numbers), symbols, strict=True)]
    scales = {number: [draw(st.integers(0, 8)), draw(st.integers(0, 8))] for number in ids}

    def define(number: int, symbol: str) -> Message:
        return [number, symbol, *scales[number], draw(st.dictionaries(TEXTS, TEXTS, max_size=2)), *draw(LATER)]

    named = dict(zip(ids, symbols, strict=True))
    messages.append([4, [define(*each) for each in named.items()], *draw(LATER)])
    for _ in range(draw(st.integers(1, 6))):
        kind = draw(
            st.sampled_from(["scale", "heartbeat", "delta", "snapshot", "snapshot", "removed", "source", "unknown"])
        )
        if kind in {"heartbeat", "delta", "snapshot", "removed"}:
            since, cut = cut - draw(st.integers(0, min(cut, 3))), cut + draw(st.integers(0, 2**20))
        else:
            since = cut
        moment = draw(st.integers(0, MAX_INTEGER))
        if kind == "scale":
            at = draw(st.integers(0, len(ids) - 1))
            scales[ids[at]] = [min(15, each + draw(st.integers(0, 3))) for each in scales[ids[at]]]
            messages.append([4, [define(ids[at], symbols[at])], *draw(LATER)])
        elif kind == "heartbeat":
            messages.append([7, cut, moment, *draw(LATER)])
        elif kind == "delta":
            messages.append([6, since, cut, moment, draw(entries(named)), *draw(LATER)])
        elif kind == "snapshot":
            records = draw(entries(named, TABLES | {"book:100": BOOKS}))
            messages.append([5, since, cut, moment, draw(entries(named)), records, *draw(LATER)])
        elif kind == "removed":
            messages.append([10, since, cut, draw(st.lists(st.sampled_from(ids) | NATURAL, max_size=3)), *draw(LATER)])
        elif kind == "source":
            messages.append([11, draw(NATURAL | st.none()), *draw(LATER)])
        else:
            messages.append([draw(st.integers(12, MAX_INTEGER) | st.integers(-MAX_INTEGER, 0)), *draw(LATER)])
    return Made(messages, draw(st.randoms(use_true_random=False)))


@st.composite
def entries(
    draw: st.DrawFn, named: dict[int, str], tables: dict[str, st.SearchStrategy[dict[int, Any]]] = TABLES
) -> list[Any]:
    chosen = draw(st.lists(st.sampled_from([*named]), unique=True))
    return [part for number in chosen for part in (number, draw(tables.get(named[number].partition(" ")[2], FIELDS)))]


@given(conversations())
def test_both_clients_make_the_same_of_valid_messages(javascript: Batch, made: Made) -> None:
    frames = made.frames()
    ours = Copy(MSGPACK)
    expected = [ours.take(frame) for frame in frames]
    assert not any(each["refused"] for each in expected)
    assert javascript.ask("conversation", [{"msgpack": frame.hex()} for frame in frames]) == expected


@given(conversations())
def test_both_clients_make_the_same_of_valid_messages_in_json(javascript: Batch, made: Made) -> None:
    texts = [as_json(message) for message in made.messages]
    ours = Copy(JSON)
    expected = [ours.take(text) for text in texts]
    assert not any(each["refused"] for each in expected)
    assert javascript.ask("conversation", [{"json": text} for text in texts]) == expected


def test_both_clients_tell_of_a_field_that_a_message_withdraws_before_it_replaces_the_record(javascript: Batch) -> None:
    messages: list[Message] = [
        [1, 1, "epoch", "session", 5, 5000, 10_000, {}],
        [4, [[0, "A", 2, 0, {}]]],
        [5, 5, 5, 5000, [], [0, {1: 100, 3: 110, 5: 105}]],
        [5, 5, 6, 6000, [0, {1: None, 3: 111}], [0, {5: 106}]],
    ]
    frames: list[bytes] = [msgpack.packb(message) for message in messages]
    ours = Copy(MSGPACK)
    expected = [ours.take(frame) for frame in frames]
    assert expected[-1]["changes"] == {"A": {"bid": None, "ask": None, "last": "1.06"}}
    assert javascript.ask("conversation", [{"msgpack": frame.hex()} for frame in frames]) == expected


def test_both_clients_ignore_what_a_later_version_adds_to_an_outcome(javascript: Batch) -> None:
    welcome: Message = [1, 1, "epoch", "session", 5, 5000, 10_000, {}]
    reply: Message = [2, 1, {"outcomes": [["*", 0, "", "later"]], "later": 1}, "later"]
    assert_agreed(javascript, [msgpack.packb(welcome)], msgpack.packb(reply))
    ours = Copy(MSGPACK)
    assert not any(ours.take(msgpack.packb(message))["refused"] for message in (welcome, reply))


# Damage


@st.composite
def damaged(draw: st.DrawFn, whole: bytes) -> bytes:
    """Some bytes of a frame changed, left out or put in."""
    frame = bytearray(whole)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(frame)))
        how = draw(st.sampled_from(["change", "leave out", "put in", "cut off"]))
        if how == "change" and at < len(frame):
            frame[at] = draw(st.integers(0, 255))
        elif how == "leave out":
            del frame[at : at + draw(st.integers(1, 4))]
        elif how == "put in":
            frame[at:at] = draw(st.binary(min_size=1, max_size=4))
        elif how == "cut off":
            del frame[at:]
    return bytes(frame)


def beyond_the_limit(frame: bytes) -> bool:
    """Whether a message has an integer of 2**53 or more (PROTOCOL.md, section 3: it has none), if only where a client
    looks at nothing. The Python client does not look there; JavaScript could not even read it exactly."""
    try:
        waiting = [MSGPACK.decode_message(frame)]
    except ProtocolError:
        return False
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            waiting += [*value.keys(), *value.values()]
        elif isinstance(value, list):
            waiting += value
        elif isinstance(value, int) and abs(value) > MAX_INTEGER:
            return True
    return False


def assert_agreed(javascript: Batch, before: list[bytes], last: bytes) -> None:
    """Both clients make the same of a message after others, or refuse it and keep the copy."""
    ours = Copy(MSGPACK)
    held = [ours.take(frame) for frame in before][-1]
    expected = ours.take(last)
    if beyond_the_limit(last):
        expected = {**held, "refused": True, "changes": None}
    answers = javascript.ask("conversation", [{"msgpack": frame.hex()} for frame in (*before, last)])
    assert answers[-1] == expected


@given(st.data(), conversations())
def test_both_clients_take_or_refuse_the_same_damaged_messages(
    javascript: Batch, data: st.DataObject, made: Made
) -> None:
    *before, last = made.frames()
    assert_agreed(javascript, before, data.draw(damaged(last)))


GOLDEN = [bytes.fromhex(step["msgpack"]) for step in CONVERSATIONS[0]["steps"] if "receives" in step]


@given(st.data(), st.integers(1, len(GOLDEN) - 1))
def test_both_clients_take_or_refuse_the_same_damaged_golden_frames(
    javascript: Batch, data: st.DataObject, at: int
) -> None:
    assert_agreed(javascript, GOLDEN[:at], data.draw(damaged(GOLDEN[at])))


@given(st.binary(max_size=40))
def test_both_clients_take_or_refuse_the_same_bytes(javascript: Batch, frame: bytes) -> None:
    assert_agreed(javascript, GOLDEN[:3], frame)


def test_both_clients_refuse_a_nesting_that_is_too_deep(javascript: Batch) -> None:
    for depth in (1000, 1100, 100_000):
        assert_agreed(javascript, GOLDEN[:1], b"\x92\x63" + b"\x91" * depth + b"\xc0")


def test_both_clients_refuse_lengths_that_lie(javascript: Batch) -> None:
    for first in (b"\xdb", b"\xdd", b"\xdf", b"\xc6"):
        assert_agreed(javascript, GOLDEN[:1], b"\x92\x63" + first + b"\xff\xff\xff\xff" + bytes(1000))


# Patterns

LETTERS = st.text("ab-[]!*?^\\c😀", max_size=12)


@given(st.lists(st.tuples(LETTERS, LETTERS), max_size=50))
def test_both_clients_agree_on_what_a_pattern_matches(javascript: Batch, pairs: list[tuple[str, str]]) -> None:
    pairs += [(pattern.replace("*", "").replace("?", "a"), pattern) for pattern, _ in pairs]
    assert javascript.ask("matches", pairs) == [fnmatchcase(symbol, pattern) for pattern, symbol in pairs]


@given(st.lists(LETTERS, max_size=100), st.lists(LETTERS, max_size=20))
def test_many_names_match_where_one_of_them_does(javascript: Batch, names: list[str], symbols: list[str]) -> None:
    symbols += [name.replace("*", "b").replace("?", "a") for name in names[-20:]]
    expected = [any(fnmatchcase(symbol, name) for name in names) for symbol in symbols]
    assert javascript.ask("matchesAny", [names, symbols]) == expected


def test_a_match_beyond_the_first_hundred_patterns_counts(javascript: Batch) -> None:
    names = [f"A{number}*[!x]" for number in range(200)]
    symbols = [f"A{number}y" for number in range(250)]
    assert javascript.ask("matchesAny", [names, symbols]) == [True] * 250
    assert javascript.ask("matchesAny", [names[150:], ["A149y", "A150y", "A199.y", "A199x"]]) == [
        False,
        True,
        True,
        False,
    ]


def test_no_pattern_takes_long(javascript: Batch) -> None:
    assert javascript.ask("matches", [["*a" * 30 + "b", "a" * 64]]) == [False]

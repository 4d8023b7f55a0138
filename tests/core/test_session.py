"""ticker/core/session.py: the requests of a client and their answers."""

from __future__ import annotations

import pytest

from tests.core.talk import Talk
from tests.core.test_hub_tables import ALL
from tests.support import cut, market, messages
from ticker.config import MAX_INTERVAL_MS, Limits
from ticker.core.last_value import LastValueCache
from ticker.errors import Code
from ticker.market import Instrument
from ticker.protocol.messages import Delta, Instruments, Snapshot, Welcome
from ticker.protocol.wire import ENCODINGS, MSGPACK, Encoding

both = pytest.mark.parametrize("encoding", ENCODINGS.values(), ids=["msgpack", "json"])

UNKNOWN = [Code.UNKNOWN_SYMBOL, "there is no such instrument; should it appear, it will join"]
NO_TABLE = [Code.UNKNOWN_TABLE, f"this service offers {ALL}"]
BAD = [Code.BAD_SYMBOL, "neither a symbol (1 to 128 printable characters) nor a pattern"]
OK = [Code.OK, ""]


# Welcome


FEATURES = {
    "book": [10, 25, 100],
    "trades": [10, 20, 50, 100, 200, 500, 1000],
    "candles": {"periods": ["1m", "5m", "1h", "1d"], "rows": [10, 50, 100, 300, 500, 1000]},
    "digest": True,
    "fields": 8,
}


@both
def test_the_welcome_has_the_present_cut_and_the_limits(encoding: Encoding) -> None:
    limits = Limits(max_symbols=5, max_patterns=2, max_message_bytes=1000, heartbeat_seconds=2.5)
    talk = Talk(encoding=encoding, limits=limits, floor_ms=20)
    (welcome,) = messages([talk.session.welcome()], encoding)
    allowed = {
        "max_message_bytes": 1000,
        "max_symbols": 5,
        "max_patterns": 2,
        "max_tables": 500,
        "min_interval_ms": 20,
    }
    assert welcome == Welcome(1, "epoch", "s1", 2, 2000, 2500, allowed, FEATURES)


def test_the_welcome_of_an_empty_market_is_at_cut_0() -> None:
    talk = Talk(LastValueCache("new"))
    (welcome,) = messages([talk.session.welcome()], MSGPACK)
    assert isinstance(welcome, Welcome)
    assert (welcome.epoch, welcome.cut, welcome.time) == ("new", 0, 0)


# Subscribe


@both
def test_a_subscription_is_answered_after_the_data_it_asked_for(encoding: Encoding) -> None:
    talk = Talk(encoding=encoding)
    assert talk.ask("subscribe", symbols=["A"]) == {"outcomes": [["A", 0, ""]], "interval_ms": 0}
    assert [type(message) for message in talk.sink.take()] == [Instruments, Snapshot]
    assert talk.subscriber.is_member


def test_one_bad_symbol_does_not_fail_the_others() -> None:
    talk = Talk()
    given = ["A", "", "Z", "A,B", "A B", "B*"]
    assert talk.outcomes("subscribe", *given) == [OK, BAD, UNKNOWN, BAD, NO_TABLE, OK]
    assert talk.subscribed() == ["A", "Z", "B*"]


@pytest.mark.parametrize(
    "name", ["", " ", " book:10", "A,B", "A\n", "A]", "x" * 129, "*" * 129, "A, *", "A,*", "\x00", "\u200b"]
)
def test_a_name_that_is_neither_symbol_nor_pattern_has_a_code_of_its_own(name: str) -> None:
    talk = Talk()
    assert talk.outcomes("subscribe", name, "A") == [BAD, OK]
    assert talk.subscribed() == ["A"]


@pytest.mark.parametrize("name", ["*", "A*", "?", "[AB]", "[!A]*", "A[", "*" * 128])
def test_patterns_need_no_instrument_yet(name: str) -> None:
    assert Talk().outcomes("subscribe", name) == [OK]
    assert Talk(LastValueCache("empty")).outcomes("subscribe", name) == [OK]


def test_an_unknown_symbol_is_remembered_and_joins() -> None:
    talk = Talk()
    assert talk.outcomes("subscribe", "Z") == [UNKNOWN]
    assert talk.sink.take() == []
    cut(talk.cache, Instrument("Z"))
    talk.publish("Z", "1")
    assert [type(message) for message in talk.sink.take()] == [Instruments, Snapshot]
    assert talk.outcomes("subscribe", "Z") == [OK]


def test_subscribing_twice_is_fine_and_sends_nothing_twice() -> None:
    talk = Talk()
    assert talk.outcomes("subscribe", "A", "A", "A*", "A*") == [OK] * 4
    talk.sink.take()
    assert talk.outcomes("subscribe", "A", "A*") == [OK] * 2
    assert talk.sink.take() == []
    assert talk.subscribed() == ["A", "A*"]


def test_symbols_and_patterns_beyond_the_limit_are_refused_one_by_one() -> None:
    talk = Talk()
    too_many = [Code.TOO_MANY_SYMBOLS, "a connection may have 4 symbols and patterns"]
    given = ["A", "B", "Y", "A*", "B*", "Z", "A", ""]
    assert talk.outcomes("subscribe", *given) == [OK, OK, UNKNOWN, OK, too_many, too_many, OK, BAD]
    assert talk.outcomes("subscribe", "C") == [too_many]
    assert talk.outcomes("unsubscribe", "Y") == [OK]
    assert talk.outcomes("subscribe", "AB") == [OK]
    assert talk.subscribed() == ["A", "AB", "B", "A*"]


def test_patterns_have_a_limit_of_their_own() -> None:
    talk = Talk(limits=Limits(max_symbols=4, max_patterns=1))
    too_many = [Code.TOO_MANY_SYMBOLS, "a connection may have 1 patterns"]
    assert talk.outcomes("subscribe", "A*", "B*", "A*", "A") == [OK, too_many, OK, OK]
    assert talk.outcomes("unsubscribe", "A*") == [OK]
    assert talk.outcomes("subscribe", "B*") == [OK]
    assert talk.subscribed() == ["A", "B*"]


def test_a_subscription_to_nothing_is_a_way_to_set_the_interval() -> None:
    talk = Talk()
    assert talk.ask("subscribe", symbols=[], interval_ms=250) == {"outcomes": [], "interval_ms": 250}
    assert talk.ask("subscriptions") == {"symbols": [], "interval_ms": 250}


def test_an_interval_holds_for_the_connection_until_another_is_given() -> None:
    talk = Talk()
    assert talk.ask("subscribe", symbols=["A"], interval_ms=250)["interval_ms"] == 250
    assert talk.ask("subscribe", symbols=["B"])["interval_ms"] == 250
    assert talk.subscriber.audience.subscription_set.interval_us == 250_000
    assert talk.ask("subscribe", symbols=[], interval_ms=0)["interval_ms"] == 0
    assert talk.subscriber.audience.subscription_set.interval_us == 0


@pytest.mark.parametrize(
    ("asked", "given"), [(0, 20), (19, 20), (20, 20), (21, 21), (60_000, 60_000), (2**53 - 1, 60_000)]
)
def test_an_interval_has_a_floor_and_a_ceiling(asked: int, given: int) -> None:
    assert MAX_INTERVAL_MS == 60_000
    talk = Talk(floor_ms=20)
    assert talk.ask("subscriptions")["interval_ms"] == 20
    assert talk.ask("subscribe", symbols=["A"], interval_ms=asked)["interval_ms"] == given
    assert talk.ask("subscriptions")["interval_ms"] == given
    assert talk.subscriber.audience.subscription_set.interval_us == given * 1000


# Unsubscribe


def test_an_unsubscribed_instrument_is_sent_no_more() -> None:
    talk = Talk()
    talk.outcomes("subscribe", "A", "B", "A*")
    assert talk.outcomes("unsubscribe", "A*", "A") == [OK, OK]
    talk.sink.take()
    talk.publish("A", "2")
    assert talk.sink.take() == []
    talk.publish("B", "2")
    assert talk.sink.take() == [Delta(2, 4, 4000, [2, {1: 200}])]
    assert talk.subscribed() == ["B"]


def test_an_instrument_that_a_pattern_still_names_stays() -> None:
    talk = Talk()
    talk.outcomes("subscribe", "A", "A*")
    talk.outcomes("unsubscribe", "A")
    talk.sink.take()
    talk.publish("A", "2")
    assert talk.sink.take() == [Delta(2, 3, 3000, [0, {1: 200}])]


def test_each_name_that_was_not_subscribed_is_told_so() -> None:
    talk = Talk()
    talk.outcomes("subscribe", "A", "Z")
    not_subscribed = [Code.NOT_SUBSCRIBED, "it was not subscribed"]
    given = ["A", "A", "B", "A*", "", "Z"]
    assert talk.outcomes("unsubscribe", *given) == [OK, *[not_subscribed] * 4, OK]
    assert talk.subscribed() == []


# Subscriptions, instruments, ping


@both
def test_subscriptions_are_listed_in_their_order_symbols_first(encoding: Encoding) -> None:
    talk = Talk(encoding=encoding)
    assert talk.ask("subscriptions") == {"symbols": [], "interval_ms": 0}
    talk.outcomes("subscribe", "B*", "Z", "A")
    assert talk.ask("subscriptions") == {"symbols": ["A", "Z", "B*"], "interval_ms": 0}


@both
def test_instruments_are_found_by_pattern_in_the_order_of_their_symbols(encoding: Encoding) -> None:
    talk = Talk(market("B", Instrument("AB", 4, 1, {"name": "x"}), "A"), encoding=encoding)
    found = talk.ask("instruments", match="A*")
    assert found == {"instruments": [[2, "A", 2, 0, {}], [1, "AB", 4, 1, {"name": "x"}]], "more": False}
    assert [item[1] for item in talk.ask("instruments")["instruments"]] == ["A", "AB", "B"]
    assert talk.ask("instruments", match="Z*") == {"instruments": [], "more": False}
    assert talk.ask("instruments", match="no such thing") == {"instruments": [], "more": False}


def test_a_long_list_of_instruments_comes_in_pages() -> None:
    symbols = [f"S{number:04}" for number in range(1000)]
    talk = Talk(market(*reversed(symbols)))
    found: list[str] = []
    more = []
    for _ in range(2):
        page = talk.ask("instruments", after=found[-1] if found else "")
        found += [item[1] for item in page["instruments"]]
        more.append(page["more"])
    assert found == symbols
    assert more == [True, False]


def test_instruments_after_the_last_are_none() -> None:
    assert Talk().ask("instruments", after="B") == {"instruments": [], "more": False}


@both
def test_a_ping_is_answered_with_the_cut_and_its_time(encoding: Encoding) -> None:
    assert Talk(encoding=encoding).ask("ping") == {"cut": 2, "time": 2000}


# Resume


@both
def test_a_client_resumes_from_its_cursor(encoding: Encoding) -> None:
    talk = Talk(encoding=encoding)
    talk.publish("A", "2")
    talk.publish("B", "9")
    result = talk.ask("resume", epoch="epoch", cursor=2, symbols=["A", "AB"])
    assert result == {"outcomes": [["A", 0, ""], ["AB", 0, ""]], "interval_ms": 0}
    assert talk.sink.take() == [Delta(2, 4, 4000, [0, {1: 200}])]
    assert talk.subscribed() == ["A", "AB"]


def test_a_resume_has_outcomes_and_an_interval_like_a_subscribe() -> None:
    talk = Talk(floor_ms=20)
    result = talk.ask("resume", epoch="epoch", cursor=2, symbols=["A", "", "Z", "B*"], interval_ms=5)
    assert result == {"outcomes": [["A", *OK], ["", *BAD], ["Z", *UNKNOWN], ["B*", *OK]], "interval_ms": 20}


@pytest.mark.parametrize(("epoch", "cursor"), [("other", 1), ("", 0), ("epoch", 3), ("epoch", 2**53 - 1)])
def test_a_cursor_of_another_epoch_cannot_be_resumed(epoch: str, cursor: int) -> None:
    talk = Talk()
    assert talk.fail("resume", epoch=epoch, cursor=cursor, symbols=["A"]) == Code.WRONG_EPOCH
    assert talk.subscribed() == []
    assert talk.sink.take() == []
    assert talk.outcomes("subscribe", "A") == [OK]


def test_a_resume_comes_before_the_first_subscribe() -> None:
    talk = Talk()
    talk.outcomes("subscribe", "Z")
    assert talk.fail("resume", epoch="epoch", cursor=2, symbols=["A"]) == Code.BAD_REQUEST
    assert talk.subscribed() == ["Z"]


def test_a_resume_comes_once() -> None:
    talk = Talk()
    talk.ask("resume", epoch="epoch", cursor=2, symbols=["A"])
    assert talk.fail("resume", epoch="epoch", cursor=2, symbols=["A"]) == Code.BAD_REQUEST


def test_other_requests_may_come_before_a_resume() -> None:
    talk = Talk()
    talk.ask("ping")
    talk.ask("subscribe", symbols=[], interval_ms=50)
    assert talk.ask("resume", epoch="epoch", cursor=2, symbols=["A"])["interval_ms"] == 50

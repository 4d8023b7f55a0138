"""Subscriptions to some fields: what such a client is sent, and what it is not."""

from __future__ import annotations

from typing import Any

import pytest

from tests.core.harness import MS, Harness, subscription_set
from tests.core.talk import Talk
from tests.support import Sink, cut, market, messages, update
from ticker.config import Limits
from ticker.core.selections import portions_of, selection_of
from ticker.errors import Code
from ticker.market import Instrument
from ticker.protocol.digest import record_checksum, total
from ticker.protocol.messages import Delta, Instruments, Removed, ServerMessage, Snapshot
from ticker.protocol.wire import ENCODINGS, MSGPACK, Encoding

BID, ASK, LAST = 1, 3, 5


class Fields(Talk):
    """A conversation about A, AB and B, which all have a bid, an ask and a last price."""

    def __init__(self, encoding: Encoding = MSGPACK) -> None:
        cache = market("A", "AB", "B")
        cut(cache, *(update(symbol, bid="1", ask="2", last="3") for symbol in ("A", "AB", "B")))
        super().__init__(cache, limits=Limits(max_symbols=20), encoding=encoding)

    def subscribe(self, *names: str, fields: list[str] | None = None) -> list[ServerMessage]:
        """Subscribe, and return what that brought."""
        self.ask("subscribe", symbols=list(names), **({} if fields is None else {"fields": fields}))
        return self.sink.take()

    def say(self, symbol: str, **fields: str | None) -> list[ServerMessage]:
        """Publish these fields as a cut; return what the client is sent of it."""
        cut(self.cache, update(symbol, **fields))
        for _ in self.hub.publish(0):
            pass
        return self.sink.take()


def records(found: list[ServerMessage]) -> dict[int, Any]:
    """The complete records in these messages, by id."""
    flat = [each for message in found if isinstance(message, Snapshot) for each in message.records]
    return dict(zip(flat[::2], flat[1::2], strict=True))


def changes(found: list[ServerMessage]) -> list[Any]:
    """The changes in these messages, all of them data."""
    assert all(isinstance(message, Delta | Snapshot) for message in found)
    return [message.changes for message in found if isinstance(message, Delta | Snapshot)]


@pytest.mark.parametrize("encoding", ENCODINGS.values(), ids=ENCODINGS)
def test_a_subscription_to_some_fields_brings_these_alone(encoding: Encoding) -> None:
    talk = Fields(encoding=encoding)
    assert records(talk.subscribe("A", fields=["bid", "last"])) == {0: {BID: 100, LAST: 300}}
    assert changes(talk.say("A", bid="1.5", ask="2.5")) == [[0, {BID: 150}]]


def test_a_change_of_a_field_that_nobody_wants_sends_nothing() -> None:
    talk = Fields()
    talk.subscribe("A", fields=["bid"])
    encoded = talk.hub._encode_caches[MSGPACK].encoded
    assert talk.say("A", ask="2.5", own="x") == []
    assert talk.subscriber.is_member
    assert talk.hub._encode_caches[MSGPACK].encoded == encoded
    assert changes(talk.say("A", bid="1.5")) == [[0, {BID: 150}]]


def test_status_and_reason_always_come() -> None:
    talk = Fields()
    talk.subscribe("A", fields=["bid"])
    assert changes(talk.say("A", status="halted", reason="exchange_halt")) == [[0, {14: "halted", 15: "exchange_halt"}]]
    assert records(talk.subscribe("A", fields=["status"])) == {0: {14: "halted", 15: "exchange_halt"}}


def test_a_feeds_own_field_is_wanted_by_its_name_and_may_come_later() -> None:
    talk = Fields()
    talk.subscribe("A", fields=["note"])
    assert talk.say("A", bid="1.5") == []
    assert changes(talk.say("A", note="x", bid="1")) == [[0, {"note": "x"}]]
    assert changes(talk.say("A", note=None)) == [[0, {"note": None}]]


def test_other_fields_of_a_name_bring_its_records_anew_at_once() -> None:
    talk = Fields()
    talk.subscribe("A*", fields=["bid"])
    assert records(talk.subscribe("A*", fields=["bid", "ask"])) == {0: {BID: 100, ASK: 200}, 1: {BID: 100, ASK: 200}}
    assert records(talk.subscribe("A*", fields=["last"])) == {0: {LAST: 300}, 1: {LAST: 300}}
    assert talk.say("A", bid="1.5") == []
    assert records(talk.subscribe("A*"))[0] == {BID: 150, ASK: 200, LAST: 300}
    assert talk.subscribe("A*") == []


def test_the_same_fields_in_another_order_bring_nothing() -> None:
    talk = Fields()
    talk.subscribe("A", fields=["bid", "ask"])
    assert talk.subscribe("A", fields=["ask", "bid", "status"]) == []


def test_an_instrument_has_all_the_fields_for_which_any_of_its_names_asks() -> None:
    talk = Fields()
    talk.subscribe("A*", fields=["bid"])
    assert records(talk.subscribe("A", fields=["last"])) == {0: {BID: 100, LAST: 300}}
    cut(talk.cache, update("A", bid="5", ask="5"), update("AB", bid="5", last="5"))
    (found,) = changes(talk.say("A", last="5"))
    assert dict(zip(found[::2], found[1::2], strict=True)) == {0: {BID: 500, LAST: 500}, 1: {BID: 500}}
    talk.ask("unsubscribe", symbols=["A"])
    left = talk.sink.take()
    assert records(left) == {0: {BID: 500}}
    assert not [message for message in left if isinstance(message, Removed)]


def test_clients_with_the_same_names_and_fields_share_their_bytes() -> None:
    harness = Harness("A")
    harness.publish(update("A", bid="1", ask="2"))
    names = subscription_set("A")._replace(selected=(("A", selection_of(["bid"])),))
    clients = [harness.client() for _ in range(2)]
    for client in clients:
        harness.hub.subscribe(client.subscriber, names, harness.now)
        client.take()
    harness.publish(update("A", bid="3", ask="4"))
    assert clients[0].frames[0] is clients[1].frames[0]
    assert clients[0].subscriber.audience is clients[1].subscriber.audience


def test_audiences_with_the_same_fields_share_entries() -> None:
    harness = Harness("A", "B")
    clients = [harness.client() for _ in range(2)]
    for client, names in zip(clients, (["A"], ["A", "B"]), strict=True):
        selected = tuple((name, selection_of(["bid"])) for name in names)
        harness.hub.subscribe(client.subscriber, subscription_set(*names)._replace(selected=selected), harness.now)
        client.take()
    encoded = harness.hub._encode_caches[MSGPACK].encoded
    harness.publish(update("A", bid="3", ask="4"))
    assert harness.hub._encode_caches[MSGPACK].encoded == encoded + 1
    assert [len(client.take()) for client in clients] == [1, 1]


def test_a_table_comes_whole_whatever_fields_are_wanted() -> None:
    talk = Fields()
    found = talk.subscribe("A", "A trades:10", fields=["bid"])
    assert records(found)[0] == {BID: 100}
    talk.subscribe("A trades:10", fields=["last"])
    assert talk.ask("subscriptions")["selected"] == [[["bid", "reason", "status"], ["A"]]]


def test_an_instrument_that_appears_later_comes_with_the_fields_of_its_pattern() -> None:
    talk = Fields()
    talk.subscribe("*", fields=["bid"])
    talk.subscribe("C", fields=["ask"])
    cut(talk.cache, Instrument("C"), update("C", bid="1", ask="2", last="3"), Instrument("D"), update("D", ask="2"))
    for _ in talk.hub.publish(0):
        pass
    assert records(talk.sink.take()) == {3: {BID: 100, ASK: 200}, 4: {}}


def test_a_definition_comes_although_no_wanted_field_has_changed() -> None:
    talk = Fields()
    talk.subscribe("A", fields=["last_size"])
    cut(talk.cache, Instrument("A", 4))
    for _ in talk.hub.publish(0):
        pass
    defined, delta = talk.sink.take()
    assert isinstance(defined, Instruments)
    assert defined.definitions[0].price_scale == 4
    assert changes([delta]) == [[0, {}]]


def test_an_interval_is_not_begun_by_a_change_of_another_field() -> None:
    harness = Harness("A")
    client = harness.client()
    names = subscription_set("A", interval_us=100 * MS)._replace(selected=(("A", selection_of(["bid"])),))
    harness.hub.subscribe(client.subscriber, names, harness.now)
    client.take()
    harness.publish(update("A", ask="1"))
    assert harness.hub.next_due() is None
    harness.publish(update("A", bid="1"))
    harness.publish(update("A", ask="2"))
    harness.wait(200 * MS)
    assert [message.changes for message in client.take() if isinstance(message, Delta)] == [[0, {BID: 100}]]


def resumed(*names: str, fields: list[str], forget: list[str] | None = None, since: int = 2) -> list[ServerMessage]:
    """What a client gets that resumes, after a bid and an ask of A had changed in one further cut each."""
    talk = Fields()
    talk.say("A", bid="1.5")
    talk.say("AB", ask="2.5")
    keys = {"selected": [[fields, list(names)]], "epoch": "epoch", "cursor": since}
    talk.ask("resume", symbols=[], **keys, **({} if forget is None else {"forget": forget}))
    return talk.sink.take()


def test_a_resume_brings_the_selected_fields_that_have_changed_since() -> None:
    assert changes(resumed("A*", fields=["bid", "last"])) == [[0, {BID: 150}]]
    assert changes(resumed("A*", fields=["bid", "ask"])) == [[0, {BID: 150}, 1, {ASK: 250}]]
    assert changes(resumed("A*", fields=["last"])) == [[]]
    assert resumed("A*", fields=["ask"], since=4) == []


def test_what_is_to_be_forgotten_and_kept_by_another_name_comes_whole() -> None:
    found = resumed("A*", fields=["bid"], forget=["A"], since=4)
    assert records(found) == {0: {BID: 150}}


def test_the_checksum_is_that_of_the_wanted_fields() -> None:
    wanted, other, all_fields = Fields(), Fields(), Fields()
    wanted.subscribe("A", fields=["bid"])
    all_fields.subscribe("A")
    other.cache = market("A", "AB", "B")
    digests = [talk.ask("digest") for talk in (wanted, all_fields)]
    assert [digest["records"] for digest in digests] == [1, 1]
    assert digests[0]["digest"] != digests[1]["digest"]
    wanted.say("A", ask="9")
    assert wanted.ask("digest")["digest"] == digests[0]["digest"]


def test_the_checksum_is_that_of_an_instrument_as_well_that_has_just_appeared() -> None:
    talk = Fields()
    talk.subscribe("A", "NEW", fields=["bid"])
    cut(talk.cache, Instrument("NEW", 2), update("NEW", bid="4"))
    answer = talk.ask("digest")
    assert records(talk.sink.take()) == {3: {BID: 400}}
    wanted = [record_checksum(number, (2, 0), {BID: bid}) for number, bid in ((0, 100), (3, 400))]
    assert answer == {"cut": talk.cache.cut, "digest": total(wanted), "records": 2}


@pytest.mark.parametrize(
    "fields", [[], ["bid"] * 2, ["Bid"], ["a b"], [""], ["a" * 33], [1], "bid", None, [f"f{n}" for n in range(65)]]
)
def test_fields_that_cannot_be_are_refused_and_change_nothing(fields: object) -> None:
    talk = Fields()
    assert talk.fail("subscribe", symbols=["A"], fields=fields) is Code.BAD_REQUEST
    assert talk.fail("resume", epoch="epoch", cursor=2, symbols=[], selected=[[fields, ["A"]]]) is Code.BAD_REQUEST
    assert talk.subscribed() == []


def test_a_connection_has_so_many_sets_of_fields_and_no_more() -> None:
    talk = Fields()
    for number in range(8):
        talk.subscribe(f"S{number}", fields=[f"f{number}"])
    assert talk.fail("subscribe", symbols=["A"], fields=["bid"]) is Code.BAD_REQUEST
    assert records(talk.subscribe("A", fields=["f3"])) == {0: {}}
    talk.subscribe("S0", fields=["bid"])  # in place of the one that it had
    assert records(talk.subscribe("A")) == {0: {BID: 100, ASK: 200, LAST: 300}}
    too_many = [[[f"f{number}"], []] for number in range(9)]
    assert Fields().fail("resume", epoch="epoch", cursor=2, symbols=[], selected=too_many) is Code.BAD_REQUEST


def test_the_subscriptions_are_told_with_their_fields() -> None:
    talk = Fields()
    talk.subscribe("A", "B*", fields=["bid", "ask"])
    talk.subscribe("AB")
    assert talk.ask("subscriptions") == {
        "symbols": ["A", "AB", "B*"],
        "interval_ms": 0,
        "selected": [[["ask", "bid", "reason", "status"], ["A", "B*"]]],
    }


def test_overlapping_selections_are_put_together_for_each_record() -> None:
    one, two, both = selection_of(["bid"]), selection_of(["ask"]), selection_of(["bid", "ask"])
    assert portions_of({one: 0b0111, two: 0b1100}) == {one: 0b0011, two: 0b1000, both: 0b0100}
    assert portions_of({one: 0b0111, None: 0b0010, both: 0b0001}) == {one: 0b0100, None: 0b0010, both: 0b0001}
    assert portions_of({None: 0, one: 0}) == {}
    three = selection_of(["last"])
    assert portions_of({one: 1, two: 1, three: 1}) == {selection_of(["bid", "ask", "last"]): 1}


def test_a_slow_client_gets_one_merged_message_of_its_fields() -> None:
    talk = Fields()
    talk.subscribe("A", "B", fields=["bid"])
    talk.sink.full = True
    talk.say("A", bid="5")
    for bid in ("6", "7"):
        assert talk.say("B", bid=bid, ask=bid) == []
    assert isinstance(talk.sink, Sink)
    talk.sink.full = False
    talk.hub.catch_up(talk.subscriber)
    assert changes(messages(talk.sink.frames, MSGPACK)) == [[2, {BID: 700}]]

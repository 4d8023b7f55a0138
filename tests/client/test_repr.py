"""The representations of the client's objects in a debugger: short, and without a token."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import trio

from tests.client.test_session import Conversation
from ticker.client.addresses import Address
from ticker.client.client import Client
from ticker.client.connection import Connection
from ticker.client.events import Event
from ticker.client.reader import Reader
from ticker.client.received import Received
from ticker.client.replica import Replica
from ticker.client.session import ClientSession
from ticker.client.subscription import Change, Subscription
from ticker.protocol.wire import MSGPACK

SECRET = "header.payload.signature"  # noqa: S105  # none at all


async def no_stream() -> trio.abc.Stream:
    raise AssertionError


def ignore(_: Event | Received | Reader[Any]) -> None:
    pass


def subscription(*names: str) -> Subscription:
    return Subscription(names, ignore, Replica())


def test_a_session_and_its_copy_show_their_sizes() -> None:
    talk = Conversation()
    assert repr(talk.session) == "<ClientSession wanted=0 requested=0 confirmed=0 unanswered=0 cursor=0>"
    talk.hold("A", "B")
    talk.session.add_names(["C"])
    assert repr(talk.session) == "<ClientSession wanted=3 requested=2 confirmed=2 unanswered=0 cursor=5>"
    talk.session.requests()
    assert repr(talk.session) == "<ClientSession wanted=3 requested=3 confirmed=2 unanswered=1 cursor=5>"
    assert repr(talk.session.replica) == "<Replica epoch='e1' cursor=5 records=2>"
    assert repr(talk.session.replica.find("A")) == "<InstrumentState 'A' id=0 fields=2>"
    talk.welcome(cut=9)
    assert repr(talk.session.replica) == "<Replica epoch='e1' cursor=5 records=2 resuming>"


def test_a_change_shows_its_cut_and_its_number_of_symbols() -> None:
    change = Change(7, datetime(2026, 1, 1, tzinfo=UTC), {"A": {"last": Decimal(1)}, "B": {}})
    assert repr(change) == "<Change cut=7 names=2>"


def test_a_subscription_shows_its_first_names_and_the_number_of_pending_symbols() -> None:
    assert repr(subscription()) == "<Subscription to nothing pending=0>"
    assert repr(subscription("A", "B*", "C")) == "<Subscription to A, B*, C pending=0>"
    many = subscription("A", "B*", "C", "D", "E")
    many.merge(1, 1, {"A": {"last": 1}, "BB": {"last": 1}, "Z": {"last": 1}}, ())
    assert repr(many) == "<Subscription to A, B*, C and 2 more pending=2>"
    many.end(None)
    assert repr(many) == "<Subscription to A, B*, C and 2 more pending=2 ended>"


def test_a_client_and_its_connection_show_the_host_and_no_token() -> None:
    url = f"wss://user:{SECRET}@host:8443/v1/stream?token={SECRET}"
    session = ClientSession(MSGPACK)
    client = Client([Address(url, no_stream)], SECRET, session, ignore)
    client.subscribe("A")
    assert repr(client) == "<Client host:8443 open cut=0 subscriptions=1>"
    client.close()
    assert repr(client) == "<Client host:8443 closed cut=0 subscriptions=1>"
    connection = Connection(Address(url, no_stream), SECRET, session, ignore, ignore)
    assert repr(connection) == "<Connection host connecting>"
    assert SECRET not in repr(client) + repr(connection) + repr(session)

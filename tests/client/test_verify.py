"""ticker/client/client.py: the copy is compared with the service's, and a wrong one is dropped."""

from __future__ import annotations

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from tests.client.tables import Talk
from tests.client.test_book import opened
from ticker import Mismatch
from ticker.errors import ConfigError, ConnectionFailed, TickerError
from ticker.protocol.messages import Error, Reply


async def compared(talk: Talk, reply: dict[str, object] | str) -> bool | TickerError:
    """The outcome of `verify` with this reply, or this error, of the service."""
    found: list[bool | TickerError] = []

    async def verify() -> None:
        try:
            found.append(await talk.client.verify())
        except TickerError as error:
            found.append(error)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(verify)
        await wait_all_tasks_blocked()
        (request,) = talk.asked()
        assert request == {"op": "digest", "id": request["id"]}
        message = (
            Reply(request["id"], reply) if isinstance(reply, dict) else Error(request["id"], 4, reply, fatal=False)
        )
        talk.says(message)
    return found[0]


async def test_a_copy_with_the_services_checksum_is_verified() -> None:
    talk = Talk()
    opened(talk)
    digest = talk.session.replica.digest()
    assert await compared(talk, {"cut": 1, "digest": digest, "records": 1}) is True
    assert talk.asked() == []
    assert not [event for event in talk.events if isinstance(event, Mismatch)]


async def test_a_copy_that_differs_is_reported_and_everything_is_subscribed_anew() -> None:
    talk = Talk()
    reader = opened(talk)
    assert await compared(talk, {"cut": 1, "digest": 1, "records": 1}) is False
    assert Mismatch(1) in talk.events
    talk.lose()
    talk.connect(cut=9)
    (request,) = talk.asked()
    assert (request["op"], request["symbols"]) == ("subscribe", ["A book:2"])
    assert talk.session.replica.find_table("A book:2") is None
    assert (len(reader.bids), reader.reason) == (2, "reconnecting")


async def test_a_comparison_that_proves_nothing_is_an_error() -> None:
    talk = Talk()
    opened(talk)
    outcome = await compared(talk, {"cut": 7, "digest": 1, "records": 1})
    assert "that of cut 7, not 1" in str(outcome)
    assert str(await compared(talk, "unknown op")) == "verify: unknown op"
    assert (await compared(talk, {"cut": 1, "digest": talk.session.replica.digest(), "records": 1})) is True


async def test_a_comparison_is_asked_for_again_on_the_next_connection() -> None:
    talk = Talk()
    opened(talk)
    talk.session.verify()
    assert [request["op"] for request in talk.asked()] == ["digest"]
    talk.connect()
    assert [request["op"] for request in talk.asked()] == ["resume", "digest"]


async def test_without_a_service_that_compares_or_a_client_there_is_no_comparison() -> None:
    with pytest.raises(ConfigError, match="gives no checksum"):
        await Talk({}).client.verify()
    talk = Talk()
    async with trio.open_nursery() as nursery:

        async def verify() -> None:
            with pytest.raises(ConnectionFailed, match="gone"):
                await talk.client.verify()

        nursery.start_soon(verify)
        await wait_all_tasks_blocked()
        talk.client.close(ConnectionFailed("gone"))
    with pytest.raises(ConnectionFailed, match="gone"):
        await talk.client.verify()

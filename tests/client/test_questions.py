"""ticker/client/questions.py: searches and counters, with a real service and with one that answers anything."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import ticker
from tests.client.tables import Talk
from tests.conftest import serving
from tests.support import update
from ticker.client.questions import MOST_QUESTIONS
from ticker.errors import ConfigError, ConnectionFailed, ProtocolError, TickerError
from ticker.market import Instrument
from ticker.protocol.messages import Error, Reply


async def test_instruments_are_found_in_pages_without_a_subscription() -> None:
    market = [Instrument(f"S{number:03}", 2, 1, {"name": f"No. {number}"}) for number in range(510)]
    async with serving(*market, Instrument("T")) as service, ticker.connect(service.url) as client:
        found = await client.search()
        assert [each.symbol for each in found.instruments] == [f"S{number:03}" for number in range(500)]
        assert found.more
        further = await client.search(after="S499")
        assert [each.symbol for each in further.instruments] == [*[f"S{number}" for number in range(500, 510)], "T"]
        assert not further.more
        assert await client.search("S00[1]") == ([Instrument("S001", 2, 1, {"name": "No. 1"})], False)
        assert await client.search("NONE") == ([], False)
        assert [each.symbol for each in (await client.search("S*", text="NO. 509")).instruments] == ["S509"]
        assert not client.names


async def test_counters_are_those_of_this_connection() -> None:
    async with (
        serving(Instrument("A"), update("A", bid="1")) as service,
        ticker.connect(service.url) as client,
        client.subscribe("A") as subscription,
    ):
        await subscription.complete()
        stats = await client.stats()
        assert stats["cuts_behind"] == 0
        assert stats["frames"] >= 1


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"match": 7}, "search: match = 7: give a text"),
        ({"match": "*" * 129}, "give at most 128 characters"),
        ({"match": ""}, "search: match is empty: give a symbol or a pattern"),
        ({"after": None}, "search: after = None: give a text"),
    ],
)
async def test_what_cannot_be_searched_for_is_said_at_once(arguments: dict[str, Any], text: str) -> None:
    talk = Talk()
    with pytest.raises(ConfigError, match=text.replace("*", r"\*")):
        await talk.client.search(**arguments)
    assert talk.asked() == []


async def outcome(wanted: Awaitable[object], outcomes: list[object]) -> None:
    try:
        outcomes.append(await wanted)
    except TickerError as error:
        outcomes.append(error)


async def test_a_question_is_asked_again_on_the_next_connection_until_it_is_answered() -> None:
    talk = Talk()
    outcomes: list[object] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(outcome, talk.client.stats(), outcomes)
        await wait_all_tasks_blocked()
        assert [request["op"] for request in talk.asked()] == ["stats"]
        assert talk.asked() == []
        talk.lose()
        talk.connect()
        (request,) = talk.asked()
        talk.says(Reply(request["id"] + 7, {"frames": 1}))  # of no request
        assert not outcomes
        talk.says(Reply(request["id"], {"frames": 2}))
    assert outcomes == [{"frames": 2}]
    talk.connect()
    assert talk.asked() == []


@pytest.mark.parametrize(
    ("answer", "kind", "text"),
    [
        ({"instruments": [[1, "A B C", 0, 0, {}]]}, ProtocolError, "no symbol"),
        ({"instruments": 7}, ProtocolError, "the result of instruments: "),
        ({"instruments": [[1, "A", 0, 0, {}]] * 501}, ProtocolError, "more than 500"),
        ("too many requests", TickerError, "instruments: too many requests"),
    ],
)
async def test_an_answer_that_is_none_is_an_error_of_the_search_alone(
    answer: dict[str, object] | str, kind: type[TickerError], text: str
) -> None:
    talk = Talk()
    outcomes: list[object] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(outcome, talk.client.search(), outcomes)
        await wait_all_tasks_blocked()
        (request,) = talk.asked()
        if isinstance(answer, dict):
            talk.says(Reply(request["id"], answer))
        else:
            talk.says(Error(request["id"], 4, answer, fatal=False))
    assert isinstance(outcomes[0], kind)
    assert text in str(outcomes[0])


async def test_questions_end_with_the_client_and_with_their_task_and_are_bounded() -> None:
    talk = Talk()
    outcomes: list[object] = []
    async with trio.open_nursery() as nursery:
        for _ in range(MOST_QUESTIONS):
            nursery.start_soon(outcome, talk.client.stats(), outcomes)
        await wait_all_tasks_blocked()
        with pytest.raises(ConfigError, match="100 requests wait for their answers already"):
            await talk.client.search()
        nursery.cancel_scope.cancel()
    assert talk.asked() == [], "nobody waits for them any more"
    async with trio.open_nursery() as nursery:
        nursery.start_soon(outcome, talk.client.stats(), outcomes)
        await wait_all_tasks_blocked()
        talk.client.close(ConnectionFailed("gone"))
    assert [str(each) for each in outcomes] == ["gone"]
    with pytest.raises(ConnectionFailed, match="gone"):
        await talk.client.stats()

"""ticker/server/mailbox.py: messages between trio-websocket's reader and the task that answers them, one at a time."""

from __future__ import annotations

from contextlib import suppress
from functools import partial

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from ticker.server.mailbox import Mailbox


async def test_messages_come_in_their_order_and_the_second_one_waits_for_room() -> None:
    mailbox, sent = Mailbox(), list[bytes | str]()

    async def send() -> None:
        for message in (b"1", "2", b""):
            await mailbox.send(message)
            sent.append(message)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(send)
        await wait_all_tasks_blocked()
        assert sent == [b"1"]
        assert repr(mailbox) == "<Mailbox with a message, ended: False>"
        assert [await mailbox.receive() for _ in range(3)] == [b"1", "2", b""]
    assert sent == [b"1", "2", b""]


async def test_a_receiver_waits_for_the_message_and_the_end() -> None:
    mailbox, received = Mailbox(), list[bytes | str]()

    async def receive() -> None:
        with suppress(trio.EndOfChannel):
            while True:
                received.append(await mailbox.receive())
        received.append("end")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(receive)
        for message in (b"1", b"2"):
            await wait_all_tasks_blocked()
            await mailbox.send(message)
        await wait_all_tasks_blocked()
        assert received == [b"1", b"2"]
        await mailbox.aclose()
    assert received == [b"1", b"2", "end"]
    with pytest.raises(trio.BrokenResourceError):
        await mailbox.send(b"3")


async def test_behind_the_end_the_message_that_is_there_is_received_and_a_sender_that_waits_gives_up() -> None:
    mailbox = Mailbox()

    async def send() -> None:
        with pytest.raises(trio.BrokenResourceError):
            await mailbox.send(b"2")

    async with trio.open_nursery() as nursery:
        async with mailbox:
            await mailbox.send(b"1")
            nursery.start_soon(send)
            await wait_all_tasks_blocked()
        await wait_all_tasks_blocked()
        assert not nursery.child_tasks
    assert await mailbox.receive() == b"1"
    with pytest.raises(trio.EndOfChannel):
        await mailbox.receive()


async def test_one_that_waits_can_be_cancelled_and_nothing_is_lost() -> None:
    mailbox = Mailbox()
    for waits in (mailbox.receive, partial(mailbox.send, b"2")):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(waits)
            await wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        if repr(mailbox) == "<Mailbox without one, ended: False>":
            await mailbox.send(b"1")
    assert await mailbox.receive() == b"1"
    assert repr(mailbox) == "<Mailbox without one, ended: False>"

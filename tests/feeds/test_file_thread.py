"""ticker_feeds/file_thread.py and the feeds that read files: a drive that does not answer holds up its feed alone."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from tests.bounds import HANG_SECONDS
from ticker.market import FeedItem, Update
from ticker_feeds import Feed
from ticker_feeds.file_thread import Closer, FileThread
from ticker_feeds.lines import JsonLines
from ticker_feeds.recordings import Replay

ROWS = "time,symbol,bid\n1000,A,1\n2000,A,2\n"
LINES = '{"symbol": "A", "bid": "1"}\n'


class Drive:
    """A drive that does not answer until `back` is set: the system's calls on a file, each of which hangs."""

    def __init__(self, path: Path) -> None:
        self.back = threading.Event()
        self.calls = 0
        self._is_main = threading.get_ident()
        self._read = os.read
        self._inode = path.stat().st_ino

    def read(self, descriptor: int, size: int) -> bytes:
        if os.fstat(descriptor).st_ino == self._inode and not self.back.is_set():
            assert threading.get_ident() != self._is_main, "the loop waits for the drive"
            self.calls += 1
            self.back.wait(HANG_SECONDS)
        return self._read(descriptor, size)


@pytest.fixture
def lines(tmp_path: Path) -> Path:
    path = tmp_path / "lines.jsonl"
    path.write_text(LINES)
    return path


@pytest.fixture
def drive(lines: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Drive]:
    made = Drive(lines)
    monkeypatch.setattr("ticker_feeds.lines.files.os.read", made.read)
    yield made
    made.back.set()


async def first_updates(feed: Feed) -> list[Update]:
    """The updates of the first batch in which there are any."""
    sending, receiving = trio.open_memory_channel[FeedItem](0)
    async with sending, receiving, trio.open_nursery() as nursery:
        nursery.start_soon(feed.run, sending)
        with trio.fail_after(HANG_SECONDS):
            async for item in receiving:
                assert isinstance(item, list)
                if updates := [each for each in item if isinstance(each, Update)]:
                    nursery.cancel_scope.cancel()
                    return updates
    raise AssertionError("it ended")


async def until(reached: threading.Event) -> None:
    with trio.fail_after(HANG_SECONDS):
        while not reached.is_set():
            await trio.sleep(0.01)


def open_files() -> set[str]:
    found = set()
    for each in Path("/proc/self/fd").iterdir():
        try:
            found.add(str(each.readlink()))
        except FileNotFoundError:
            continue
    return found


@pytest.mark.parametrize("follow", [False, True])
async def test_lines_on_a_drive_that_hangs_hold_up_nobody_and_are_read_on_when_it_is_back(
    follow: bool,  # noqa: FBT001  # a parameter
    lines: Path,
    drive: Drive,
) -> None:
    feed = JsonLines(path=str(lines), follow=follow)
    sending, receiving = trio.open_memory_channel[FeedItem](0)
    async with sending, receiving:
        for _ in range(3):  # as after a time of silence
            with trio.move_on_after(0.2) as scope:
                await feed.run(sending)
            assert scope.cancelled_caught
    assert drive.calls == 1, "one thread, however often it is started"
    assert str(lines) in open_files()
    drive.back.set()
    assert [update.symbol for update in await first_updates(feed)] == ["A"]
    with trio.fail_after(HANG_SECONDS):
        while str(lines) in open_files():
            await trio.sleep(0.01)


async def test_a_recording_on_a_drive_that_hangs_holds_up_nobody_and_is_played_when_it_is_back(tmp_path: Path) -> None:
    path = tmp_path / "day.csv"
    path.write_text(ROWS)
    feed = Replay(path=str(path), speed=0.0)
    path.unlink()
    os.mkfifo(path)  # it cannot be opened before there is a writer
    given_up, rescued = threading.Event(), threading.Event()

    def rescue() -> None:
        """Let a loop that hangs go on, so that the test fails."""
        if not given_up.wait(10):
            rescued.set()
            os.close(os.open(path, os.O_RDWR))

    sending, receiving = trio.open_memory_channel[FeedItem](0)
    threading.Thread(target=rescue, daemon=True).start()
    async with sending, receiving:
        for _ in range(3):
            with trio.move_on_after(0.2) as scope:
                await feed.run(sending)
            assert scope.cancelled_caught
        given_up.set()
    assert not rescued.is_set()
    writer = os.open(path, os.O_WRONLY)
    path.unlink()
    path.write_text(ROWS)
    os.close(writer)
    updates = await first_updates(feed)
    assert [update.fields["bid"] for update in updates] == ["1", "2"]
    with trio.fail_after(HANG_SECONDS):
        while any(each.startswith(str(path)) for each in open_files()):
            await trio.sleep(0.01)


async def test_what_a_thread_uses_is_closed_once_it_is_done() -> None:
    thread, closed, going, goes_on = FileThread(), list[int](), threading.Event(), threading.Event()
    closer = Closer(lambda: closed.append(threading.get_ident()))

    def use() -> None:
        going.set()
        goes_on.wait(HANG_SECONDS)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(thread.call, closer.use, use)
        await until(going)
        nursery.cancel_scope.cancel()
    closer.end()
    assert closed == []
    assert "busy" in repr(thread)
    assert "ended" in repr(closer)
    goes_on.set()
    with trio.fail_after(HANG_SECONDS):
        await thread.call(int)
    assert len(closed) == 1
    assert closed[0] != threading.get_ident()


async def test_what_no_thread_uses_is_closed_at_once() -> None:
    closed = list[int]()
    closer = Closer(lambda: closed.append(1))
    assert await FileThread().call(closer.use, int, "7") == 7
    with pytest.raises(ZeroDivisionError):
        await FileThread().call(closer.use, lambda: 1 / 0)
    await wait_all_tasks_blocked()
    assert closed == []
    closer.end()
    assert closed == [1]

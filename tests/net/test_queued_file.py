"""ticker/net/queued_file.py: writing never waits; lines are in order, or lost and counted."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from ticker.net.queued_file import QueuedFile, lines_lost, queued_files

LINE = b"x" * 999 + b"\n"
SOON = 60.0


class Pipe:
    """A pipe, and a file that writes into it."""

    def __init__(self, limit: int = 100_000) -> None:
        self.reading, self.writing = os.pipe()
        self.file = QueuedFile(self.writing, limit)

    def fill(self) -> int:
        """Write until lines are lost; return how many lines were written."""
        written = 0
        while not self.file.lost:
            assert self.file.write(LINE) == len(LINE)
            written += 1
        return written

    def read(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            data += os.read(self.reading, size - len(data))
        return data


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    made = Pipe()
    yield made
    os.close(made.reading)
    os.close(made.writing)


def test_what_is_written_comes_out_in_order(pipe: Pipe) -> None:
    text = b"".join(b"line %d\n" % number for number in range(1000))
    for line in text.splitlines(keepends=True):
        pipe.file.write(line)
    assert pipe.read(len(text)) == text
    assert pipe.file.lost == 0


def test_lines_beyond_the_limit_are_lost_and_said_once_there_is_room(pipe: Pipe) -> None:
    written = pipe.fill()
    assert repr(pipe.file).endswith("1 lines lost>")
    for _ in range(9):
        pipe.file.write(LINE)
    assert pipe.read((written - 1) * len(LINE)) == LINE * (written - 1)
    notice = b"ticker: 10 lines were lost here, because they were not read in time\n"
    assert pipe.read(len(notice)) == notice
    pipe.file.write(b"on it goes\n")
    assert pipe.read(11) == b"on it goes\n"


def test_the_end_waits_for_a_reader_but_not_for_ever(pipe: Pipe) -> None:
    pipe.file.finish(SOON)
    pipe.file.write(b"last words\n")
    pipe.file.finish(SOON)
    assert os.read(pipe.reading, 100) == b"last words\n"
    pipe.fill()
    pipe.file.finish(0.01)


def test_a_loss_is_said_at_the_end_at_the_latest(pipe: Pipe) -> None:
    pipe.fill()
    os.set_blocking(pipe.reading, False)
    read = b""
    for _ in range(1000):
        try:
            read += os.read(pipe.reading, 1_000_000)
        except BlockingIOError:
            pipe.file.finish(0.01)
    assert b"1 lines were lost here" in read


def test_lines_that_cannot_be_written_are_lost_and_counted(tmp_path: Path) -> None:
    descriptor = os.open(tmp_path / "log", os.O_RDONLY | os.O_CREAT)
    file, before = QueuedFile(descriptor), lines_lost()
    file.write(b"one\ntwo\n")
    file.finish(SOON)
    os.close(descriptor)
    assert file.lost >= 2
    assert lines_lost() - before == file.lost
    assert file in queued_files()


def test_a_descriptor_that_does_not_block_is_waited_for(pipe: Pipe) -> None:
    os.set_blocking(pipe.writing, False)
    written = pipe.fill()
    assert pipe.read((written - 1) * len(LINE)) == LINE * (written - 1)


def test_it_is_a_file_for_writing(pipe: Pipe) -> None:
    assert pipe.file.writable()
    assert not pipe.file.isatty()
    assert pipe.file.fileno() == pipe.writing

"""ticker/bus/spool.py: nothing is shown early, and whatever became of its files, nothing wrong."""

from __future__ import annotations

import os
import resource
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

import pytest

from ticker.bus import spool as spools
from ticker.bus.engine import Keyframe, Position
from ticker.bus.spool import Spool
from ticker.bus.spool_chunks import NotLoaded, Place
from ticker.bus.spool_records import RESET, Broken, Moment, Record, entry_record, keyframe_record, part_record
from ticker.errors import ConfigError

T = TypeVar("T")

DELAY = 60_000_000
STEP = 10_000_000


class Clock:
    """Two clocks, of which one may be set."""

    def __init__(self) -> None:
        self.wall, self.running = 1_700_000_000_000_000, 5_000_000

    def __call__(self) -> Moment:
        return Moment(self.wall, self.running)

    def pass_by(self, microseconds: int) -> None:
        self.wall += microseconds
        self.running += microseconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


def opened(folder: Path, clock: Clock, engine: str = "redis://engine") -> Spool:
    spool = Spool(folder, engine, DELAY, clock)
    spool.open()
    return spool


def write(spool: Spool, *records: Record) -> None:
    spool.add(spool.write(records))
    spool.delete(spool.unneeded())


def cut(number: int, beat: int = 0) -> Record:
    return entry_record(Position(number, beat), b"cut %d beat %d" % (number, beat))


def keyframe(number: int, *parts: bytes) -> list[Record]:
    return [
        *(part_record(number, place, part) for place, part in enumerate(parts)),
        keyframe_record(Keyframe(number, len(parts))),
    ]


def shown(spool: Spool) -> list[tuple[Position, bytes]]:
    """All entries that are shown, each with the right data, or else the test fails."""
    show(spool)
    found: list[tuple[Position, Place]] = []
    while more := look(spool, partial(spool.index.after, found[-1][0] if found else Position(0), 10**6)):
        found += more
    return [
        (position, data) for (position, _), data in zip(found, spool.read([each for _, each in found]), strict=True)
    ]


def show(spool: Spool) -> None:
    """Show what is due, with what has to be read for that."""
    spool.index.show(spool.now().running)
    while (chunk := spool.index.wanted) is not None:
        spool.index.load(chunk, spool.load(chunk))
        spool.index.show(spool.now().running)


def look(spool: Spool, find: Callable[[], T]) -> T:
    """What a look into the index finds."""
    while True:
        try:
            return find()
        except NotLoaded as needed:
            spool.index.load(needed.chunk, spool.load(needed.chunk))


def cuts(spool: Spool) -> list[int]:
    return [position.cut for position, _ in shown(spool)]


def keyframe_of(spool: Spool) -> tuple[int, list[bytes]] | None:
    """The keyframe that is shown, and its parts."""
    now = spool.now().running
    show(spool)
    found = spool.index.keyframe(now)
    if found is None:
        return None
    places = [spool.index.part(found.cut, number, now) for number in range(found.parts)]
    return found.cut, spool.read([place for place in places if place is not None])


def test_everything_is_shown_when_it_is_due_and_in_order(tmp_path: Path, clock: Clock) -> None:
    spool = opened(tmp_path, clock)
    for number in range(1, 5):
        write(spool, cut(number), *keyframe(number, b"a", b"b"))
        clock.pass_by(STEP)
    clock.pass_by(DELAY - 4 * STEP - 1)
    assert shown(spool) == []
    assert keyframe_of(spool) is None
    assert spool.index.last == Position(0)
    assert spool.index.entry(Position(1)) is None
    assert spool.index.part(1, 0, clock.running) is None
    for number in range(1, 5):
        clock.pass_by(1)
        assert cuts(spool)[-1:] == [number]
        assert keyframe_of(spool) == (number, [b"a", b"b"])
        assert spool.index.last == Position(number)
        clock.pass_by(STEP - 1)
        assert cuts(spool)[-1] == number


@pytest.mark.parametrize("step", [10 * DELAY, DELAY, 3_600_000_000, -DELAY, -3_600_000_000])
def test_a_clock_that_is_set_changes_nothing_while_it_runs(tmp_path: Path, clock: Clock, step: int) -> None:
    spool = opened(tmp_path, clock)
    write(spool, cut(1))
    clock.wall += step
    clock.pass_by(STEP)
    write(spool, cut(2))
    clock.pass_by(DELAY - STEP - 1)
    assert cuts(spool) == []
    clock.pass_by(1)
    assert cuts(spool) == [1]
    clock.pass_by(STEP)
    assert cuts(spool) == [1, 2]


def test_a_restart_goes_on_where_it_was(tmp_path: Path, clock: Clock) -> None:
    spool = opened(tmp_path, clock)
    write(spool, cut(1), *keyframe(1, b"a"))
    clock.pass_by(STEP)
    write(spool, cut(2))
    clock.pass_by(DELAY - STEP)
    assert cuts(spool) == [1]
    spool.close()
    again = opened(tmp_path, clock)
    assert (again.run, again.began_anew) == (spool.run, "")
    assert cuts(again) == [1]
    assert keyframe_of(again) == (1, [b"a"])
    clock.pass_by(STEP - 1)
    assert cuts(again) == [1]
    clock.pass_by(1)
    assert cuts(again) == [1, 2]
    assert again.index.end == Position(2)


@pytest.mark.parametrize("step", [DELAY, 3_600_000_000, -STEP, -3_600_000_000])
def test_a_clock_that_was_set_before_a_restart_shows_nothing_early_and_stops_nothing(
    tmp_path: Path, clock: Clock, step: int
) -> None:
    spool = opened(tmp_path, clock)
    write(spool, cut(1))
    clock.pass_by(STEP)
    spool.close()
    clock.wall += step
    again = opened(tmp_path, clock)
    clock.pass_by(DELAY - STEP - 1)
    assert cuts(again) == []
    clock.pass_by(1 + STEP)  # set back, it counts as read at the restart
    assert cuts(again) == [1]


@pytest.mark.parametrize("running", [1_000_000, 10 * DELAY])
def test_after_another_start_of_the_machine_all_count_as_read_now(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch, running: int
) -> None:
    spool = opened(tmp_path, clock)
    write(spool, cut(1))
    clock.pass_by(STEP)
    write(spool, cut(2))
    spool.close()
    monkeypatch.setattr(spools, "machine_start", lambda: "another")
    clock.wall += 3_600_000_000
    clock.running = running
    again = opened(tmp_path, clock)
    clock.pass_by(DELAY - 1)
    assert cuts(again) == []
    clock.pass_by(1)
    assert cuts(again) == [1, 2]


def test_further_restarts_after_another_start_of_the_machine_postpone_nothing(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = opened(tmp_path, clock)
    write(spool, cut(1))
    spool.close()
    monkeypatch.setattr(spools, "machine_start", lambda: "another")
    clock.running = 1_000_000
    for number in range(2, 5):
        spool = opened(tmp_path, clock)
        write(spool, cut(number))
        clock.pass_by(STEP)
        spool.close()
    again = opened(tmp_path, clock)
    clock.pass_by(DELAY - 3 * STEP - 1)
    assert cuts(again) == []
    clock.pass_by(1)
    assert cuts(again) == [1, 2]
    clock.pass_by(STEP)
    assert cuts(again) == [1, 2, 3]
    again.close()
    monkeypatch.setattr(spools, "machine_start", lambda: "a third one")
    clock.running = 500_000
    third = opened(tmp_path, clock)
    clock.pass_by(DELAY - 1)
    assert cuts(third) == []
    clock.pass_by(1)
    assert cuts(third) == [1, 2, 3, 4]


def test_the_delay_of_the_engine_is_known_to_the_next_process(tmp_path: Path, clock: Clock) -> None:
    spool = opened(tmp_path, clock)
    assert spool.engine_delay == 0
    spool.note_delay(900)
    write(spool, cut(1))
    spool.close()
    again = opened(tmp_path, clock)
    assert again.engine_delay == 900
    again.close()


def test_a_log_that_was_begun_anew_is_shown_as_it_was(tmp_path: Path, clock: Clock) -> None:
    spool = opened(tmp_path, clock)
    write(spool, cut(7), cut(8), *keyframe(7, b"old"))
    clock.pass_by(STEP)
    write(spool, RESET, cut(2), *keyframe(2, b"new"), cut(3))
    assert spool.index.end == Position(3)
    assert spool.index.read_at(Position(7)) is None
    assert spool.index.read_at(Position(2)) is not None
    clock.pass_by(DELAY - STEP)
    assert cuts(spool) == [7, 8]
    assert keyframe_of(spool) == (7, [b"old"])
    clock.pass_by(STEP)
    assert cuts(spool) == [2, 3]
    assert keyframe_of(spool) == (2, [b"new"])
    assert spool.index.last == Position(3)


def test_a_keyframe_without_a_part_does_not_count(tmp_path: Path, clock: Clock) -> None:
    spool = opened(tmp_path, clock)
    write(spool, part_record(5, 0, b"a"), part_record(7, 0, b"b"), keyframe_record(Keyframe(5, 1)))
    write(spool, keyframe_record(Keyframe(7, 2)))
    clock.pass_by(DELAY)
    assert keyframe_of(spool) is None
    write(spool, part_record(8, 0, b"c"), part_record(8, 1, b"d"), keyframe_record(Keyframe(8, 2)))
    clock.pass_by(DELAY)
    assert keyframe_of(spool) == (8, [b"c", b"d"])


def written(folder: Path, clock: Clock) -> list[tuple[Position, bytes]]:
    """A spool of three processes, with everything that there is; returns all of its entries."""
    for first in (1, 4, 7):
        spool = opened(folder, clock)
        write(spool, *(cut(number) for number in range(first, first + 3)), cut(first + 2, 1))
        write(spool, *keyframe(first + 1, b"part" * 5, b"other"))
        clock.pass_by(1)
        spool.close()
    spool = opened(folder, clock)
    clock.pass_by(DELAY)
    found = [
        (position, spool.read([place])[0])
        for position, place in ((each, look(spool, partial(spool.index.read_at, each))) for each in positions())
        if place is not None
    ]
    spool.close()
    (folder / "00000004.log").unlink()
    return found


def positions() -> list[Position]:
    return [Position(number, beat) for number in range(1, 10) for beat in (0, 1)]


def test_cut_off_at_every_byte_it_is_a_beginning_of_what_was_written(tmp_path: Path, clock: Clock) -> None:
    all_entries = written(tmp_path / "whole", clock)
    last = (tmp_path / "whole" / "00000003.log").read_bytes()
    for length in range(len(last)):
        folder = tmp_path / "cut"
        shutil.copytree(tmp_path / "whole", folder)
        (folder / "00000003.log").write_bytes(last[:length])
        spool = opened(folder, clock)
        assert spool.began_anew == ""
        clock.pass_by(DELAY)
        assert keyframe_of(spool) in [(2 + 3 * count, [b"part" * 5, b"other"]) for count in (1, 2)]
        found = shown(spool)
        first = all_entries.index(found[0])
        assert found == all_entries[first : first + len(found)]
        assert first + len(found) >= 8, "all of the two whole segments"
        write(spool, cut(100))
        clock.pass_by(DELAY)
        assert cuts(spool)[-1] == 100
        spool.close()
        reopened = opened(folder, clock)
        assert (reopened.began_anew, cuts(reopened)[-1]) == ("", 100)
        reopened.close()
        shutil.rmtree(folder)


def test_with_any_byte_changed_it_has_nothing_wrong(tmp_path: Path, clock: Clock) -> None:
    all_entries = written(tmp_path, clock)
    files = {path: path.read_bytes() for path in sorted(tmp_path.glob("*.log"))}
    anew = 0
    for number, (path, whole) in enumerate(files.items()):
        for at in range(number, len(whole), len(files)):
            for each in tmp_path.glob("*.log"):
                each.unlink()
            for each, data in files.items():
                each.write_bytes(data)
            path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x41]) + whole[at + 1 :])
            spool = opened(tmp_path, clock)
            clock.pass_by(DELAY)
            assert set(shown(spool)) <= set(all_entries)
            found = keyframe_of(spool)
            assert found is None or found[1] == [b"part" * 5, b"other"]
            anew += bool(spool.began_anew)
            spool.close()
    assert anew > 100


def test_damage_that_comes_later_is_found_when_it_is_read(tmp_path: Path, clock: Clock) -> None:
    spool = opened(tmp_path, clock)
    write(spool, cut(1))
    clock.pass_by(DELAY)
    path = tmp_path / "00000001.log"
    with path.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"x")
    with pytest.raises(Broken, match=r"00000001\.log is damaged at byte"):
        shown(spool)


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (b"ticker spool 9\n", "00000001.log is no segment of this version"),
        (b"anything else", "00000001.log is no segment of this version"),
        (b"ticker spool 1\n" + bytes(200), "is damaged at byte 15"),
    ],
)
def test_files_of_others_are_said_and_begun_anew(tmp_path: Path, clock: Clock, content: bytes, cause: str) -> None:
    (tmp_path / "00000001.log").write_bytes(content)
    spool = opened(tmp_path, clock)
    assert cause in spool.began_anew
    write(spool, cut(1))
    clock.pass_by(DELAY)
    assert cuts(spool) == [1]


def test_a_spool_of_another_bus_is_begun_anew(tmp_path: Path, clock: Clock) -> None:
    spool = opened(tmp_path, clock)
    write(spool, cut(1))
    spool.close()
    other = opened(tmp_path, clock, engine="redis://other")
    assert other.began_anew == "it is of another bus, redis://engine"
    assert other.run != spool.run
    clock.pass_by(DELAY)
    assert cuts(other) == []


def test_two_processes_do_not_share_a_spool(tmp_path: Path, clock: Clock) -> None:
    spool = opened(tmp_path, clock)
    with pytest.raises(ConfigError, match=r"another delayed service has the spool .*: give each its own"):
        opened(tmp_path, clock)
    spool.close()
    opened(tmp_path, clock).close()


def test_a_link_in_place_of_a_file_is_not_followed(tmp_path: Path, clock: Clock) -> None:
    target = tmp_path / "target"
    target.write_bytes(b"theirs")
    folder = tmp_path / "spool"
    folder.mkdir()
    (folder / "00000001.log").symlink_to(target)
    with pytest.raises(OSError, match="symbolic"):
        opened(folder, clock)
    assert target.read_bytes() == b"theirs"


def test_a_long_delay_needs_no_more_descriptors_than_a_short_one(tmp_path: Path, clock: Clock) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    present = len(list(Path("/proc/self/fd").iterdir()))
    resource.setrlimit(resource.RLIMIT_NOFILE, (present + 10, hard))
    try:
        spool = opened(tmp_path, clock)
        for number in range(1, 41):
            spool.begin_segment()
            write(spool, cut(number), *keyframe(number, b"k%d" % number))
        spool.close()
        spool = opened(tmp_path, clock)
        clock.pass_by(DELAY)
        assert cuts(spool) == [39, 40], "of those that are shown"
        spool.close()
        assert len(list(Path("/proc/self/fd").iterdir())) <= present
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_old_segments_go_once_nothing_in_them_is_of_use(tmp_path: Path, clock: Clock) -> None:
    spool = opened(tmp_path, clock)
    for number in range(1, 40):
        spool.begin_segment()
        write(spool, cut(number), *keyframe(number, b"k%d" % number))
        clock.pass_by(STEP)
        keyframe_of(spool)
    # Six are not shown yet, and two keyframes of those that are shown are kept.
    assert len(list(tmp_path.glob("*.log"))) <= 10
    assert spool.bytes == sum(path.stat().st_size for path in tmp_path.glob("*.log"))
    assert spool.dropped == 0
    assert cuts(spool)[-1] == 34
    assert keyframe_of(spool) == (34, [b"k34"])


def test_beyond_its_room_it_drops_the_oldest_and_the_keyframes_that_need_them(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spools, "SPOOL_SEGMENT_BYTES", 2_000)
    monkeypatch.setattr(spools, "SPOOL_BYTES", 10_000)
    spool = opened(tmp_path, clock)
    write(spool, cut(1), *keyframe(1, b"k"))
    for number in range(2, 100):
        write(spool, entry_record(Position(number), os.urandom(300)))
    assert spool.bytes <= 12_500
    assert spool.dropped > 50
    assert len(spool.index) + spool.dropped == 99
    clock.pass_by(DELAY)
    assert cuts(spool)[-1] == 99
    assert keyframe_of(spool) is None
    write(spool, *keyframe(99, b"new"))
    clock.pass_by(DELAY)
    assert keyframe_of(spool) == (99, [b"new"])


def test_a_keyframe_goes_with_the_entries_that_were_written_while_it_was_made(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = opened(tmp_path, clock)
    write(spool, *(cut(number) for number in range(1, 20)))
    spool.begin_segment()
    write(spool, *keyframe(10, b"k"), cut(20))
    spool.begin_segment()
    monkeypatch.setattr(spools, "SPOOL_BYTES", spool.bytes - 1)
    write(spool, cut(21))
    clock.pass_by(DELAY)
    assert cuts(spool) == [20, 21]
    assert spool.dropped == 19
    assert keyframe_of(spool) is None, "it lacks cuts 11 to 19"

"""ticker/usage/reading.py and counting.py: logs that are cut off, damaged, incomplete, in use, or of a newer format."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.usage.harness import START, Clock, Counted, Service, files
from ticker.errors import ConfigError
from ticker.usage.lines import file_name

HOUR = 3_600_000_000
NOVEMBER, DECEMBER = "2026-11", "2026-12"
END = 1_796_083_200_000_000
"""The first moment of December."""


def simple(folder: Path, parts: int = 1) -> Service:
    """A client that sees A, for an hour in each file; the service was killed."""
    service = Service(folder, Clock())
    service.declare("A")
    client = service.connect("s", "alice")
    service.subscribe(client, ["A"])
    for part in range(parts):
        if part:
            service.usage._begin_file()
        service.clock.now += HOUR
    service.kill()
    return service


def seen(hours: int) -> tuple[int, int, int, tuple[int, ...]]:
    return 1, 1, hours * HOUR, (1, 1, 0, 0, 0)


def test_a_killed_run_counts_until_its_last_line(tmp_path: Path) -> None:
    simple(tmp_path)
    assert Counted(tmp_path).row(NOVEMBER, "alice") == seen(1)


@pytest.mark.parametrize("end", [b'{"at":"2026-11-2', b"\0\0\0\0", b"\xff\xfe", b"}"])
def test_half_a_line_at_the_end_is_passed_over(end: bytes, tmp_path: Path) -> None:
    simple(tmp_path)
    with files(tmp_path)[0].open("ab") as file:
        file.write(end)
    counted = Counted(tmp_path)
    assert counted.problems == []
    assert counted.row(NOVEMBER, "alice") == seen(1)


def test_every_beginning_of_a_file_can_be_read(tmp_path: Path) -> None:
    simple(tmp_path)
    (path,) = files(tmp_path)
    data = path.read_bytes()
    for size in range(len(data)):
        path.write_bytes(data[:size])
        assert Counted(tmp_path).problems == []


def test_damage_before_the_end_is_named_with_its_line(tmp_path: Path) -> None:
    simple(tmp_path)
    (path,) = files(tmp_path)
    whole = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*whole[:3], b"\x1b[31m rubbish\n", b"\n", *whole[3:]]))
    counted = Counted(tmp_path)
    assert [problem.partition(" (")[0] for problem in counted.problems] == [f"{path.name}:4: no line of a usage log"]
    assert counted.row(NOVEMBER, "alice") == seen(1)
    path.write_bytes(b"".join(line for line in whole if b'"view"' not in line or b'"sees"' in line))
    (problem,) = Counted(tmp_path).problems
    assert problem.endswith("there is no view 1; what it shows is not counted")
    path.write_bytes(b"".join(line for line in whole if b'"open"' not in line))
    (problem,) = Counted(tmp_path).problems
    assert problem.endswith("the connection s is not open")


def test_half_a_line_in_the_middle_of_a_run_is_damage(tmp_path: Path) -> None:
    simple(tmp_path, parts=2)
    first, _ = files(tmp_path)
    first.write_bytes(first.read_bytes()[:-3])
    (problem,) = Counted(tmp_path).problems
    assert problem.startswith(first.name)


def test_a_missing_file_is_named_and_its_time_is_not_counted(tmp_path: Path) -> None:
    simple(tmp_path, parts=3)
    assert Counted(tmp_path).row(NOVEMBER, "alice") == seen(3)
    files(tmp_path)[1].unlink()
    counted = Counted(tmp_path)
    (problem,) = counted.problems
    assert problem == f"{files(tmp_path)[1].name}:0: the file before it in its run is missing; that time is not counted"
    connections, most, time, _ = counted.row(NOVEMBER, "alice")
    assert (connections, most, time) == (2, 1, HOUR)


def test_files_of_other_months_are_not_read(tmp_path: Path) -> None:
    simple(tmp_path, parts=4)
    assert Counted(tmp_path).opened == 4
    begins = files(tmp_path)[1].name.split("-")[1]
    counted = Counted(tmp_path, begins, begins + "~")
    assert (counted.opened, counted.problems) == (2, []), "the next one says until when it was open"
    assert counted.row(NOVEMBER, "alice") == seen(1)


def test_a_run_that_goes_on_is_read_as_far_as_it_is(tmp_path: Path) -> None:
    service = Service(tmp_path, Clock())
    service.declare("A")
    service.subscribe(service.connect("s", "alice"), ["A"])
    service.clock.now += HOUR
    service.kill()
    with files(tmp_path)[0].open("ab") as file:
        file.write(b'{"type":"alive","at":"2026-11-18T13:06:40.000007Z"}\n{"type":"ali')
    assert Counted(tmp_path).row(NOVEMBER, "alice") == seen(2)


def test_what_crosses_the_end_of_a_month_counts_in_both(tmp_path: Path) -> None:
    service = Service(tmp_path, Clock())
    service.declare("A")
    client = service.connect("s", "alice")
    service.subscribe(client, ["A"])
    service.clock.now = END + HOUR
    service.subscribe(client, [])
    service.clock.now += HOUR
    service.stop()
    counted = Counted(tmp_path)
    assert counted.row(NOVEMBER, "alice") == (1, 1, END - START, (1, 1, 0, 0, 0))
    assert counted.row(DECEMBER, "alice") == seen(1)


def test_a_connection_that_a_new_file_does_not_name_is_over(tmp_path: Path) -> None:
    service = Service(tmp_path, Clock())
    service.declare("A")
    client = service.connect("s", "alice")
    service.subscribe(client, ["A"])
    service.clock.now += HOUR
    del service.usage._connections[client]
    service.usage._begin_file()
    service.clock.now = END + HOUR
    service.stop()
    counted = Counted(tmp_path)
    assert counted.row(NOVEMBER, "alice") == seen(1)
    assert not counted.months[DECEMBER].rows


def test_a_view_that_was_idle_and_is_used_again_is_in_the_next_file(tmp_path: Path) -> None:
    service = Service(tmp_path, Clock())
    service.declare("A")
    for session in ("first", "second"):
        client = service.connect(session, "alice")
        service.subscribe(client, ["A"])
        if session == "first":
            service.disconnect(client)
    service.usage._begin_file()
    service.clock.now += HOUR
    service.stop()
    counted = Counted(tmp_path)
    assert counted.problems == []
    assert counted.row(NOVEMBER, "alice") == (2, 1, HOUR, (1, 1, 0, 0, 0))


def test_connections_to_several_services_at_the_same_time_are_simultaneous(tmp_path: Path) -> None:
    clock = Clock()
    services = [Service(tmp_path, clock) for _ in range(3)]
    for number, service in enumerate(services):
        service.declare("A")
        service.subscribe(service.connect(f"s{number}", "alice"), ["A"])
        clock.now += HOUR
    services[0].stop()
    clock.now += HOUR
    for service in services[1:]:
        service.stop()
    assert Counted(tmp_path).row(NOVEMBER, "alice") == (3, 3, 8 * HOUR, (1, 1, 0, 0, 0))


def test_a_newer_version_is_refused_with_its_line(tmp_path: Path) -> None:
    simple(tmp_path)
    (path,) = files(tmp_path)
    path.write_bytes(path.read_bytes().replace(b'"format":1', b'"format":2'))
    with pytest.raises(ConfigError, match=r"0001\.jsonl:1: of a newer version of Ticker \(.+\): read it with that"):
        Counted(tmp_path)


def test_the_last_month_of_all_has_an_end(tmp_path: Path) -> None:
    path = tmp_path / file_name(START, 16 * "a", 1)
    late = '"at":"9999-12-31T23:59:59.999999Z"'
    path.write_text(f'{{"type":"file",{late},"format":1,"run":"a","part":1}}\n{{"type":"alive",{late}}}\n')
    counted = Counted(tmp_path)
    assert (counted.problems, list(counted.months)) == ([], ["9999-12"])


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    path = tmp_path / file_name(START, 16 * "a", 1)
    path.mkdir()
    with pytest.raises(ConfigError, match=r"0001\.jsonl: Is a directory"):
        Counted(tmp_path)

"""ticker/commands/memory.py, cli.py: in processes of their own, where settings hold for a whole process."""

from __future__ import annotations

import gc
import platform
import subprocess
import sys

import pytest

from tests.commands.conftest import RunTicker

LARGE_BLOCKS = """
import ctypes
from ticker.commands.memory import tune_memory

class Mallinfo2(ctypes.Structure):
    NAMES = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost"
    _fields_ = [(name, ctypes.c_size_t) for name in NAMES.split()]

mallinfo2 = ctypes.CDLL(None).mallinfo2
mallinfo2.restype = Mallinfo2

tune_memory()
del [bytes(1_000_000)][0]  # by default, blocks up to this size would be kept from now on
before = mallinfo2().hblks
blocks = [bytes(65_536) for _ in range(1000)]
print(mallinfo2().hblks - before)
del blocks
print(mallinfo2().hblks - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has these settings")
def test_large_blocks_are_given_back_to_the_system() -> None:
    done = subprocess.run([sys.executable, "-c", LARGE_BLOCKS], capture_output=True, text=True, check=True)
    of_the_system, left = map(int, done.stdout.split())
    assert of_the_system > 900  # the first few fit into gaps of the heap
    assert left == 0


def test_python_looks_for_garbage_in_small_steps_and_among_all_objects_seldom() -> None:
    program = "import gc; from ticker.commands.memory import tune_memory; tune_memory(); print(*gc.get_threshold())"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    youngest, middle, all_of_them = map(int, done.stdout.split())
    assert youngest * (middle + 2) <= 1_000
    assert youngest * (middle + 1) * all_of_them >= 1_000_000


MARKET = """
import gc, sys
from ticker.commands.memory import tune_memory
from ticker.core.last_value import LastValueCache
from ticker.market import Instrument
from ticker.server.frozen_market import FrozenMarket

if sys.argv[1:]:
    tune_memory()
cache, market = LastValueCache("epoch"), FrozenMarket()
for size in (1_100, 1_200, 2_300):
    for number in range(cache.instrument_count, size):
        cache.publish(Instrument(f"S{number}"))
    market.grow(size)
    seen = {id(each) for each in gc.get_objects()}
    print(sum(id(record) in seen for record in cache.records))
"""


@pytest.mark.parametrize(("arguments", "looked_at"), [(["tuned"], [0, 100, 0]), ([], [1_100, 1_200, 2_300])])
def test_a_service_does_not_look_for_garbage_among_instruments(arguments: list[str], looked_at: list[int]) -> None:
    done = subprocess.run([sys.executable, "-c", MARKET, *arguments], capture_output=True, text=True, check=True)
    assert [*map(int, done.stdout.split())] == looked_at


@pytest.mark.parametrize("arguments", [["--version"], ["token"], ["no-such-command"]])
def test_python_looks_for_garbage_once_the_command_is_imported(run_ticker: RunTicker, arguments: list[str]) -> None:
    run_ticker(*arguments)
    assert gc.isenabled()

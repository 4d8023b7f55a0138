"""Make `inventories/trio.inv`: the names of Trio that our pages mention, for builds without a network.

.venv/bin/python docs/trio_names.py
"""

from __future__ import annotations

import zlib
from pathlib import Path

NAMES = {
    "trio.Cancelled": ("py:exception", "reference-core"),
    "trio.MemoryReceiveChannel": ("py:class", "reference-core"),
    "trio.MemorySendChannel": ("py:class", "reference-core"),
    "trio.Nursery": ("py:class", "reference-core"),
    "trio.abc.ReceiveChannel": ("py:class", "reference-io"),
    "trio.abc.SendChannel": ("py:class", "reference-core"),
    "trio.current_time": ("py:function", "reference-core"),
    "trio.lowlevel.start_guest_run": ("py:function", "reference-lowlevel"),
    "trio.open_nursery": ("py:function", "reference-core"),
    "trio.run": ("py:function", "reference-core"),
    "trio.sleep": ("py:function", "reference-core"),
    "trio.to_thread.run_sync": ("py:function", "reference-core"),
}
"""Each with its kind and the page of Trio's documentation that it is on."""


def inventory() -> bytes:
    """The file in Sphinx's format 2: four lines of text, then one line for each name, compressed."""
    head = (
        "# Sphinx inventory version 2\n# Project: Trio\n# Version: \n"
        "# The remainder of this file is compressed using zlib.\n"
    )
    lines = "".join(f"{name} {kind} 1 {page}.html#$ -\n" for name, (kind, page) in NAMES.items())
    return head.encode() + zlib.compress(lines.encode(), 9)


if __name__ == "__main__":
    (Path(__file__).parent / "inventories" / "trio.inv").write_bytes(inventory())

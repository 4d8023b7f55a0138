"""ticker/net/folders.py: a folder for the sockets of one run."""

from __future__ import annotations

import stat
import tempfile
from pathlib import Path

import pytest
import trio

from ticker.net.folders import private_folder


async def test_it_is_for_this_user_alone_and_gone_at_the_end() -> None:
    with trio.move_on_after(0.1):
        async with private_folder() as folder:
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700
            (folder / "bus").touch()
            assert len(str(folder / "bus")) < 100, "a Unix socket's path has 108 bytes at most"
            await trio.sleep_forever()
    assert not folder.exists()


async def test_where_no_temporary_files_can_be_it_is_in_the_data_folder(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mkdtemp = tempfile.mkdtemp

    def read_only(prefix: str, dir: Path | None = None) -> str:  # noqa: A002  # as in the standard library
        if dir is None:
            raise FileNotFoundError(2, "No usable temporary directory found")
        return mkdtemp(prefix=prefix, dir=dir)

    monkeypatch.setattr(tempfile, "mkdtemp", read_only)
    async with private_folder() as folder:
        assert folder.parent == home
    assert not folder.exists()

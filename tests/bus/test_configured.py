"""ticker/bus/configured.py: the spool that a configuration names."""

from __future__ import annotations

from pathlib import Path

import pytest

from ticker.bus.configured import delayed_engine, engine_of
from ticker.bus.engine import Engine
from ticker.config import Config
from ticker.errors import ConfigError


def followed(config: Config) -> Engine:
    engine = engine_of(config)
    assert engine is not None
    return engine


@pytest.mark.usefixtures("home")
async def test_the_secrets_of_an_address_are_not_in_the_spool() -> None:
    config = Config(follow="wss://user:secret@127.0.0.1:9/?token=secret", delay="15m")
    delayed = delayed_engine(followed(config), config)
    await delayed.open()
    delayed.close()
    other = Config(follow="wss://127.0.0.1:10", delay="15m")
    again = delayed_engine(followed(other), other)
    await again.open()
    again.close()
    assert "127.0.0.1:9" in again.spool.began_anew, "the address is there"
    assert "secret" not in again.spool.began_anew


def test_a_data_folder_that_cannot_be_made_is_named_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("TICKER_HOME", str(tmp_path / "file" / "home"))
    config = Config(follow="wss://127.0.0.1:9", delay="15m")
    with pytest.raises(ConfigError, match=r"file/home for the spool: Not a directory; set TICKER_HOME to one of your"):
        delayed_engine(followed(config), config)

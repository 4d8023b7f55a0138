"""Config files: each is a configuration, or refused in one line that names the file."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import strategies as st

from tests.fuzz import Target
from tests.fuzz.values import DAMAGE, damaged
from ticker.commands.settings import load_config
from ticker.config import Config
from ticker.errors import ConfigError

_KEYS = st.one_of(
    st.sampled_from(
        [
            "listen",
            "feeds",
            "interval_ms",
            "log_format",
            "tls",
            "tokens",
            "origins",
            "drain_seconds",
            "retry_ms",
            "limits",
            "limits.max_symbols",
            "limits.stall_seconds",
            "tls.cert",
            "tokens.key",
            "tokens.algorithm",
        ]
    ),
    st.text(max_size=6).map(lambda text: json.dumps(text, ensure_ascii=False)),
)
_SCALAR = st.one_of(
    st.integers().map(str),
    st.sampled_from(["1e400", "nan", "-inf", "0x" + "f" * 400, "9" * 400, "9" * 5_000, "1e5", "0.5", "100", "true"]),
    st.sampled_from(["1979-05-27", "07:32:00", "1979-05-27T00:32:00.999999-07:00", '"simulated"', '"json"', '"RS256"']),
    st.text(max_size=8).map(lambda text: json.dumps(text, ensure_ascii=False)),
)
_VALUES = st.one_of(
    _SCALAR,
    st.recursive(
        _SCALAR,
        lambda inner: st.one_of(
            st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]"),
            st.tuples(_KEYS, inner).map(lambda pair: f"{{{pair[0]} = {pair[1]}}}"),
        ),
        max_leaves=4,
    ),
    st.tuples(st.sampled_from(["[", "{a=", "[["]), st.integers(1, 3000)).map(lambda pair: pair[0] * pair[1]),
)
_LINES = st.one_of(
    st.tuples(_KEYS, _VALUES).map(" = ".join),
    st.sampled_from(["[limits]", "[tls]", "[tokens]", "[[feeds]]", "[x]", "# what", ""]),
    st.tuples(st.sampled_from(["max_symbols", "stall_seconds", "max_connections", "key", "jwks"]), _VALUES).map(
        " = ".join
    ),
)
CASES = st.one_of(
    st.builds(lambda lines, damage: damaged("\n".join(lines).encode(), damage), st.lists(_LINES, max_size=5), DAMAGE),
    st.binary(max_size=60),
)


def check(content: bytes) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "ticker.toml"
        path.write_bytes(content)
        try:
            config = load_config(path)
        except ConfigError as error:
            refused = str(error)
        else:
            assert isinstance(config, Config)
            return
        assert refused.startswith(f"config {path}: ")
        assert "\n" not in refused


TARGET = Target("config files", CASES, check)

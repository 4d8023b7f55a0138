"""The config file: TOML into `Config`, with errors that name the file, the key and the remedy."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_type_hints

import msgspec

from ticker.config import Config
from ticker.errors import ConfigError

_LARGEST = 2**53
"""Beyond it the arithmetic of limits, other processes and other languages need not follow."""


def load_config(path: Path) -> Config:
    """Read a config file. Raises `ConfigError` for a file, a key or a value that cannot be used."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"config {path}: {error.strerror}; give a readable file with --config") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"config {path}: not UTF-8 text: {error}") from None
    try:
        content = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # some for huge numbers or deep nesting
        raise ConfigError(f"config {path}: not TOML: {error}") from None
    for problem in (*_unknown_keys(content, Config, ""), *_too_large(content)):
        raise ConfigError(f"config {path}: {problem}")
    try:
        return msgspec.convert(content, Config)
    except (msgspec.ValidationError, ConfigError) as error:
        raise ConfigError(f"config {path}: {error}") from None


def _unknown_keys(content: Mapping[str, Any], shape: type, where: str) -> Iterator[str]:
    """Yield a message for each key that is no field of `shape`, in nested tables too."""
    assert is_dataclass(shape)  # noqa: S101  # for the type checker
    hints = get_type_hints(shape)
    known = [each.name for each in fields(shape)]
    for key, value in content.items():
        if key not in known:
            near = get_close_matches(key, known, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"
            yield f"unknown key {where + key!r}; {hint}"
        elif isinstance(value, dict) and is_dataclass(hints[key]):
            yield from _unknown_keys(value, hints[key], f"{where}{key}.")


def _too_large(content: Mapping[str, Any], where: str = "") -> Iterator[str]:
    """Yield a message for each integer that is too large for anything, in nested tables too."""
    for key, value in content.items():
        if isinstance(value, dict):
            yield from _too_large(value, f"{where}{key}.")
        elif isinstance(value, int) and value > _LARGEST:
            yield f"{where}{key}: give a number of at most {_LARGEST}"

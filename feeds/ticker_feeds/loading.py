"""From a feed spec to a feed: `NAME?option=value&option=value`.

NAME is one of

- a feed that comes with the service: `simulated`, `replay`, `jsonl`, `udp`, `coinbase`, `kraken`, `binance`;
- an entry point of the group `ticker.feeds`, so that any installed package can offer a feed under a short name;
- `package.module:Class`, looked up as `python -m` would: in the current directory too.

Options are percent-decoded as in URLs, except that `+` stays a plus. Each is matched to a keyword-only parameter of the
class's `__init__` and converted by its annotation: `str`, `int`, `float` (finite), `bool` (true/false, yes/no, 1/0), or
one of these `| None`.
"""

from __future__ import annotations

import importlib
import inspect
import math
import re
import sys
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from types import ModuleType, NoneType, UnionType
from typing import Any, NamedTuple, Union, cast, get_args, get_origin
from urllib.parse import unquote

from ticker.errors import ConfigError
from ticker.texts import without_passwords
from ticker_feeds import Feed

GROUP = "ticker.feeds"
"""The entry points that name feeds of installed packages."""

BUILT_IN: Mapping[str, str] = {
    "simulated": "ticker_feeds.simulation:Simulated",
    "replay": "ticker_feeds.recordings:Replay",
    "jsonl": "ticker_feeds.lines:JsonLines",
    "udp": "ticker_feeds.lines:Udp",
    "coinbase": "ticker_feeds.venues.coinbase:Coinbase",
    "kraken": "ticker_feeds.venues.kraken:Kraken",
    "binance": "ticker_feeds.venues.binance:Binance",
}
"""The feeds that come with the service, which pyproject.toml declares as entry points as well. No other can take their
names, and they are there in a source tree that was never installed."""

_SECRET = re.compile(r"(?i)([?&][^=&]*(?:key|secret|token|pass|pwd|auth)[^=&]*=|//[^/@?&]*:(?=[^/?&]*@))([^&@]*)")
"""The value of an option that is called after a secret, and the password in a URL."""
_IN_MODULE = re.compile(r"([\w.]+):(\w+)")
_BOOLEANS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def load_feed(spec: str) -> Feed:
    """The feed that a spec names, made with the spec's options.

    Raises `ConfigError`, one line that names the spec, for a feed that cannot be found or imported, for options that
    are unknown, missing, given twice or of the wrong type, and for values that the feed's own `__init__` refuses.
    """
    name, _, query = spec.partition("?")
    try:
        make = find_feed(name)
        return make(**_options(make, query))
    except (ConfigError, ValueError) as error:
        raise _refused(spec, str(error)) from error
    except Exception as error:  # a feed's own __init__ is somebody's code: it can fail in any way
        raise _refused(spec, f"its __init__ failed: {type(error).__name__}: {error}") from error


def without_secrets(spec: str) -> str:
    """A spec as logs and metrics may show it: no value of an option that is called after a key, secret or the like."""
    name, mark, query = spec.partition("?")
    return name + mark + "&".join(_option_without_secrets(option) for option in query.split("&"))


def _option_without_secrets(option: str) -> str:
    key, mark, value = option.partition("=")
    plain = unquote(value)  # a URL may be percent-encoded as a whole
    hidden = without_passwords(plain)
    return _SECRET.sub(r"\1***", f"?{key}{mark}{hidden if hidden != plain else value}")[1:]


def _refused(spec: str, text: str) -> ConfigError:
    """Return the error of a spec, in one line that shows no secret of it either."""
    line = without_passwords(" ".join(text.split()))
    for found in _SECRET.finditer(spec):
        secret = unquote(found[2])
        # A short one can stand in other words as well: only where it is quoted it is surely meant.
        line = line.replace(secret if len(secret) > 3 else repr(secret), "***")
    return ConfigError(f"feed {without_secrets(spec)!r}: {line}")


class Offer(NamedTuple):
    """An installed feed, from an entry point or the table of built-in feeds."""

    name: str
    target: str
    """Where its class is, `package.module:Class`."""
    package: str
    """Which installed package offers it, with the version; empty for a built-in feed."""
    error: str | None = None
    """Why the name does not stand for it."""


def offers() -> list[Offer]:
    """All feeds that are installed, by name; nothing is imported, and a broken one concerns no other."""
    found = [Offer(name, target, "") for name, target in BUILT_IN.items()]
    taken = dict.fromkeys(BUILT_IN, "the service itself")
    # A folder that is on the path twice has its packages found twice.
    for offer in dict.fromkeys(offer for package in metadata.distributions() for offer in _offers_of(package)):
        if BUILT_IN.get(offer.name) == offer.target:
            continue
        if offer.error is None and offer.name in taken:
            cause = f"{taken[offer.name]} offers a feed of that name; this one goes by {offer.target}"
            found.append(offer._replace(error=cause))
            continue
        if offer.error is None:
            taken[offer.name] = offer.package
        found.append(offer)
    return sorted(found, key=lambda offer: (offer.name, offer.error is not None))


def _offers_of(package: metadata.Distribution) -> list[Offer]:
    # That it has any is seen in a fraction of the time that it takes to parse the files of all packages.
    if GROUP not in (package.read_text("entry_points.txt") or ""):
        return []
    title = f"{package.name} {package.version}"
    try:
        return [Offer(each.name, each.value, title) for each in package.entry_points.select(group=GROUP)]
    except Exception as error:  # noqa: BLE001  # any text may stand there
        return [Offer(package.name, "", title, f"its entry_points.txt cannot be read: {type(error).__name__}: {error}")]


def find_feed(name: str) -> Callable[..., Feed]:
    """The class that a spec's NAME stands for. Raises `ConfigError`."""
    in_module = _IN_MODULE.fullmatch(BUILT_IN.get(name, name))
    if in_module is not None:
        if name not in BUILT_IN and not {"", str(Path.cwd())} & set(sys.path):
            sys.path.insert(0, str(Path.cwd()))
        return _from_module(in_module[1], in_module[2])
    installed = {offer.name: offer for offer in offers() if offer.error is None}
    if name in installed:
        target = installed[name].target
        in_module = _IN_MODULE.fullmatch(target.partition("[")[0].strip())
        if in_module is None:
            raise ConfigError(f"its package offers {target!r}, which is not package.module:Class")
        return _from_module(in_module[1], in_module[2])
    known = ", ".join(sorted(installed))
    raise ConfigError(f"there is no feed {name!r}; give one of {known}, or package.module:Class")


def _from_module(module_name: str, class_name: str) -> Callable[..., Feed]:
    try:
        module = importlib.import_module(module_name)
    except (
        Exception,
        SystemExit,
    ) as error:  # it is somebody's code and can fail in any way
        raise ConfigError(f"cannot import the module {module_name}: {type(error).__name__}: {error}") from error
    found = getattr(module, class_name, None)
    if not inspect.isclass(found):
        raise ConfigError(f"the module {module_name} has no class {class_name}; {_offer(module)}")
    if not _runs(found):
        raise ConfigError(f"{module_name}:{class_name} is no feed: it has no method run(updates); {_offer(module)}")
    return cast("Callable[..., Feed]", found)


def _offer(module: ModuleType) -> str:
    names = sorted(name for name, value in vars(module).items() if inspect.isclass(value) and _runs(value))
    return f"its feeds are {', '.join(names)}" if names else "it has no feeds"


def _runs(found: type) -> bool:
    return callable(getattr(found, "run", None))


def _options(make: Callable[..., Feed], query: str) -> dict[str, object]:
    """The spec's options as keyword arguments."""
    accepted = parameters(make)
    listed = ", ".join(f"{name}: {inspect.formatannotation(each.annotation)}" for name, each in accepted.items())
    offer = f"its options are {listed}" if listed else "it has no options"
    given: dict[str, object] = {}
    for part in query.split("&") if query else ():
        key, equals, text = part.partition("=")
        if not equals:
            raise ConfigError(f"{part!r} is not option=value; {offer}")
        if key not in accepted:
            raise ConfigError(f"there is no option {key!r}; {offer}")
        if key in given:
            raise ConfigError(f"the option {key!r} is given twice")
        given[key] = _converted(key, text, accepted[key].annotation)
    for name, each in accepted.items():
        if each.default is each.empty and name not in given:
            raise ConfigError(f"the option {name!r} is missing; {offer}")
    return given


def parameters(make: Callable[..., Feed]) -> dict[str, inspect.Parameter]:
    """The options that a feed's class takes. Raises `ConfigError`."""
    try:
        parameters = inspect.signature(make, eval_str=True).parameters.values()
    except Exception as error:  # annotations are somebody's code as well
        raise ConfigError(f"cannot read the options' annotations: {type(error).__name__}: {error}") from error
    for each in parameters:
        if each.kind in {each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD} and each.default is each.empty:
            raise ConfigError(f"its __init__ takes {each.name!r} by position; options are keyword-only, after a *")
    return {each.name: each for each in parameters if each.kind is each.KEYWORD_ONLY}


def _converted(key: str, encoded: str, annotation: object) -> object:
    """An option's text as the type that its parameter asks for."""
    wanted = annotation
    if get_origin(annotation) in {Union, UnionType}:
        others = [each for each in get_args(annotation) if each is not NoneType]
        wanted = others[0] if len(others) == 1 else annotation
    if wanted not in _CONVERSIONS:
        shown = inspect.formatannotation(annotation)
        raise ConfigError(f"the option {key!r} is declared as {shown}; a spec can give str, int, float and bool")
    convert, expected = _CONVERSIONS[wanted]
    try:
        return convert(unquote(encoded, errors="strict"))
    except (ValueError, KeyError):
        raise ConfigError(f"the option {key!r} takes {expected}, not {encoded!r}") from None


def _boolean(text: str) -> bool:
    return _BOOLEANS[text.lower()]


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError
    return number


_CONVERSIONS: Mapping[Any, tuple[Callable[[str], object], str]] = {
    str: (str, "UTF-8 text (str)"),
    int: (int, "a whole number (int)"),
    float: (_finite, "a number (float)"),
    bool: (_boolean, "true or false (bool)"),
}

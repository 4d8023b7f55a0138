"""ticker_feeds/loading.py: feed specs, and the errors of impossible ones."""

from __future__ import annotations

import inspect
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from ticker.errors import ConfigError
from ticker_feeds.loading import BUILT_IN, find_feed, load_feed, offers, without_secrets
from ticker_feeds.recordings import Replay
from ticker_feeds.simulation import Simulated

MODULE = '''
from __future__ import annotations
from typing import Optional
from ticker.errors import ConfigError


class Venue:
    """A feed with an option of every type."""

    def __init__(
        self, *, url: str, depth: int = 10, pause: float = 0.5, raw: bool = False, limit: int | None = None,
        note: Optional[str] = None, extra: list[str] | None = None,
    ) -> None:
        self.options = (url, depth, pause, raw, limit, note)

    async def run(self, updates) -> None: ...


class Plain:
    async def run(self, updates) -> None: ...


class Fussy:
    def __init__(self, *, kind: str = "none") -> None:
        if kind == "config":
            raise ConfigError("the venue is closed")
        if kind == "value":
            raise ValueError("first line\\nsecond line")
        raise RuntimeError("a bug")

    async def run(self, updates) -> None: ...


class ByPosition:
    def __init__(self, url: str) -> None: ...

    async def run(self, updates) -> None: ...


class Unresolved:
    def __init__(self, *, url: Nowhere) -> None: ...

    async def run(self, updates) -> None: ...


class NoFeed:
    pass


not_a_class = 1
'''


@pytest.fixture
def venue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module of the current directory, by its name."""
    name = f"venue_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [each for each in sys.path if each])
    return name


def loaded(spec: str) -> Any:  # noqa: ANN401 - a feed of any class, to look inside
    return load_feed(spec)


def refusal(spec: str) -> str:
    """The text with which a spec is refused: one line that begins with the spec."""
    with pytest.raises(ConfigError) as caught:
        load_feed(spec)
    text = str(caught.value)
    assert text.startswith(f"feed {spec!r}: ")
    assert "\n" not in text
    return text


def test_a_built_in_feed_goes_by_its_name() -> None:
    assert isinstance(load_feed("simulated"), Simulated)


def test_options_are_given_as_in_a_url(tmp_path: Path) -> None:
    path = tmp_path / "day.csv"
    path.write_text("symbol,time,bid\n")
    assert isinstance(load_feed(f"replay?path={path}&speed=2.5&loop=true"), Replay)
    feed = loaded("simulated?symbols=ABC,DEF&rate=1e3&seed=-7")
    assert (feed.symbols, feed.rate, feed.seed) == (["ABC", "DEF"], 1000.0, -7)


def test_a_class_of_a_module_in_the_current_directory_is_found(venue: str) -> None:
    feed = loaded(f"{venue}:Venue?url=x")
    assert feed.options == ("x", 10, 0.5, False, None, None)
    assert type(loaded(f"{venue}:Plain")).__name__ == "Plain"


def test_every_option_becomes_the_type_of_its_parameter(venue: str) -> None:
    feed = loaded(f"{venue}:Venue?url=u&depth=5&pause=2&raw=yes&limit=3&note=n")
    assert feed.options == ("u", 5, 2.0, True, 3, "n")
    assert [type(each) for each in feed.options] == [str, int, float, bool, int, str]


@pytest.mark.parametrize(
    ("text", "value"), [("true", True), ("1", True), ("Yes", True), ("false", False), ("0", False), ("no", False)]
)
def test_booleans_are_words_or_digits(venue: str, text: str, *, value: bool) -> None:
    assert loaded(f"{venue}:Venue?url=u&raw={text}").options[3] is value


def test_values_are_percent_decoded_and_a_plus_stays_a_plus(venue: str) -> None:
    assert loaded(f"{venue}:Venue?url=wss://a/b?c=1%262+3%20%C3%A9").options[0] == "wss://a/b?c=1&2+3 é"


def install(name: str, entry_points: str, monkeypatch: pytest.MonkeyPatch, folder: str = ".") -> None:
    """A package, as pip leaves it in a folder of the current directory."""
    info = Path(folder, f"{name}-1.0.dist-info")
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(entry_points)
    monkeypatch.syspath_prepend(str(Path(folder).absolute()))


def test_an_installed_package_offers_a_feed_under_a_short_name(venue: str, monkeypatch: pytest.MonkeyPatch) -> None:
    install("venue", f"[ticker.feeds]\nshort = {venue}:Venue\nreplay = {venue}:Plain\n", monkeypatch)
    assert loaded("short?url=u").options[0] == "u"
    assert "simulated, udp" in refusal("shirt")
    assert "short" in refusal("shirt")
    assert "'path' is missing" in refusal("replay")


def test_a_broken_entry_point_of_somebody_else_breaks_no_other_feed(
    venue: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("good", f"[ticker.feeds]\ngood = {venue}:Plain\n", monkeypatch)
    install("gone", "[ticker.feeds]\ngone = no.such.module:Feed\nodd = ::\n", monkeypatch)
    install("torn", "[ticker.feeds]\nthis line has no equals sign\n", monkeypatch)
    assert type(loaded("good")).__name__ == "Plain"
    assert "cannot import the module no.such.module" in refusal("gone")
    assert "which is not package.module:Class" in refusal("odd")
    torn = next(offer for offer in offers() if offer.package == "torn 1.0")
    assert "its entry_points.txt cannot be read" in str(torn.error)
    assert isinstance(load_feed("simulated"), Simulated)


def test_a_name_belongs_to_the_service_or_else_to_the_first_package(
    venue: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("late", f"[ticker.feeds]\nsimulated = {venue}:Plain\nshort = {venue}:Fussy\n", monkeypatch)
    install("soon", f"[ticker.feeds]\nshort = {venue}:Plain\n", monkeypatch, "first")
    assert isinstance(load_feed("simulated"), Simulated)
    assert type(loaded("short")).__name__ == "Plain"
    refused = {offer.name: offer for offer in offers() if offer.error is not None}
    assert refused.keys() == {"simulated", "short"}
    assert {offer.package for offer in refused.values()} == {"late 1.0"}
    assert "the service itself offers a feed of that name" in str(refused["simulated"].error)
    assert f"soon 1.0 offers a feed of that name; this one goes by {venue}:Fussy" in str(refused["short"].error)


def test_pyproject_declares_the_feeds_that_come_with_the_service() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    assert project["entry-points"]["ticker.feeds"] == BUILT_IN
    assert all(inspect.isclass(find_feed(name)) for name in BUILT_IN)


def test_a_module_that_ends_the_program_is_only_refused(venue: str) -> None:
    Path(f"{venue}_ends.py").write_text("raise SystemExit(3)\n")
    assert f"cannot import the module {venue}_ends: SystemExit: 3" in refusal(f"{venue}_ends:Feed")


def test_an_unknown_name_is_told_the_names_there_are() -> None:
    text = refusal("simulatde?rate=1")
    assert "'simulatde'" in text
    assert "replay, simulated" in text
    assert "package.module:Class" in text


def test_an_unknown_option_is_told_the_options_with_their_types(venue: str) -> None:
    assert (
        "its options are symbols: str | None, rate: float, seed: int, depth: int, past: int, faults: bool | None"
        in refusal("simulated?speed=1")
    )
    assert "limit: int | None" in refusal(f"{venue}:Venue?uri=x")
    assert "it has no options" in refusal(f"{venue}:Plain?url=x")


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ("depth=ten", "'depth' takes a whole number (int), not 'ten'"),
        ("depth=1.5", "'depth' takes a whole number (int), not '1.5'"),
        ("limit=", "'limit' takes a whole number (int), not ''"),
        ("pause=nan", "'pause' takes a number (float), not 'nan'"),
        ("pause=x", "'pause' takes a number (float), not 'x'"),
        ("raw=maybe", "'raw' takes true or false (bool), not 'maybe'"),
        ("note=%ff", "'note' takes UTF-8 text (str), not '%ff'"),
        ("extra=a", "'extra' is declared as list[str] | None; a spec can give str, int, float and bool"),
    ],
)
def test_a_value_that_does_not_convert_names_the_option_and_the_type(venue: str, option: str, expected: str) -> None:
    assert expected in refusal(f"{venue}:Venue?url=u&{option}")


def test_a_required_option_cannot_be_left_out(venue: str) -> None:
    text = refusal(f"{venue}:Venue?depth=5")
    assert "'url' is missing" in text
    assert "url: str" in text


def test_an_option_cannot_be_given_twice() -> None:
    assert "'rate' is given twice" in refusal("simulated?rate=1&seed=2&rate=3")


def test_an_option_has_a_value() -> None:
    assert "'rate' is not option=value" in refusal("simulated?rate")
    assert "'' is not option=value" in refusal("simulated?rate=1&")


def test_a_module_that_cannot_be_imported_is_named(venue: str) -> None:
    assert "cannot import the module nowhere.at_all: ModuleNotFoundError" in refusal("nowhere.at_all:Feed")
    Path(f"{venue}_broken.py").write_text("1 +\n")
    assert f"cannot import the module {venue}_broken: SyntaxError" in refusal(f"{venue}_broken:Feed")


def test_a_class_that_is_not_there_is_told_the_feeds_that_are(venue: str) -> None:
    feeds = "its feeds are ByPosition, Fussy, Plain, Unresolved, Venue"
    assert f"has no class Vanue; {feeds}" in refusal(f"{venue}:Vanue")
    assert f"has no class not_a_class; {feeds}" in refusal(f"{venue}:not_a_class")
    assert "it has no feeds" in refusal("json.scanner:Feed")


def test_a_class_without_run_is_no_feed(venue: str) -> None:
    assert "it has no method run(updates)" in refusal(f"{venue}:NoFeed")


def test_options_have_to_be_keyword_only_and_their_annotations_readable(venue: str) -> None:
    assert "'url' by position" in refusal(f"{venue}:ByPosition?url=x")
    assert "annotations: NameError: name 'Nowhere'" in refusal(f"{venue}:Unresolved?url=x")


def test_what_a_feed_refuses_itself_is_told_in_one_line(venue: str) -> None:
    assert refusal(f"{venue}:Fussy?kind=config").endswith(": the venue is closed")
    assert refusal(f"{venue}:Fussy?kind=value").endswith(": first line second line")
    assert "rate 0.0" in refusal("simulated?rate=0")


def test_a_bug_in_a_feed_s_init_is_told_in_one_line_too(venue: str) -> None:
    assert refusal(f"{venue}:Fussy").endswith("its __init__ failed: RuntimeError: a bug")


@pytest.mark.parametrize(
    ("spec", "shown"),
    [
        ("v?api_key=abc&depth=5&SECRET=x%26y", "v?api_key=***&depth=5&SECRET=***"),
        ("v?depth=5&token=a=b&password=", "v?depth=5&token=***&password=***"),
        ("v?passphrase=a&pwd=b&auth=c", "v?passphrase=***&pwd=***&auth=***"),
        ("v?url=wss://me:pw@host/x&depth=5", "v?url=wss://me:***@host/x&depth=5"),
        ("v?url=wss://host:443/x", "v?url=wss://host:443/x"),
        ("v?url=wss%3A%2F%2Fme%3Apw%40host%2Fx&depth=5", "v?url=wss://me:***@host/x&depth=5"),
        ("v?url=wss://pw@host/x", "v?url=wss://***@host/x"),
        ("v?url=wss://host/x?listen=pw", "v?url=wss://host/x?***"),
        ("token:Key?symbols=KEY=1,token", "token:Key?symbols=KEY=1,token"),
        ("secret", "secret"),
    ],
)
def test_secrets_of_a_spec_are_not_shown(spec: str, shown: str) -> None:
    assert without_secrets(spec) == shown


@pytest.mark.parametrize(
    "spec",
    [
        "simulated?token=SEKRIT&rate=-1",
        "Keyed?key=SEKRIT",
        "Telling?key=SEK%52IT",
        "coinbase?symbols=A&url=ws%3A%2F%2Fme%3ASEKRIT%40host",
    ],
)
def test_an_error_shows_no_secret(spec: str) -> None:
    module = "" if spec.startswith(("simulated", "coinbase")) else f"{__name__}:"
    with pytest.raises(ConfigError) as refused:
        load_feed(module + spec)
    assert "SEKRIT" not in str(refused.value)


class Keyed:
    def __init__(self, *, key: int) -> None:
        """An option of another type than the given value."""

    async def run(self, updates: object) -> None:
        """Never called."""


class Telling(Keyed):
    def __init__(self, *, key: str) -> None:
        raise ValueError(f"the key {key} is no good")

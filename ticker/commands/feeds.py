"""`ticker feeds`: the installed feeds with their options, and a check of one feed."""

from __future__ import annotations

import math
import textwrap
from functools import partial

import trio
from cyclopts import App

from ticker.commands.feed_report import FeedReport
from ticker.commands.logs import configure_logging
from ticker.commands.signals import on_stop_signal
from ticker.config import Limits
from ticker.errors import ConfigError, sole
from ticker.net.clocks import wall_clock
from ticker.server.feed_channel import FeedChannel, FeedMessage, FeedState
from ticker.texts import printable, shown
from ticker_feeds import Feed
from ticker_feeds.attributes import attributes_of, counts_in
from ticker_feeds.catalogue import Option, describe
from ticker_feeds.loading import BUILT_IN, Offer, find_feed, load_feed, offers, without_secrets

_WIDTH = 100

feeds_app = App(
    name="feeds",
    help="List the installed feeds with their options, or check one feed.",
    help_format="plaintext",
    backend="trio",
    result_action="return_value",
)


@feeds_app.default
def installed(*names: str) -> None:
    """List the installed feeds with their options.

    Parameters
    ----------
    names
        Feeds to list: names of installed feeds, or package.module:Class. [default: all installed]
    """
    listed = offers()
    if names:
        known = {offer.name for offer in listed}
        others = [Offer(name, name, "") for name in names if name not in known]
        for other in others:
            find_feed(other.name)
        listed = [offer for offer in listed if offer.name in names] + others
    # Names and docstrings are those of installed packages.
    print("\n".join(printable(line) for offer in listed for line in [*_entry(offer).split("\n"), ""]).rstrip("\n"))


@feeds_app.command
async def check(spec: str, *, seconds: float = 10.0) -> int:
    """Run a feed for some seconds, and report on its publications.

    The report has the numbers of instruments and updates, of order books, trades and candles, the coverage of
    fields, odd values (bid above ask, a crossed book, negative values, times that step backwards, jumps),
    publications that the service would refuse, and the feed's own counters.

    Exit code 1 if the feed failed, a publication was refused, or no update came. Ctrl-C ends the check early.

    Parameters
    ----------
    spec
        The feed: NAME?option=value&option=value, as for `ticker serve --feed`.
    seconds
        Length of the check in seconds; it ends earlier if the feed ends by itself.
    """
    if not 0 < seconds < math.inf:
        raise ConfigError(f"--seconds {seconds}: give a number above 0")
    configure_logging("console")
    feed = load_feed(spec)
    try:
        attributes = attributes_of(feed)
    except ConfigError as error:
        raise ConfigError(f"feed {without_secrets(spec)}: {error}") from None
    report = FeedReport()
    began = trio.current_time()
    end = await run_for(feed, seconds, report)
    elapsed = trio.current_time() - began
    report.finish(elapsed, attributes.silence_seconds)
    print(f"{'feed':<12} {without_secrets(spec)}")
    print(f"{'run':<12} {end or 'went on to the end of the check'}")
    print("\n".join(report.lines(elapsed, counts_in(attributes.counters))))
    return int(
        bool(report.refused.counts or not (report.updates or report.tables.live) or (end is not None and end != ENDED))
    )


ENDED = "ended by itself"


async def run_for(feed: Feed, seconds: float, report: FeedReport) -> str | None:
    """Run a feed once, for at most `seconds`. Return how it ended, or None if it was still running."""
    sending, receiving = trio.open_memory_channel[FeedMessage](Limits().feed_queue)
    end: str | None = None
    began = trio.current_time()
    with trio.move_on_after(seconds) as scope:
        async with on_stop_signal(scope.cancel), trio.open_nursery() as nursery:
            nursery.start_soon(_receive, receiving, began, report)
            with sending:
                end = await _run_to_its_end(feed, FeedChannel(FeedState("check"), sending, Limits().max_batch))
    return end


async def _receive(receiving: trio.MemoryReceiveChannel[FeedMessage], began: float, report: FeedReport) -> None:
    with receiving:
        async for _, item in receiving:
            report.add(item, trio.current_time() - began, wall_clock())


async def _run_to_its_end(feed: Feed, channel: FeedChannel) -> str:
    try:
        await feed.run(channel)
    except (Exception, SystemExit) as error:  # noqa: BLE001  # a feed's own code can raise anything; the report shows it
        only = sole(error)
        return f"raised {type(only).__name__}: {shown(only)}"
    return ENDED


def _entry(offer: Offer) -> str:
    """Return the text on one feed: package, summary, options."""
    origin = offer.package or ("comes with Ticker" if offer.name in BUILT_IN else "not installed under a name")
    head = f"{offer.name}  ({origin}, {offer.target})"
    if offer.error is not None:
        return f"{head}\n{_indented(f'cannot be used: {offer.error}')}"
    try:
        summary, options = describe(find_feed(offer.name))
    except ConfigError as error:
        return f"{head}\n{_indented(f'cannot be used: {error}')}"
    parts = [head]
    if summary:
        parts.append(_indented(summary))
    for option in options:
        parts.append(f"    {option.name}: {option.kind} ({_default(option)})")
        if option.text:
            parts.append(_indented(option.text, 8))
    return "\n".join(parts)


def _default(option: Option) -> str:
    if option.default is None:
        return "must be given"
    return "may be left out" if option.default in {"None", ""} else f"default: {option.default}"


def _indented(text: str, places: int = 4) -> str:
    wrap = partial(textwrap.fill, width=_WIDTH, break_on_hyphens=False, break_long_words=False)
    return wrap(" ".join(text.split()), initial_indent=" " * places, subsequent_indent=" " * places)

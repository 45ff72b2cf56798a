"""From the text a person types to the feed it names."""

import time
from collections.abc import Callable
from urllib.parse import parse_qsl

from feeds import limits, sim
from feeds.capture import open_capture
from feeds.live import open_live
from feeds.table import open_table
from headrace.errors import FeedError
from headrace.feed import Feed, FeedOptions

_FORMS = "capture:PATH[,PATH…], table:PATH[,PATH…][?map=FILE.toml], live:VENUE:SYM[,SYM…], sim[:N]"


def open_feed(text: str, options: FeedOptions, *, now_ns: Callable[[], int] = time.time_ns) -> Feed:
    """Return the feed that `text` names; see docs/feeds.md for every form and option.

    `now_ns` is the wall clock: the receive time of live frames, the start of a simulated market.
    Raises:  FeedError if the text has no such form, or what it names cannot be read or reached.
    """
    if len(text) > limits.TEXT_CHARACTERS_MAX:
        raise FeedError(
            f"feed {text[:80]}…: expected at most {limits.TEXT_CHARACTERS_MAX} characters, found "
            f"{len(text)}; name a directory instead of its files"
        )
    kind, _, rest = text.partition(":")
    if text.partition("?")[0] == "sim":
        kind, rest = "sim", text.removeprefix("sim")
    if options.repeat < 1:
        raise FeedError(f"feed {text}: expected --repeat of at least 1, found {options.repeat}")
    if kind == "capture":
        return open_capture(rest, options)
    if kind == "table":
        body, choices = split_choices(rest, feed=text, known=frozenset(("map",)))
        return open_table(body, choices.get("map"), options)
    if kind in {"live", "sim"} and options.repeat > 1:
        raise FeedError(
            f"feed {text}: expected a recording to repeat, found an endless feed; "
            "leave --repeat away, or record it first and repeat the capture"
        )
    if kind == "live":
        return open_live(rest, options)
    if kind == "sim":
        body, choices = split_choices(rest, feed=text, known=sim.CHOICES)
        return sim.open_sim(body, choices, options, now_ns)
    raise FeedError(f"feed {text!r}: expected one of {_FORMS}; found the kind {kind!r}")


def split_choices(text: str, *, feed: str, known: frozenset[str]) -> tuple[str, dict[str, str]]:
    """Return what stands before `?` and the `name=value&…` behind it.

    Raises:  FeedError for a name that is not in `known`, or given twice.
    """
    body, _, query = text.partition("?")
    choices: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name not in known or name in choices:
            found = "again" if name in choices else "an unknown one"
            raise FeedError(
                f"feed {feed}: option {name!r}: expected each of {', '.join(sorted(known))} at "
                f"most once, found {found}"
            )
        choices[name] = value
    return body, choices

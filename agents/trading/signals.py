"""Which signals were acted on: the last of each strategy in each stream, in bounded memory."""

from enum import Enum

import msgspec

from agents.trading.pages import Box, PagedMap, Section

STREAMS_MAX = 512
"""Streams of an account that are remembered: a name, a time and its strategies, 16 pages of at most
10 KB. Beyond it the one whose clock is furthest behind is forgotten."""

STRATEGIES_MAX = 8
"""Strategies that may trade one stream for one account."""

STREAM_PAGES = 16


class Stream(msgspec.Struct, array_like=True):
    """The latest time known of a stream, and the last signal of each strategy in it."""

    clock_ns: int = 0
    sequences: dict[str, int] = msgspec.field(default_factory=dict)


class Standing(Enum):
    """What a signal is to those before it."""

    NEW = "new"
    REPEATED = "repeated"
    FORGOTTEN = "forgotten"
    """Its stream is unknown, and it is no later than one that was forgotten: perhaps a repeat."""
    CROWDED = "crowded"
    """Its stream has as many strategies as it may."""


class SignalLog:
    """The signals of an account.

    Records of a key come in order, so of a stream and strategy that is known a signal at or below
    the last is a repeat, however old. Of one that was forgotten, none is later than
    `forgotten_ns`: only what is later may be acted on.
    """

    def __init__(self) -> None:
        self._forgotten = Box(int, 0)
        self._streams = PagedMap(Stream, STREAM_PAGES)

    @property
    def sections(self) -> tuple[Section, ...]:
        """Return the sections, in the order of their pages."""
        return (self._forgotten, self._streams)

    @property
    def forgotten_ns(self) -> int:
        """Return the latest time of any stream that was forgotten, or 0."""
        return self._forgotten.read()

    def last(self, stream: str, strategy: str) -> int:
        """Return the last signal of a strategy in a stream, or 0."""
        found = self._streams.read(stream)
        return 0 if found is None else found.sequences.get(strategy, 0)

    def clock_ns(self, stream: str) -> int:
        """Return the latest time known of a stream, or 0."""
        found = self._streams.read(stream)
        return 0 if found is None else found.clock_ns

    def judge(self, stream: str, strategy: str, sequence: int, time_ns: int) -> Standing:
        """Say what a signal is to those before it; nothing is changed."""
        found = self._streams.read(stream)
        if found is None:
            forgotten_ns = self.forgotten_ns
            is_later = forgotten_ns == 0 or time_ns > forgotten_ns
            return Standing.NEW if is_later else Standing.FORGOTTEN
        last = found.sequences.get(strategy)
        if last is None:
            full = len(found.sequences) >= STRATEGIES_MAX
            return Standing.CROWDED if full else Standing.NEW
        return Standing.NEW if sequence > last else Standing.REPEATED

    def note(self, stream: str, strategy: str, sequence: int, time_ns: int) -> None:
        """Remember a new signal; beyond the limit the stream furthest behind is forgotten."""
        if stream not in self._streams and len(self._streams) >= STREAMS_MAX:
            oldest, found = min(self._streams.items(), key=lambda item: (item[1].clock_ns, item[0]))
            self._streams.remove(oldest)
            if found.clock_ns > self.forgotten_ns:
                self._forgotten.put(found.clock_ns)
        held = self._streams.edit_or_add(stream, Stream)
        held.sequences[strategy] = sequence
        held.clock_ns = max(held.clock_ns, time_ns)

    def advance(self, stream: str, time_ns: int) -> None:
        """Move a stream's clock on, if the stream is known."""
        found = self._streams.read(stream)
        if found is not None and found.clock_ns < time_ns:
            self._streams.edit_or_add(stream, Stream).clock_ns = time_ns

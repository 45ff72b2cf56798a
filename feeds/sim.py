"""A seeded market of several instruments as a feed: no network, no files, never the same twice."""

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from feeds import limits
from feeds.plain import VENUE
from feeds.sim_market import SimulatedMarket
from headrace import limits as engine_limits
from headrace.errors import FeedError
from headrace.feed import FeedOptions, FeedTally, FrameBlock

CHOICES = frozenset(("seed", "events", "start", "rate"))
_EVENTS_PER_S_DEFAULT = 40.0
_EVENTS_PER_S_MAX = 10_000.0


@dataclass(frozen=True, slots=True)
class SimSettings:
    """What makes one simulated market: the same settings, the same frames.

    `events_max` None is endless. `start_ns` is the receive time at which the market opens.
    `events_per_s` is the mean rate of one instrument. `goes_on` numbers frames after those of
    earlier runs, as a live market does, instead of leaving out what they have sent.
    """

    symbols: tuple[str, ...]
    seed: int
    events_max: int | None
    start_ns: int
    events_per_s: float = _EVENTS_PER_S_DEFAULT
    goes_on: bool = False


def open_sim(
    instruments: str, choices: dict[str, str], options: FeedOptions, now_ns: Callable[[], int]
) -> "SimFeed":
    """Return the simulated market that `sim:INSTRUMENTS?choices` names.

    Without `start` it opens at `now_ns` and goes on where earlier runs of it ended.
    Raises:  FeedError if a number is none or out of bounds.
    """
    count = int(
        _number(
            "instruments",
            instruments or str(limits.SIM_INSTRUMENTS_DEFAULT),
            1,
            limits.SIM_INSTRUMENTS_MAX,
        )
    )
    symbols = tuple(f"SIM{index:02d}" for index in range(1, count + 1))
    wanted = {symbol.upper() for symbol in options.symbols}
    unknown = sorted(wanted - set(symbols))
    if unknown:
        raise FeedError(
            f"feed sim: symbols {', '.join(unknown)}: expected some of {', '.join(symbols)}; "
            "name more instruments (sim:N) or other symbols"
        )
    endless = "events" not in choices
    settings = SimSettings(
        tuple(symbol for symbol in symbols if not wanted or symbol in wanted),
        int(_number("seed", choices.get("seed", "1"), 0, 2**63 - 1)),
        None if endless else int(_number("events", choices["events"], 1, 10**15)),
        int(_number("start", choices["start"], 0, 8 * 10**18)) if "start" in choices else now_ns(),
        _number("rate", choices.get("rate", str(_EVENTS_PER_S_DEFAULT)), 0.001, _EVENTS_PER_S_MAX),
        goes_on="start" not in choices,
    )
    return SimFeed(settings)


def _number(name: str, text: str, least: float, most: float) -> float:
    try:
        value = float(text) if name == "rate" else int(text)
    except ValueError:
        value = least - 1
    if not least <= value <= most:
        raise FeedError(
            f"feed sim: {name} {text!r}: expected a number from {least} to {most}; "
            "as in sim:4?seed=7&events=10000"
        )
    return value


class SimFeed:
    """A simulated market as frames; one source an instrument; see `headrace.feed.Feed`."""

    def __init__(self, settings: SimSettings) -> None:
        self.settings = settings
        # the number of events is no part of the name: a longer run goes on where a shorter ended
        start = "" if settings.goes_on else f"-{settings.start_ns}"
        name = f"sim-{settings.seed}{start}-{settings.events_per_s:g}"
        self.identity = f"{name}:{','.join(settings.symbols)}"
        self._source_prefix = name
        self.tally = FeedTally()
        self.counts: dict[str, int] = self.tally.dropped

    def blocks(self, resume_after: dict[str, int]) -> Iterator[FrameBlock]:
        """Yield the market's frames in order of time, as fast as they are asked for."""
        settings = self.settings
        markets = [
            SimulatedMarket(f"sim:{symbol}", f"{settings.seed}:{symbol}", settings.events_per_s)
            for symbol in settings.symbols
        ]
        sources = [f"{self._source_prefix}:{symbol}" for symbol in settings.symbols]
        sent = [resume_after.get(source, 0) for source in sources]
        ingested = [0] * len(sources) if settings.goes_on else sent
        queue = [(market.next_ns, index) for index, market in enumerate(markets)]
        heapq.heapify(queue)
        sequences = list(sent) if settings.goes_on else [0] * len(markets)
        rows: list[tuple[str, int, int, str]] = []
        events = 0
        while settings.events_max is None or events < settings.events_max:
            happens_ns, index = queue[0]
            market = markets[index]
            for payload in market.advance(settings.start_ns):
                sequences[index] += 1
                self.tally.lines_read += 1
                if sequences[index] > ingested[index]:
                    time_ns = settings.start_ns + happens_ns
                    rows.append((sources[index], sequences[index], time_ns, payload))
                else:
                    self.tally.dropped["already_ingested"] += 1
            heapq.heapreplace(queue, (market.next_ns, index))
            events += 1
            if len(rows) >= limits.SIM_BLOCK_FRAMES:
                yield from self._blocks_of(rows)
                rows = []
        yield from self._blocks_of(rows)

    def _blocks_of(self, rows: list[tuple[str, int, int, str]]) -> Iterator[FrameBlock]:
        for begin in range(0, len(rows), engine_limits.BATCH_RECORDS_MAX):
            part = rows[begin : begin + engine_limits.BATCH_RECORDS_MAX]
            sources, sequences, times, payloads = zip(*part, strict=True)
            self.tally.frames += len(part)
            yield FrameBlock(
                list(sources),
                [VENUE] * len(part),
                np.array(sequences, np.int64),
                np.array(times, np.int64),
                np.zeros(len(part), np.int64),
                np.zeros(len(part), np.int64),
                list(payloads),
            )

"""Labelled examples from recorded features and quotes: where mid stood one second later."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headrace.batch import FloatArray, IntArray

HORIZON_NS = 1_000_000_000
NEARBY_NS = (250_000_000, 500_000_000, 1_000_000_000, 1_500_000_000)
"""Horizons that direction is learnt from: one second's label alone hangs on where a burst ends."""

FEATURES_TOPIC = "feature.vector.v1"
QUOTES_TOPIC = "market.quote.v1"
TOPICS = (FEATURES_TOPIC, QUOTES_TOPIC)
"""What training and evaluation read, as the very agents of the graph write it."""

DOWN, FLAT, UP = range(3)
OUTCOMES = ("probability_down", "probability_flat", "probability_up")
"""What a model says of each, in this order."""
UNKNOWN = -1


@dataclass(frozen=True)
class Examples:
    """The labelled feature vectors of one instrument, in order of receipt.

    Shapes:  labels and times_ns (n,), nearby (n, len(NEARBY_NS)), n = features.num_rows; a label
             is DOWN, FLAT or UP, one nearby may be UNKNOWN: the recording ends before.
    """

    instrument: str
    features: pa.Table
    labels: IntArray
    nearby: IntArray
    times_ns: IntArray

    def __len__(self) -> int:
        """Return how many examples there are."""
        return len(self.labels)

    def between(self, start: float, end: float) -> "Examples":
        """Return those in this part of the recording's time, as fractions of it.

        The longest horizon before `end` is left out: its labels look beyond.
        """
        first, last = self.times_ns[0], self.times_ns[-1]
        begin_ns, end_ns = (first + int(part * (last - first)) for part in (start, end))
        stop_ns = end_ns - max(NEARBY_NS) if end < 1 else end_ns + 1
        chosen = (self.times_ns >= begin_ns) & (self.times_ns < stop_ns)
        return Examples(
            self.instrument,
            self.features.filter(pa.array(chosen)),
            self.labels[chosen],
            self.nearby[chosen],
            self.times_ns[chosen],
        )


def labelled(tables: Mapping[str, pa.Table]) -> list[Examples]:
    """Return the examples of every instrument that has any.

    The label compares mid of the best quote before the trade with mid of the last quote received
    up to and including one second after it, in whole ticks; equal is FLAT. Left out: trades without
    a valid quote on either end, and those less than a second before the recording ends.
    """
    features, quotes = tables[FEATURES_TOPIC], tables[QUOTES_TOPIC]
    found = []
    for instrument in sorted(pc.unique(features.column("instrument")).to_pylist()):
        mine = features.filter(pc.equal(features.column("instrument"), instrument))
        examples = _label(
            instrument, mine, quotes.filter(pc.equal(quotes.column("instrument"), instrument))
        )
        if len(examples):
            found.append(examples)
    return found


def _label(instrument: str, features: pa.Table, quotes: pa.Table) -> Examples:
    # Two sources of one instrument may overlap: what was last received is what counts.
    quotes = quotes.sort_by("receive_time_ns")
    valid = features.column("quote_valid").to_numpy()
    labels = np.where(valid, directions(features, quotes, HORIZON_NS), UNKNOWN)
    known = labels != UNKNOWN
    nearby = [directions(features, quotes, horizon_ns)[known] for horizon_ns in NEARBY_NS]
    return Examples(
        instrument,
        features.filter(pa.array(known)),
        labels[known],
        np.column_stack(nearby),
        _column(features, "receive_time_ns")[known],
    )


def directions(features: pa.Table, quotes: pa.Table, horizon_ns: int) -> IntArray:
    """Return where mid stood so long after each row of an instrument: DOWN, FLAT, UP or UNKNOWN.

    Both tables are in order of receipt; rows have a receive time, and the quote of that time.
    """
    times, quote_times = _column(features, "receive_time_ns"), _column(quotes, "receive_time_ns")
    if not len(quote_times):
        return np.full(len(times), UNKNOWN)
    bid, ask = _column(quotes, "bid_price_ticks"), _column(quotes, "ask_price_ticks")
    before = _column(features, "bid_price_ticks") + _column(features, "ask_price_ticks")
    later = np.searchsorted(quote_times, times + horizon_ns, side="right") - 1
    known = (later >= 0) & (times + horizon_ns <= max(times[-1], quote_times[-1]))
    later = np.maximum(later, 0)
    known &= (bid[later] <= ask[later]) & (bid[later] > 0)
    directions: IntArray = np.sign(bid[later] + ask[later] - before) + FLAT
    return np.where(known, directions, UNKNOWN)


def column(features: pa.Table, name: str) -> FloatArray:
    """Return a column of the features as float64."""
    return _column(features, name).astype(np.float64)


def _column(table: pa.Table, name: str) -> IntArray:
    values: IntArray = table.column(name).to_numpy()
    return values

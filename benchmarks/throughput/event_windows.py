"""The input of the windows job, trades out of order and too late, and what must come of it."""

import numpy as np
import pandas as pd

from benchmarks.throughput.trades import (
    FIRST_PRICE_TICKS,
    SEED,
    Expected,
    IntArray,
    Trades,
)

SECOND_NS = 1_000_000_000
WINDOWS_NS = (SECOND_NS, 60 * SECOND_NS)
GRACE_NS = 2 * SECOND_NS
"""A window is closed so long after its end, in event time."""

DISORDERED_SHARE = 0.03
DISORDERED_NS_MAX = SECOND_NS
"""Half of the grace: such a trade is in time whoever counts."""

LATE_SHARE = 0.01
LATE_NS_MIN = 5 * SECOND_NS
LATE_NS_MAX = 90 * SECOND_NS
"""Too late for its second; for its minute, if that is closed by then."""

MARGIN_NS = SECOND_NS
"""By how much the time of a symbol may lag behind the time of all: some 50 of its trades."""


def disordered(trades: Trades) -> Trades:
    """Return the trades with some of their times moved back, and one more a symbol at the end.

    Frameworks differ in whose time counts, that of the key, the partition or the task. No trade is
    moved whose fate would depend on it. The last trades are later than all windows of the others
    and their grace, so that those close; their own stay open.
    """
    random = np.random.default_rng(SEED + 1)
    drawn = random.random(len(trades))
    is_late = (drawn >= DISORDERED_SHARE) & (drawn < DISORDERED_SHARE + LATE_SHARE)
    back_ns = random.integers(1, DISORDERED_NS_MAX, len(trades))
    back_ns[is_late] = random.integers(LATE_NS_MIN, LATE_NS_MAX, int(is_late.sum()))
    # Before every symbol has traded, its time is not known.
    stays = (drawn >= DISORDERED_SHARE + LATE_SHARE) | (
        trades.time_ns < trades.time_ns[0] + MARGIN_NS
    )
    for size_ns in WINDOWS_NS:
        closes_ns = ends_of(trades.time_ns - back_ns, size_ns) + GRACE_NS
        since_ns = trades.time_ns - closes_ns
        stays |= is_late & (since_ns >= 0) & (since_ns < MARGIN_NS)
    times_ns = trades.time_ns - np.where(stays, 0, back_ns)
    symbols = np.arange(len(trades.names))
    last_ns = int(ends_of(trades.time_ns[-1:], max(WINDOWS_NS))[0]) + GRACE_NS
    return Trades(
        trades.names,
        np.concatenate([trades.symbols, symbols]),
        np.concatenate([trades.price_ticks, np.full(len(symbols), FIRST_PRICE_TICKS)]),
        np.concatenate([trades.size_lots, np.ones(len(symbols), np.int64)]),
        np.concatenate([times_ns, np.full(len(symbols), last_ns)]),
    )


def expected_windows(trades: Trades) -> Expected:
    """Return the closed windows: what they hold of the trades that were not too late for them.

    Raises:  ValueError if it matters whether time is that of a symbol or of all trades: then it
             could not be said of any framework whether it is right.
    """
    table = pd.DataFrame(
        {
            "symbol": trades.symbols,
            "time_ns": trades.time_ns,
            "volume_lots": trades.size_lots,
            "turnover": trades.price_ticks * trades.size_lots,
        }
    )
    of_symbol = table.groupby("symbol")["time_ns"]
    last: dict[object, dict[str, object]] = {}
    for size_ns in WINDOWS_NS:
        ends_ns = ends_of(trades.time_ns, size_ns)
        late = ends_ns <= of_symbol.cummax().to_numpy() - GRACE_NS
        late_by_all = ends_ns <= table["time_ns"].cummax().to_numpy() - GRACE_NS
        if not np.array_equal(late, late_by_all):
            raise ValueError(
                f"windows of {size_ns} ns: expected trades whose fate does not depend on whose "
                f"time counts, found {np.count_nonzero(late != late_by_all)}; move them less"
            )
        is_closed = ends_ns <= of_symbol.transform("max").to_numpy() - GRACE_NS
        kept = table.assign(end_ns=ends_ns)[~late & is_closed]
        groups = kept.groupby(["symbol", "end_ns"])
        sums = groups[["volume_lots", "turnover"]].sum().assign(trades=groups.size())
        last |= records(trades.names, sums.reset_index(), size_ns)
    return Expected(len(trades), len(last), last)


def records(
    names: tuple[str, ...], sums: pd.DataFrame, size_ns: int
) -> dict[object, dict[str, object]]:
    """Return the output of each window, by symbol, start and end."""
    columns = ("symbol", "end_ns", "trades", "volume_lots", "turnover")
    rows = zip(*(sums[name].tolist() for name in columns), strict=True)
    return {
        (names[symbol], end_ns - size_ns, end_ns): {
            "symbol": names[symbol],
            "start_ns": end_ns - size_ns,
            "end_ns": end_ns,
            "trades": count,
            "volume_lots": volume,
            # To the nearest integer, halves upwards.
            "vwap_ticks": (2 * turnover + volume) // (2 * volume),
        }
        for symbol, end_ns, count, volume, turnover in rows
    }


def ends_of(times_ns: IntArray, size_ns: int) -> IntArray:
    """Return when the window ends that holds each time."""
    ends_ns: IntArray = (times_ns // size_ns + 1) * size_ns
    return ends_ns

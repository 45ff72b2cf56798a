"""The input of the jobs, a seeded random walk, and what must come of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]

SYMBOLS = 200
SEED = 1
SIZE_LOTS_MAX = 1_000
SIZE_LOTS_MIN = 500
"""What the stateless job keeps is larger: half of the trades."""

FIRST_PRICE_TICKS = 100_000
STEP_TICKS_MAX = 5
FIRST_TIME_NS = 1_750_000_000_000_000_000
TRADE_GAP_NS = 100_000


@dataclass(frozen=True, slots=True)
class Trades:
    """Trades in the order they are written.

    Shapes:  `symbols` and what follows: one item a trade; `names` one a symbol.
    """

    names: tuple[str, ...]
    symbols: IntArray
    price_ticks: IntArray
    size_lots: IntArray
    time_ns: IntArray

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.symbols)

    def first(self, count: int) -> "Trades":
        """Return the first so many."""
        columns = (self.symbols, self.price_ticks, self.size_lots, self.time_ns)
        return Trades(self.names, *(column[:count] for column in columns))


@dataclass(frozen=True, slots=True)
class Expected:
    """What a right output of so many inputs holds: records, and about each thing this one last."""

    inputs: int
    records: int
    last: Mapping[Any, Mapping[str, Any]]


def draw(count: int, keys: int = SYMBOLS) -> Trades:
    """Return so many trades, of so many symbols.

    Fewer are a prefix of more only by `Trades.first`.
    """
    random = np.random.default_rng(SEED)
    symbols = random.integers(0, keys, count)
    steps = random.integers(-STEP_TICKS_MAX, STEP_TICKS_MAX, count, endpoint=True)
    by_symbol = np.argsort(symbols, kind="stable")
    walks = np.cumsum(steps[by_symbol])
    firsts = np.searchsorted(symbols[by_symbol], symbols[by_symbol])
    walks -= walks[firsts]
    prices = np.empty(count, np.int64)
    prices[by_symbol] = FIRST_PRICE_TICKS + walks
    return Trades(
        tuple(f"SYM{number:03}" for number in range(keys)),
        symbols,
        prices,
        random.integers(1, SIZE_LOTS_MAX, count, endpoint=True),
        FIRST_TIME_NS + TRADE_GAP_NS * np.arange(count, dtype=np.int64),
    )


def expected_vwap(trades: Trades) -> Expected:
    """Return what the stateful job must have written last of each symbol."""
    turnover = np.zeros(len(trades.names), np.int64)
    volume = np.zeros(len(trades.names), np.int64)
    np.add.at(turnover, trades.symbols, trades.price_ticks * trades.size_lots)
    np.add.at(volume, trades.symbols, trades.size_lots)
    last = {
        trades.names[symbol]: {
            "symbol": trades.names[symbol],
            "time_ns": int(trades.time_ns[row]),
            "vwap": int(turnover[symbol]) / int(volume[symbol]),
            "volume_lots": int(volume[symbol]),
        }
        for symbol, row in last_rows(trades, np.arange(len(trades))).items()
    }
    return Expected(len(trades), len(trades), last)


def expected_filter(trades: Trades) -> Expected:
    """Return what the stateless job must have written last of each symbol."""
    kept = np.flatnonzero(trades.size_lots > SIZE_LOTS_MIN)
    last = {
        trades.names[symbol]: {
            "symbol": trades.names[symbol],
            "time_ns": int(trades.time_ns[row]),
            "notional": int(trades.price_ticks[row] * trades.size_lots[row]),
        }
        for symbol, row in last_rows(trades, kept).items()
    }
    return Expected(len(trades), len(kept), last)


def last_rows(trades: Trades, rows: IntArray) -> dict[int, int]:
    """Return the last of these rows of each symbol that has one."""
    return dict(zip(trades.symbols[rows].tolist(), rows.tolist(), strict=True))

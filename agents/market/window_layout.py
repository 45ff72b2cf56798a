"""The arrays that `window_kernels` run over: what stands where, and the limits of the rings."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from headrace.batch import BoolArray, FloatArray, IntArray

TRADE_PART = 0
TRADES_HELD_MAX = 131_072
"""Trades remembered an instrument: 2,184 a second for a minute, four times the busiest recorded."""
QUOTES_HELD_MAX = 131_072
"""Quote changes remembered an instrument: 13,107 a second for ten seconds."""
TICKS_LIMIT = 1 << 62
"""Prices and sizes stay below this, so that sums of two of them fit 64 bits."""

WINDOWS_NS = (1_000_000_000, 10_000_000_000, 60_000_000_000)
FLOW_WINDOWS_NS = (1_000_000_000, 10_000_000_000)

# What became of a record.
TAKEN, WITHOUT_SIZE, OUT_OF_RANGE, UNKNOWN_INSTRUMENT = range(4)

# `State.marks`: what is remembered beside the windows.
(
    LAST_TIME,
    LAST_PRICE,
    LAST_CHANGE,
    TRADES_SEEN,
    FLOWS_SEEN,
    HAS_QUOTE,
    BID_PRICE,
    BID_SIZE,
    ASK_PRICE,
    ASK_SIZE,
    QUOTE_TIME,
) = range(11)
MARKS = 11

# `State.windows[w]`: the first trade inside, where the stacks meet, and exact sums in limbs:
# volume signed by the side of mid, volume signed by the aggressor, volume, turnover.
(
    HEAD,
    BOUNDARY,
    SIGNED_HIGH,
    SIGNED_LOW,
    TAKEN_HIGH,
    TAKEN_LOW,
    SIZE_HIGH,
    SIZE_LOW,
    TURNOVER,
) = range(9)
TURNOVER_LIMBS = 4
WINDOW_MARKS = TURNOVER + TURNOVER_LIMBS
# `State.flows[w]`: the first quote change inside, and the exact sum.
FLOW_HEAD, FLOW_HIGH, FLOW_LOW = range(3)
FLOW_MARKS = 3

# Rows of `State.trades` and `State.quotes`.
TIME, PRICE, SIZE, SIGN, AGGRESSOR = range(5)
INCREMENT = 1

# Rows of `Columns.floats`, in the order of feature_vector.v1.
MID, SPREAD_BPS, QUEUE_IMBALANCE, MICROPRICE, AGGRESSOR_SIGN, BY_WINDOW = range(6)
FEATURES_BY_WINDOW = 6
BY_FLOW_WINDOW = BY_WINDOW + FEATURES_BY_WINDOW * len(WINDOWS_NS)
FLOATS = BY_FLOW_WINDOW + len(FLOW_WINDOWS_NS)
QUOTE_INTS = 5

LOG1P_BELOW = 0.5

LIMB_BITS = 31
LIMB_MASK = (1 << LIMB_BITS) - 1
LIMB = float(1 << LIMB_BITS)
LOW_BITS = 32
LOW_MASK = (1 << LOW_BITS) - 1
LOW = float(1 << LOW_BITS)


class State(NamedTuple):
    """The arrays of one instrument; rings are indexed by `count & (capacity - 1)`.

    Shapes:  marks (MARKS,), windows (3, WINDOW_MARKS), flows (2, FLOW_MARKS) int64;
             trades (5, capacity) and quotes (2, capacity) int64; squares (capacity,) float64, the
             squared log return from the trade before; newer (3,) and suffixes (3, capacity)
             float64, sums of squares. Capacities are powers of two.
    """

    marks: IntArray
    windows: IntArray
    flows: IntArray
    newer: FloatArray
    trades: IntArray
    squares: FloatArray
    suffixes: FloatArray
    quotes: IntArray


class Records(NamedTuple):
    """The input columns: n trades and m quotes, and the order they are seen in.

    `output_rows[i]` is where batch row `i` writes its features, if it is a trade.
    `trade_aggressor` is 1 where the buyer took liquidity, -1 the seller, 0 not known.
    """

    order_parts: npt.NDArray[np.uint8]
    order_rows: IntArray
    output_rows: IntArray
    trade_aggressor: IntArray
    trade_time: IntArray
    trade_price: IntArray
    trade_size: IntArray
    quote_time: IntArray
    bid_price: IntArray
    bid_size: IntArray
    ask_price: IntArray
    ask_size: IntArray


class Columns(NamedTuple):
    """The output columns, and what became of each batch row.

    Shapes:  floats (FLOATS, n) float64; quote (QUOTE_INTS, n) int64; valid (n,); fates (n + m,).
    """

    floats: FloatArray
    quote: IntArray
    valid: BoolArray
    fates: npt.NDArray[np.uint8]

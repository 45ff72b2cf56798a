"""The rolling windows of one instrument as compiled loops over integer rings.

Nothing here drifts, however long it runs:
- volumes, turnover and order flow are sums of integers, held in limbs so wide that they are exact;
- realized variance never subtracts: each window is a queue made of two stacks, sums from each trade
  on for the older one (`suffixes`) and one running sum for the newer one, so that it is as exact
  as a fresh sum even where a large return has just left and next to nothing remains.
"""

import math

import numpy as np
from numba import njit

from agents.market.window_layout import (
    AGGRESSOR,
    AGGRESSOR_SIGN,
    ASK_PRICE,
    ASK_SIZE,
    BID_PRICE,
    BID_SIZE,
    BOUNDARY,
    BY_FLOW_WINDOW,
    BY_WINDOW,
    FEATURES_BY_WINDOW,
    FLOW_HEAD,
    FLOW_HIGH,
    FLOW_LOW,
    FLOW_WINDOWS_NS,
    FLOWS_SEEN,
    HAS_QUOTE,
    HEAD,
    INCREMENT,
    LAST_CHANGE,
    LAST_PRICE,
    LAST_TIME,
    LIMB,
    LIMB_BITS,
    LIMB_MASK,
    LOG1P_BELOW,
    LOW,
    LOW_BITS,
    LOW_MASK,
    MICROPRICE,
    MID,
    OUT_OF_RANGE,
    PRICE,
    QUEUE_IMBALANCE,
    QUOTE_INTS,
    QUOTE_TIME,
    QUOTES_HELD_MAX,
    SIGN,
    SIGNED_HIGH,
    SIGNED_LOW,
    SIZE,
    SIZE_HIGH,
    SIZE_LOW,
    SPREAD_BPS,
    TAKEN,
    TAKEN_HIGH,
    TAKEN_LOW,
    TICKS_LIMIT,
    TIME,
    TRADE_PART,
    TRADES_HELD_MAX,
    TRADES_SEEN,
    TURNOVER,
    TURNOVER_LIMBS,
    WINDOWS_NS,
    WITHOUT_SIZE,
    Columns,
    Records,
    State,
)
from headrace.batch import IntArray


@njit(cache=True)
def run_instrument(
    state: State,
    rows: IntArray,
    records: Records,
    columns: Columns,
    units: tuple[float, float],
) -> int:
    """Take batch rows `rows` of one instrument in order; return how many entries overflowed.

    `units` are the ticks in one unit of price and the lots in one of size. The rings must have
    room for what comes, up to their written limits.
    """
    overflows = 0
    for row in rows:
        source = records.order_rows[row]
        if records.order_parts[row] == TRADE_PART:
            fate, overflow = _take_trade(state, records, source)
            if fate == TAKEN:
                output = records.output_rows[row]
                _write_quote(state, columns, output, units)
                _write_windows(state, columns, output, units)
        else:
            fate, overflow = _take_quote(state, records, source)
        columns.fates[row] = fate
        overflows += overflow
    return overflows


@njit(cache=True)
def rebuild_suffixes(state: State) -> None:
    """Sum the older stacks again from the squares, in the order they were first summed."""
    for window in range(len(WINDOWS_NS)):
        _stack(state, window, state.windows[window, BOUNDARY])


@njit(cache=True)
def _take_trade(state: State, records: Records, row: int) -> tuple[int, int]:
    marks = state.marks
    price = records.trade_price[row]
    size = records.trade_size[row]
    if size == 0:
        return WITHOUT_SIZE, 0
    if price <= 0 or price >= TICKS_LIMIT or size < 0 or size >= TICKS_LIMIT:
        return OUT_OF_RANGE, 0
    marks[LAST_TIME] = max(marks[LAST_TIME], records.trade_time[row])
    square = 0.0
    if marks[LAST_PRICE] > 0:
        change = price - marks[LAST_PRICE]
        square = _log_return(price, marks[LAST_PRICE]) ** 2
        if change != 0:
            marks[LAST_CHANGE] = 1 if change > 0 else -1
    marks[LAST_PRICE] = price
    sign = _trade_sign(marks, price)
    overflow = _make_room(state, marks[LAST_TIME])
    _push_trade(state, (price, size, sign, records.trade_aggressor[row]), square)
    return TAKEN, overflow


@njit(cache=True)
def _log_return(price: int, before: int) -> float:
    change = (price - before) / before
    # Near 1 the ratio's rounding would cost 7 to 9 digits of a one-tick move; far from it log1p's.
    return math.log1p(change) if abs(change) < LOG1P_BELOW else math.log(price / before)


@njit(cache=True)
def _trade_sign(marks: IntArray, price: int) -> int:
    if _is_valid(marks):
        above = 2 * price - (marks[BID_PRICE] + marks[ASK_PRICE])
        if above != 0:
            return 1 if above > 0 else -1
    change: int = marks[LAST_CHANGE]
    return change


@njit(cache=True)
def _is_valid(marks: IntArray) -> bool:
    """Whether there is a quote, of two sides, and not crossed; a locked one is valid."""
    valid: bool = marks[HAS_QUOTE] == 1 and 0 < marks[BID_PRICE] <= marks[ASK_PRICE]
    return valid


@njit(cache=True)
def _make_room(state: State, now: int) -> int:
    """Let go of the trades that left each window, and of the oldest if the ring is full."""
    mask = state.trades.shape[1] - 1
    seen = state.marks[TRADES_SEEN]
    for window in range(len(WINDOWS_NS)):
        marks = state.windows[window]
        while marks[HEAD] < seen and (
            state.trades[TIME, marks[HEAD] & mask] <= now - WINDOWS_NS[window]
        ):
            _add_trade(marks, state.trades, marks[HEAD] & mask, -1)
            marks[HEAD] += 1
    oldest = state.windows[-1, HEAD]
    if seen - oldest < TRADES_HELD_MAX:
        return 0
    for window in range(len(WINDOWS_NS)):
        marks = state.windows[window]
        if marks[HEAD] == oldest:
            _add_trade(marks, state.trades, oldest & mask, -1)
            marks[HEAD] += 1
    return 1


@njit(cache=True)
def _push_trade(state: State, trade: tuple[int, int, int, int], square: float) -> None:
    """Put price, size, sign and aggressor of a trade into the ring and every window."""
    seen = state.marks[TRADES_SEEN]
    slot = seen & (state.trades.shape[1] - 1)
    state.trades[TIME, slot] = state.marks[LAST_TIME]
    for field in range(len(trade)):
        state.trades[PRICE + field, slot] = trade[field]
    state.squares[slot] = square
    state.marks[TRADES_SEEN] = seen + 1
    for window in range(len(WINDOWS_NS)):
        marks = state.windows[window]
        _add_trade(marks, state.trades, slot, 1)
        # A return counts if both its trades are inside: those after the first one.
        if marks[HEAD] + 1 <= marks[BOUNDARY]:
            state.newer[window] += square
        else:
            _stack(state, window, seen + 1)
            state.newer[window] = 0.0


@njit(cache=True)
def _stack(state: State, window: int, boundary: int) -> None:
    """Make the returns before `boundary` the older stack: sums from each of them to its end."""
    mask = state.trades.shape[1] - 1
    total = 0.0
    for index in range(boundary - 1, state.windows[window, HEAD], -1):
        total += state.squares[index & mask]
        state.suffixes[window, index & mask] = total
    state.windows[window, BOUNDARY] = boundary


@njit(cache=True)
def _add_trade(marks: IntArray, trades: IntArray, slot: int, times: int) -> None:
    """Add a trade to a window's sums, or take it off again with `times` -1."""
    price = trades[PRICE, slot]
    size = trades[SIZE, slot]
    signed = trades[SIGN, slot] * size
    marks[SIGNED_HIGH] += times * (signed >> LOW_BITS)
    marks[SIGNED_LOW] += times * (signed & LOW_MASK)
    taken = trades[AGGRESSOR, slot] * size
    marks[TAKEN_HIGH] += times * (taken >> LOW_BITS)
    marks[TAKEN_LOW] += times * (taken & LOW_MASK)
    marks[SIZE_HIGH] += times * (size >> LOW_BITS)
    marks[SIZE_LOW] += times * (size & LOW_MASK)
    # Schoolbook product in limbs of 31 bits: no step passes 63 bits while both are below 2^62,
    # and no limb's sum over the whole ring passes the 53 that a float holds.
    price_high, price_low = price >> LIMB_BITS, price & LIMB_MASK
    size_high, size_low = size >> LIMB_BITS, size & LIMB_MASK
    low = price_low * size_low
    left = price_high * size_low
    right = price_low * size_high
    high = price_high * size_high
    marks[TURNOVER] += times * (low & LIMB_MASK)
    marks[TURNOVER + 1] += times * ((low >> LIMB_BITS) + (left & LIMB_MASK) + (right & LIMB_MASK))
    marks[TURNOVER + 2] += times * ((left >> LIMB_BITS) + (right >> LIMB_BITS) + (high & LIMB_MASK))
    marks[TURNOVER + 3] += times * (high >> LIMB_BITS)


@njit(cache=True)
def _take_quote(state: State, records: Records, row: int) -> tuple[int, int]:
    marks = state.marks
    bid, bid_size = records.bid_price[row], records.bid_size[row]
    ask, ask_size = records.ask_price[row], records.ask_size[row]
    if min(bid, bid_size, ask, ask_size) < 0 or max(bid, bid_size, ask, ask_size) >= TICKS_LIMIT:
        return OUT_OF_RANGE, 0
    marks[LAST_TIME] = max(marks[LAST_TIME], records.quote_time[row])
    overflow = 0
    if marks[HAS_QUOTE] == 1:
        increment = 0
        if bid >= marks[BID_PRICE]:
            increment += bid_size
        if bid <= marks[BID_PRICE]:
            increment -= marks[BID_SIZE]
        if ask <= marks[ASK_PRICE]:
            increment -= ask_size
        if ask >= marks[ASK_PRICE]:
            increment += marks[ASK_SIZE]
        if increment != 0:
            overflow = _push_flow(state, increment)
    marks[HAS_QUOTE] = 1
    marks[BID_PRICE], marks[BID_SIZE] = bid, bid_size
    marks[ASK_PRICE], marks[ASK_SIZE] = ask, ask_size
    marks[QUOTE_TIME] = records.quote_time[row]
    return TAKEN, overflow


@njit(cache=True)
def _push_flow(state: State, increment: int) -> int:
    _expire_flows(state)
    seen = state.marks[FLOWS_SEEN]
    mask = state.quotes.shape[1] - 1
    oldest = state.flows[-1, FLOW_HEAD]
    overflow = 0
    if seen - oldest >= QUOTES_HELD_MAX:
        overflow = 1
        for window in range(len(FLOW_WINDOWS_NS)):
            if state.flows[window, FLOW_HEAD] == oldest:
                _drop_flow(state, window)
    state.quotes[TIME, seen & mask] = state.marks[LAST_TIME]
    state.quotes[INCREMENT, seen & mask] = increment
    state.marks[FLOWS_SEEN] = seen + 1
    for window in range(len(FLOW_WINDOWS_NS)):
        state.flows[window, FLOW_HIGH] += increment >> LOW_BITS
        state.flows[window, FLOW_LOW] += increment & LOW_MASK
    return overflow


@njit(cache=True)
def _expire_flows(state: State) -> None:
    mask = state.quotes.shape[1] - 1
    for window in range(len(FLOW_WINDOWS_NS)):
        until = state.marks[LAST_TIME] - FLOW_WINDOWS_NS[window]
        while state.flows[window, FLOW_HEAD] < state.marks[FLOWS_SEEN] and (
            state.quotes[TIME, state.flows[window, FLOW_HEAD] & mask] <= until
        ):
            _drop_flow(state, window)


@njit(cache=True)
def _drop_flow(state: State, window: int) -> None:
    marks = state.flows[window]
    increment = state.quotes[INCREMENT, marks[FLOW_HEAD] & (state.quotes.shape[1] - 1)]
    marks[FLOW_HIGH] -= increment >> LOW_BITS
    marks[FLOW_LOW] -= increment & LOW_MASK
    marks[FLOW_HEAD] += 1


@njit(cache=True)
def _write_quote(state: State, columns: Columns, row: int, units: tuple[float, float]) -> None:
    price_unit, _ = units
    marks = state.marks
    for field in range(QUOTE_INTS):
        columns.quote[field, row] = marks[BID_PRICE + field]
    columns.valid[row] = _is_valid(marks)
    floats = columns.floats
    if not columns.valid[row]:
        floats[MID, row] = floats[SPREAD_BPS, row] = np.nan
        floats[QUEUE_IMBALANCE, row] = floats[MICROPRICE, row] = np.nan
        return
    bid, ask = marks[BID_PRICE], marks[ASK_PRICE]
    bid_size, ask_size = float(marks[BID_SIZE]), float(marks[ASK_SIZE])
    floats[MID, row] = (bid + ask) / (2.0 * price_unit)
    floats[SPREAD_BPS, row] = 2e4 * (ask - bid) / (bid + ask)
    both = bid_size + ask_size
    if both == 0.0:
        # A venue that quotes no sizes: 0 / 0 is what the formula says, and no size is made up.
        floats[QUEUE_IMBALANCE, row] = floats[MICROPRICE, row] = np.nan
        return
    floats[QUEUE_IMBALANCE, row] = float(marks[BID_SIZE] - marks[ASK_SIZE]) / both
    floats[MICROPRICE, row] = (bid * ask_size + ask * bid_size) / both / price_unit


@njit(cache=True)
def _write_windows(state: State, columns: Columns, row: int, units: tuple[float, float]) -> None:
    price_unit, size_unit = units
    mask = state.trades.shape[1] - 1
    seen = state.marks[TRADES_SEEN]
    price = state.marks[LAST_PRICE]
    columns.floats[AGGRESSOR_SIGN, row] = state.trades[AGGRESSOR, (seen - 1) & mask]
    for window in range(len(WINDOWS_NS)):
        marks = state.windows[window]
        column = BY_WINDOW + FEATURES_BY_WINDOW * window
        size = marks[SIZE_HIGH] * LOW + marks[SIZE_LOW]
        turnover = 0.0
        for limb in range(TURNOVER_LIMBS - 1, -1, -1):
            turnover = turnover * LIMB + marks[TURNOVER + limb]
        first = state.trades[PRICE, marks[HEAD] & mask]
        variance = state.newer[window]
        if marks[HEAD] + 1 < marks[BOUNDARY]:
            variance += state.suffixes[window, (marks[HEAD] + 1) & mask]
        columns.floats[column, row] = turnover / size / price_unit
        columns.floats[column + 1, row] = seen - marks[HEAD]
        columns.floats[column + 2, row] = (marks[SIGNED_HIGH] * LOW + marks[SIGNED_LOW]) / size_unit
        columns.floats[column + 3, row] = 1e4 * _log_return(price, first)
        columns.floats[column + 4, row] = math.sqrt(variance)
        columns.floats[column + 5, row] = (marks[TAKEN_HIGH] * LOW + marks[TAKEN_LOW]) / size
    _expire_flows(state)
    for window in range(len(FLOW_WINDOWS_NS)):
        flow = state.flows[window, FLOW_HIGH] * LOW + state.flows[window, FLOW_LOW]
        columns.floats[BY_FLOW_WINDOW + window, row] = flow / size_unit

"""Turn predictions into order requests by a documented rule (docs/risk.md)."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from agents.trading.amounts import lots_for_notional
from agents.trading.decision import DecisionRule
from agents.trading.groups import fresh_sequences, rows_by_name
from agents.trading.identity import request_id_of
from agents.trading.outbox import Outbox
from agents.trading.records import BUY, SELL, OrderRequest
from headrace import Batch, Output, RowTable
from headrace.batch import BoolArray, FloatArray, IntArray
from headrace.state.tables import RowState
from schemas import topics
from schemas.instruments import Instrument, UnknownInstrumentError, instrument_of
from schemas.streams import streams_of

TABLE = RowTable(
    "request_orders.signal_by_stream.v1",
    np.dtype([("last_sequence", np.int64), ("last_request_time_ns", np.int64)]),
)
"""Of each stream: the last signal seen, and when an order was last asked for. 16 bytes."""


INTEGERS = (
    *("sequence", "receive_time_ns", "quote_time_ns"),
    *("bid_price_ticks", "ask_price_ticks"),
)


@dataclass(frozen=True, slots=True)
class _Signals:
    """A batch of predictions; `state_rows` says where in the table each one's stream is."""

    records: pa.RecordBatch
    columns: dict[str, IntArray]
    groups: list[IntArray]
    state: RowState
    state_rows: IntArray


def request_orders(batch: Batch, state: RowState, rule: DecisionRule) -> Output:
    """Return the order requests that predictions cause.

    Reads:   signal.prediction.v1.  Writes: order.request.v1.
    Counts:  `prediction_*`, which with the dead rows sum to the predictions read.
    """
    box = Outbox()
    if len(batch) == 0:
        return box.output()
    signals = _read(batch.records, state)
    fresh = _mark_seen(signals)
    box.count("prediction_duplicate", int(np.count_nonzero(~fresh)))
    up = batch.records.column("probability_up").to_numpy()
    down = batch.records.column("probability_down").to_numpy()
    legal = (up >= 0.0) & (up <= 1.0) & (down >= 0.0) & (down <= 1.0)
    for row in np.flatnonzero(fresh & ~legal).tolist():
        box.bury(0, row, "probability_invalid", f"expected 0 to 1, up {up[row]} down {down[row]}")
    sides = _sides(up, down, rule)
    asked = fresh & legal & (sides != 0)
    box.count("prediction_below_threshold", int(np.count_nonzero(fresh & legal & (sides == 0))))
    sound = _sound_quotes(signals)
    box.count("prediction_quote_invalid", int(np.count_nonzero(asked & ~sound)))
    whole: BoolArray = batch.records.column("book_valid").to_numpy(zero_copy_only=False)
    box.count("prediction_book_invalid", int(np.count_nonzero(asked & sound & ~whole)))
    _decide(np.flatnonzero(asked & sound & whole), sides, signals, rule, box)
    return box.output()


def _read(records: pa.RecordBatch, state: RowState) -> _Signals:
    names, groups = rows_by_name(streams_of(records))
    state_rows = np.empty(records.num_rows, np.int64)
    for index, rows in zip(state.index_of(names).tolist(), groups, strict=True):
        state_rows[rows] = index
    columns = {name: records.column(name).to_numpy() for name in INTEGERS}
    return _Signals(records, columns, groups, state, state_rows)


def _mark_seen(signals: _Signals) -> BoolArray:
    """Say which rows are new signals and remember the last of each stream."""
    sequence = signals.columns["sequence"]
    fresh = np.zeros(len(sequence), np.bool_)
    for rows in signals.groups:
        seen = signals.state.rows[signals.state_rows[rows[0]]]
        found = sequence[rows]
        fresh[rows] = fresh_sequences(found, int(seen["last_sequence"]))
        seen["last_sequence"] = max(int(seen["last_sequence"]), int(found.max()))
    return fresh


def _sides(up: FloatArray, down: FloatArray, rule: DecisionRule) -> IntArray:
    """Return 1 where the rule buys, -1 where it sells, else 0."""
    buys = (up >= rule.threshold) & (up - down >= rule.margin)
    sells = (down >= rule.threshold) & (down - up >= rule.margin)
    return buys.astype(np.int64) - sells.astype(np.int64)


def _sound_quotes(signals: _Signals) -> BoolArray:
    """Say where the decision's quote may be acted on."""
    valid: BoolArray = signals.records.column("quote_valid").to_numpy(zero_copy_only=False)
    bid, ask = signals.columns["bid_price_ticks"], signals.columns["ask_price_ticks"]
    quote_time_ns = signals.columns["quote_time_ns"]
    known = (quote_time_ns > 0) & (quote_time_ns <= signals.columns["receive_time_ns"])
    return valid & (bid > 0) & (bid <= ask) & known


def _decide(
    rows: IntArray, sides: IntArray, signals: _Signals, rule: DecisionRule, box: Outbox
) -> None:
    """Ask for orders, row by row, unless the instrument is unknown or was asked for just before.

    Nearly all rows end here, so what tells them is looked up a stream, not a row.
    """
    instruments = _instruments(signals)
    last_ns = signals.state.rows["last_request_time_ns"]
    times_ns = signals.columns["receive_time_ns"][rows].tolist()
    streams = signals.state_rows[rows].tolist()
    cooling = 0
    for row, time_ns, stream in zip(rows.tolist(), times_ns, streams, strict=True):
        instrument = instruments[stream]
        if isinstance(instrument, UnknownInstrumentError):
            box.bury(0, row, "instrument_unknown", str(instrument))
            continue
        if last_ns[stream] and time_ns - last_ns[stream] < rule.cooldown_ns:
            cooling += 1
            continue
        request = _request(row, BUY if sides[row] > 0 else SELL, instrument, signals, rule)
        if request is None:
            box.count("prediction_size_zero")
            continue
        last_ns[stream] = time_ns
        box.emit(topics.ORDER_REQUEST, request, cause=row)
        box.count("prediction_requested")
    box.count("prediction_cooldown", cooling)


def _instruments(signals: _Signals) -> dict[int, Instrument | UnknownInstrumentError]:
    """Return the instrument of each stream, or why it has none, by the stream's row of state."""
    names = signals.records.column("instrument")
    found: dict[int, Instrument | UnknownInstrumentError] = {}
    for rows in signals.groups:
        stream = int(signals.state_rows[rows[0]])
        try:
            found[stream] = instrument_of(names[int(rows[0])].as_py())
        except UnknownInstrumentError as error:
            found[stream] = error
    return found


def _request(
    row: int, side: str, instrument: Instrument, signals: _Signals, rule: DecisionRule
) -> OrderRequest | None:
    """Return the request a signal causes; None if the instrument is too dear for a lot."""
    name, source = (signals.records.column(each)[row].as_py() for each in ("instrument", "source"))
    time_ns = int(signals.columns["receive_time_ns"][row])
    bid = int(signals.columns["bid_price_ticks"][row])
    ask = int(signals.columns["ask_price_ticks"][row])
    limit = rule.buy_limit_ticks(ask) if side == BUY else rule.sell_limit_ticks(bid)
    # Sized at the dearer of the two prices, so that no order is worth more than the rule says.
    quantity = lots_for_notional(
        instrument, max(limit, ask), rule.order_notional_e8, step_lots=rule.quantity_step_lots
    )
    if quantity == 0:
        return None
    sequence = int(signals.columns["sequence"][row])
    return OrderRequest(
        request_id=request_id_of(rule.account, rule.strategy, name, source, sequence),
        account=rule.account,
        strategy=rule.strategy,
        instrument=name,
        source=source,
        signal_sequence=sequence,
        side=side,
        quantity_lots=quantity,
        limit_price_ticks=limit,
        bid_price_ticks=bid,
        ask_price_ticks=ask,
        quote_time_ns=int(signals.columns["quote_time_ns"][row]),
        quote_valid=True,
        book_valid=True,
        request_time_ns=time_ns,
    )

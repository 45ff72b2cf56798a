"""Features at each trade: what the best quotes and the trades of the last minute say."""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from agents.market.rolling_windows import InstrumentWindows, WindowsCodec
from agents.market.window_kernels import run_instrument
from agents.market.window_layout import (
    FLOATS,
    OUT_OF_RANGE,
    QUOTE_INTS,
    TAKEN,
    TRADE_PART,
    UNKNOWN_INSTRUMENT,
    WITHOUT_SIZE,
    Columns,
    Records,
)
from headrace import Batch, DeadRow, ObjectTable, Output
from headrace.batch import IntArray
from headrace.state.tables import ObjectState
from schemas.instruments import UnknownInstrumentError, instrument_of
from schemas.streams import instrument_in, streams_of
from schemas.topics import FEATURE

WINDOWS_BY_STREAM = ObjectTable("build_features.windows_by_stream.v1", codec=WindowsCodec())

FIELDS_OF_TRADE = (
    "instrument",
    "source",
    "sequence",
    "price_ticks",
    "size_lots",
    "event_time_ns",
    "receive_time_ns",
)
FIELDS_OF_QUOTE = (
    "bid_price_ticks",
    "bid_size_lots",
    "ask_price_ticks",
    "ask_size_lots",
    "quote_time_ns",
)
FEATURES_OF_WINDOW = (
    *("vwap", "trade_count", "signed_volume", "return_bps", "realized_vol"),
    "trade_imbalance",
)
FIELDS_OF_FLOATS = (
    *("mid", "spread_bps", "queue_imbalance", "microprice", "aggressor_sign"),
    *(f"{feature}_{window}" for window in ("1s", "10s", "60s") for feature in FEATURES_OF_WINDOW),
    *("ofi_1s", "ofi_10s"),
)
FEATURE_VECTOR = pa.schema(
    [
        pa.field("instrument", pa.string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        *(
            pa.field(name, pa.int64(), nullable=name == "event_time_ns")
            for name in (*FIELDS_OF_TRADE[2:], *FIELDS_OF_QUOTE)
        ),
        pa.field("quote_valid", pa.bool_(), nullable=False),
        pa.field("book_valid", pa.bool_(), nullable=False),
        *(pa.field(name, pa.float64(), nullable=False) for name in FIELDS_OF_FLOATS),
    ]
)

AGGRESSORS = pa.array(["SELL", "UNKNOWN", "BUY"])
"""In the order of their signs: -1, 0, 1."""
DEAD_CAUSES = {OUT_OF_RANGE: "out_of_range", UNKNOWN_INSTRUMENT: "unknown_instrument"}
OUT_OF_RANGE_DETAIL = "expected prices and sizes from 0 (a trade's: above 0) to below 2^62"
DROP_COUNTS = {WITHOUT_SIZE: "trade_without_size"}


def build_features(batch: Batch, state: ObjectState[InstrumentWindows]) -> Output:
    """Return a feature vector for each trade, in the batch's order.

    Reads `market.trade.v1` and `market.quote.v1`, merged by sequence. Trades of size 0 are dropped
    and counted. A bid or ask price of 0 is a side without orders: such a quote is not valid.
    A receive time that runs backwards is taken for the latest seen of its stream.
    Source:  design §4; order flow imbalance: Cont, Kukanov, Stoikov (2014).
    """
    trades, quotes = (part.records for part in batch.parts)
    is_trade = batch.order_parts == TRADE_PART
    records = _records(batch, is_trade, trades, quotes)
    columns = Columns(
        floats=np.empty((FLOATS, trades.num_rows)),
        quote=np.empty((QUOTE_INTS, trades.num_rows), np.int64),
        valid=np.empty(trades.num_rows, np.bool_),
        fates=np.empty(len(batch), np.uint8),
    )
    overflows = 0
    details: dict[int, str] = {}
    for stream, rows in _rows_by_stream(batch, is_trade, trades, quotes):
        try:
            instrument = instrument_of(instrument_in(stream))
        except UnknownInstrumentError as error:
            columns.fates[rows] = UNKNOWN_INSTRUMENT
            details.update(dict.fromkeys(rows.tolist(), str(error)))
            continue
        windows = state.edit(stream)
        count = int(np.count_nonzero(is_trade[rows]))
        windows.make_room(count, len(rows) - count)
        units = (10.0**instrument.price_scale, 10.0**instrument.size_scale)
        overflows += int(run_instrument(windows.state, rows, records, columns, units))
    counts, dead = _left_out(batch, columns, details)
    if overflows:
        counts["window_overflow"] = overflows
    caused_by = np.flatnonzero(is_trade & (columns.fates == TAKEN))
    if not len(caused_by):
        return Output(dead=dead, counts=counts)
    vectors = _vectors(trades.take(pa.array(batch.order_rows[is_trade])), columns)
    if len(caused_by) < trades.num_rows:
        vectors = vectors.filter(pa.array(columns.fates[is_trade] == TAKEN))
    return Output({FEATURE.name: vectors}, dead, counts, {FEATURE.name: caused_by})


def _records(
    batch: Batch, is_trade: npt.NDArray[np.bool_], trades: pa.RecordBatch, quotes: pa.RecordBatch
) -> Records:
    def of(records: pa.RecordBatch, *names: str) -> Iterator[IntArray]:
        return (records.column(name).to_numpy(zero_copy_only=True) for name in names)

    return Records(
        batch.order_parts,
        batch.order_rows,
        np.cumsum(is_trade) - 1,
        _aggressors(trades),
        *of(trades, "receive_time_ns", "price_ticks", "size_lots"),
        *of(quotes, "receive_time_ns"),
        *of(quotes, "bid_price_ticks", "bid_size_lots", "ask_price_ticks", "ask_size_lots"),
    )


def _aggressors(trades: pa.RecordBatch) -> IntArray:
    """Return 1 where the buyer took liquidity, -1 the seller, 0 where the venue does not say."""
    signs: IntArray = pc.index_in(trades.column("aggressor"), value_set=AGGRESSORS).to_numpy() - 1
    return signs.astype(np.int64)


def _rows_by_stream(
    batch: Batch, is_trade: npt.NDArray[np.bool_], trades: pa.RecordBatch, quotes: pa.RecordBatch
) -> Iterator[tuple[str, IntArray]]:
    """Yield each stream of the batch with its batch rows, in order."""
    encoded = pa.concat_arrays([streams_of(trades), streams_of(quotes)]).dictionary_encode()
    if not len(batch):
        return
    rows = np.where(is_trade, batch.order_rows, batch.order_rows + trades.num_rows)
    # Two bytes a code make the stable sort a radix sort; a batch has fewer records than that holds.
    kind = np.uint16 if len(encoded.dictionary) < 1 << 16 else np.int64
    codes = encoded.indices.to_numpy(zero_copy_only=True).astype(kind)[rows]
    order = np.argsort(codes, kind="stable")
    starts = [0, *(np.flatnonzero(np.diff(codes[order])) + 1).tolist(), len(order)]
    for start, end in pairwise(starts):
        chosen = order[start:end]
        yield encoded.dictionary[int(codes[chosen[0]])].as_py(), chosen


def _vectors(trades: pa.RecordBatch, columns: Columns) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays(
        [
            *(trades.column(name) for name in FIELDS_OF_TRADE),
            *(pa.array(column) for column in columns.quote),
            pa.array(columns.valid),
            trades.column("book_valid"),
            *(pa.array(column) for column in columns.floats),
        ],
        schema=FEATURE_VECTOR,
    )


def _left_out(
    batch: Batch, columns: Columns, details: dict[int, str]
) -> tuple[dict[str, int], list[DeadRow]]:
    """Return the counts of the records that were dropped, and those that are dead."""
    found = np.bincount(columns.fates, minlength=UNKNOWN_INSTRUMENT + 1)
    counts = {name: int(found[fate]) for fate, name in DROP_COUNTS.items() if found[fate]}
    dead = []
    for fate, cause in DEAD_CAUSES.items():
        for batch_row in np.flatnonzero(columns.fates == fate).tolist() if found[fate] else ():
            part, row = int(batch.order_parts[batch_row]), int(batch.order_rows[batch_row])
            dead.append(DeadRow(part, row, cause, details.get(batch_row, OUT_OF_RANGE_DETAIL)))
    return counts, dead

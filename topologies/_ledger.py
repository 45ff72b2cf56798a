"""Which topics of the trading graph tell a backtest what was ordered, filled and earned."""

import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from agents.trading.amounts import notional_e8
from headrace import Entries, Ledger
from headrace.batch import FloatArray
from headrace.ledger import ORDERS, POSITIONS, QUOTES
from schemas import topics as t
from schemas.instruments import Instrument, instrument_of
from schemas.streams import streams_of

_QUOTED_IN = re.compile(r"(?:USDT|USDC|FDUSD|USD|EUR|GBP|JPY|BTC|ETH)$")
_ODD = re.compile(r"[^A-Z0-9]")


def quote_unit(instrument: Instrument) -> str:
    """Return the currency prices are in: the end of the symbol where that is a known one."""
    symbol = instrument.symbol.upper().split("_")[0]
    found = _QUOTED_IN.search(_ODD.sub("", symbol))
    return found[0] if found else f"quote of {instrument.symbol}"


def settlement_unit(instrument: Instrument) -> str:
    """Return the currency fees and profits are in: the base of an INVERSE contract."""
    quoted = quote_unit(instrument)
    if instrument.kind != "INVERSE":
        return quoted
    symbol = _ODD.sub("", instrument.symbol.upper().split("_")[0])
    return symbol.removesuffix(quoted) or f"base of {instrument.symbol}"


def order_entries(events: pa.RecordBatch) -> pa.RecordBatch:
    """Return changes of orders in units, filled ones with what they were worth."""
    names = events.column("instrument")
    instruments = [instrument_of(name) for name in names.to_pylist()]
    size = np.array([10.0**each.size_scale for each in instruments])
    price = np.array([10.0**each.price_scale for each in instruments])
    fills = events.column("fill_lots").to_pylist()
    prices = events.column("fill_price_ticks").to_pylist()
    worth = zip(instruments, prices, fills, strict=True)
    values = [notional_e8(each, ticks, lots) if lots else 0 for each, ticks, lots in worth]
    columns = {
        "order_id": events.column("client_order_id"),
        "time_ns": events.column("event_time_ns"),
        **{name: events.column(name) for name in ("account", "instrument", "side", "reason")},
        "stream": streams_of(events),
        "state": events.column("state"),
        "quantity": _numbers(events, "quantity_lots") / size,
        "filled": _numbers(events, "filled_lots") / size,
        "fill": _numbers(events, "fill_lots") / size,
        "fill_price": _numbers(events, "fill_price_ticks") / price,
        "fill_value_e8": values,
        "fill_fee_e8": events.column("fill_fee_e8"),
        "value_unit": [quote_unit(each) for each in instruments],
        "fee_unit": [settlement_unit(each) for each in instruments],
    }
    return pa.RecordBatch.from_pydict(columns, schema=ORDERS)


def position_entries(positions: pa.RecordBatch) -> pa.RecordBatch:
    """Return what each holding has come to, as execution says."""
    names = positions.column("instrument")
    columns = {
        "holding": pc.binary_join_element_wise(positions.column("account"), names, "/"),
        "time_ns": positions.column("event_time_ns"),
        "unit": [settlement_unit(instrument_of(name)) for name in names.to_pylist()],
        "profit_e8": positions.column("profit_e8"),
    }
    return pa.RecordBatch.from_pydict(columns, schema=POSITIONS)


def quote_entries(quotes: pa.RecordBatch) -> pa.RecordBatch:
    """Return the middle of each quote that has two sides and is not crossed, in ticks."""
    bid, ask = _numbers(quotes, "bid_price_ticks"), _numbers(quotes, "ask_price_ticks")
    columns = {
        "stream": streams_of(quotes),
        "time_ns": quotes.column("receive_time_ns"),
        "mid": (bid + ask) / 2,
    }
    sound = pa.array((bid > 0) & (bid <= ask))
    return pa.RecordBatch.from_pydict(columns, schema=QUOTES).filter(sound)


def _numbers(records: pa.RecordBatch, name: str) -> FloatArray:
    values: FloatArray = records.column(name).to_numpy().astype(np.float64)
    return values


LEDGER = Ledger(
    orders=Entries(t.ORDER_EVENT, order_entries),
    positions=Entries(t.POSITION, position_entries),
    quotes=Entries(t.QUOTE, quote_entries),
    predictions=(t.PREDICTION, ("probability_down", "probability_flat", "probability_up")),
    horizon_ns=1_000_000_000,
    profit_says="cash flows, fees included, plus the position at the price of its last fill",
)

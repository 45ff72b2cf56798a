"""The kinds of entries a ledger has (`headrace.Ledger`): what a graph that trades says it did."""

import pyarrow as pa

ORDERS = pa.schema(
    [
        pa.field("order_id", pa.string(), nullable=False),
        pa.field("time_ns", pa.int64(), nullable=False),
        pa.field("account", pa.string(), nullable=False),
        pa.field("instrument", pa.string(), nullable=False),
        pa.field("stream", pa.string(), nullable=False),
        pa.field("side", pa.string(), nullable=False),
        pa.field("state", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("quantity", pa.float64(), nullable=False),
        pa.field("filled", pa.float64(), nullable=False),
        pa.field("fill", pa.float64(), nullable=False),
        pa.field("fill_price", pa.float64(), nullable=False),
        pa.field("fill_value_e8", pa.int64(), nullable=False),
        pa.field("fill_fee_e8", pa.int64(), nullable=False),
        pa.field("value_unit", pa.string(), nullable=False),
        pa.field("fee_unit", pa.string(), nullable=False),
    ]
)
"""An entry is a change of an order, in the order they happened; `side` is BUY or SELL.

`quantity`, `filled` (so far) and `fill` (by this change, 0 if it is no fill) are in units,
`fill_price` a unit's. Value and fee are 10^-8 of their unit. `stream` is whose quotes it is held
against. An entry that comes twice counts twice.
"""

POSITIONS = pa.schema(
    [
        pa.field("holding", pa.string(), nullable=False),
        pa.field("time_ns", pa.int64(), nullable=False),
        pa.field("unit", pa.string(), nullable=False),
        pa.field("profit_e8", pa.int64(), nullable=False),
    ]
)
"""An entry is what a holding has come to; the profits of holdings of one unit are added up."""

QUOTES = pa.schema(
    [
        pa.field("stream", pa.string(), nullable=False),
        pa.field("time_ns", pa.int64(), nullable=False),
        pa.field("mid", pa.float64(), nullable=False),
    ]
)
"""An entry is a best bid and ask with a middle; times of a stream never run backwards."""

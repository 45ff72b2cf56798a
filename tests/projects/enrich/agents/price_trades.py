"""Trades with what the table of instruments says of them."""

import pyarrow as pa

from headrace import Batch, Output
from headrace.operators import Lookup, ReferenceRows, operator_table
from headrace.state.tables import ObjectState

INSTRUMENTS = Lookup(
    "reference.instrument.v1",
    key=("venue", "instrument"),
    row=pa.schema({"tick_nanos": pa.int64(), "desk": pa.string()}),
    missing="dead",
)
TABLE = operator_table("price_trades.row_by_operator.v1", {"instruments": INSTRUMENTS})


def price_trades(batch: Batch, state: ObjectState[ReferenceRows]) -> Output:
    """Return each trade with its instrument's tick and desk; one of no instrument is dead."""
    found = INSTRUMENTS.add(state.edit("instruments"), batch)
    return Output(
        {"sample.priced.v1": found.records},
        found.dead,
        found.counts,
        causes={"sample.priced.v1": found.causes},
    )

"""The trading records as rows: what the per-order paths read from and write to columns."""

from collections.abc import Sequence
from functools import lru_cache
from typing import TypeVar

import msgspec
import pyarrow as pa

BUY = "BUY"
SELL = "SELL"

R = TypeVar("R", bound=msgspec.Struct)


class OrderRequest(msgspec.Struct, frozen=True, array_like=True):
    """A row of `order.request.v1`."""

    request_id: str
    account: str
    strategy: str
    instrument: str
    source: str
    signal_sequence: int
    side: str
    quantity_lots: int
    limit_price_ticks: int
    bid_price_ticks: int
    ask_price_ticks: int
    quote_time_ns: int
    quote_valid: bool
    book_valid: bool
    request_time_ns: int


class OrderApproved(msgspec.Struct, frozen=True, array_like=True):
    """A row of `order.approved.v1`."""

    approval_id: str
    request_id: str
    account: str
    strategy: str
    instrument: str
    source: str
    signal_sequence: int
    side: str
    quantity_lots: int
    limit_price_ticks: int
    bid_price_ticks: int
    ask_price_ticks: int
    quote_time_ns: int
    request_time_ns: int
    expire_time_ns: int
    position_lots: int
    pending_lots: int
    gross_notional_e8: int


class OrderRejected(msgspec.Struct, frozen=True, array_like=True):
    """A row of `order.rejected.v1`."""

    request_id: str
    account: str
    strategy: str
    instrument: str
    source: str
    signal_sequence: int
    side: str
    quantity_lots: int
    limit_price_ticks: int
    request_time_ns: int
    check: str
    limit: int
    actual: int
    detail: str


class AccountControl(msgspec.Struct, frozen=True, array_like=True):
    """A row of `account.control.v1`."""

    account: str
    state: str
    reason: str
    event_time_ns: int


class OrderEvent(msgspec.Struct, frozen=True, array_like=True):
    """A row of `order.event.v1`."""

    client_order_id: str
    event_sequence: int
    account: str
    strategy: str
    instrument: str
    source: str
    approval_id: str
    request_id: str
    signal_sequence: int
    side: str
    state: str
    quantity_lots: int
    filled_lots: int
    fill_lots: int
    fill_price_ticks: int
    fill_fee_e8: int
    cash_delta_e8: int
    reason: str
    event_time_ns: int


class VenueOrder(msgspec.Struct, frozen=True, array_like=True):
    """A row of `venue.order.v1`."""

    client_order_id: str
    approval_id: str
    account: str
    instrument: str
    source: str
    side: str
    quantity_lots: int
    limit_price_ticks: int
    send_time_ns: int


class VenueReport(msgspec.Struct, frozen=True, array_like=True):
    """A row of `venue.report.v1`."""

    client_order_id: str
    account: str
    instrument: str
    report_sequence: int
    kind: str
    side: str
    quantity_lots: int
    price_ticks: int
    fee_e8: int
    reason: str
    venue_time_ns: int
    quote_sequence: int


class Position(msgspec.Struct, frozen=True, array_like=True):
    """A row of `position.v1`."""

    account: str
    instrument: str
    quantity_lots: int
    cash_e8: int
    fees_e8: int
    fill_count: int
    mark_price_ticks: int
    profit_e8: int
    event_time_ns: int


_ARROW_TYPES = {str: pa.string(), int: pa.int64(), bool: pa.bool_()}


@lru_cache(maxsize=32)
def schema_of(kind: type[msgspec.Struct]) -> pa.Schema:
    """Return the Arrow schema of a record type: its fields in order."""
    return pa.schema(
        [
            pa.field(each.name, _ARROW_TYPES[each.type], nullable=False)
            for each in msgspec.structs.fields(kind)
        ]
    )


def read_rows(kind: type[R], records: pa.RecordBatch) -> list[R]:
    """Return the rows of a batch; columns are found by name, so more of them do no harm."""
    if records.num_rows == 0:
        return []
    columns = [records.column(name).to_pylist() for name in kind.__struct_fields__]
    return [kind(*row) for row in zip(*columns, strict=True)]


def to_records(kind: type[msgspec.Struct], rows: Sequence[msgspec.Struct]) -> pa.RecordBatch:
    """Return the columns of these rows, in the order of the schema.

    Raises:  pyarrow.ArrowInvalid or OverflowError if a number does not fit 64 bits.
    """
    schema = schema_of(kind)
    columns = zip(*(msgspec.structs.astuple(row) for row in rows), strict=True)
    arrays = [
        pa.array(column, type=field.type) for column, field in zip(columns, schema, strict=True)
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)

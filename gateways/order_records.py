"""The trading records as a gateway's commands and reports, and as a venue's JSON."""

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from agents.trading.records import VenueOrder, VenueReport
from headrace.batch import Headers
from headrace.errors import RecordError
from headrace.gateway import Command, Report

_Int64 = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
_TYPES = {int: _Int64, str: str}
"""A longer number would fit no column."""

OrderBody = msgspec.defstruct(
    "OrderBody",
    [(each.name, _TYPES[each.type]) for each in msgspec.structs.fields(VenueOrder)],
    frozen=True,
)
"""A `VenueOrder` as a JSON object."""

ReportBody = msgspec.defstruct(
    "ReportBody",
    [
        *((each.name, _TYPES[each.type]) for each in msgspec.structs.fields(VenueReport)),
        ("is_last", bool),
    ],
    frozen=True,
)
"""A `VenueReport` as a JSON object, and whether it ends its order."""


def command_of(row: Mapping[str, Any], headers: Headers) -> Command:
    """Return the command in a record of `venue.order.v1`.

    Raises:  RecordError if it has no id, or nothing is ordered.
    """
    if not row["client_order_id"] or row["quantity_lots"] < 1 or row["limit_price_ticks"] < 1:
        raise RecordError(
            f"order {row['client_order_id']!r}: expected an id, and 1 lot or more at 1 tick or "
            f"more, found {row['quantity_lots']} at {row['limit_price_ticks']}"
        )
    return Command(row["client_order_id"], row["send_time_ns"], row, headers)


def rejection_of(command: Command, reason: str) -> Report:
    """Return the report of an order that came to nothing.

    Its time is the order's own: nothing happened at the venue, and the account's clock, which
    counts market time, must not jump to the time of day.
    """
    order = command.row
    report = VenueReport(
        client_order_id=command.id,
        account=order["account"],
        instrument=order["instrument"],
        report_sequence=1,
        kind="REJECTED",
        side=order["side"],
        quantity_lots=order["quantity_lots"],
        price_ticks=0,
        fee_e8=0,
        reason=reason,
        venue_time_ns=order["send_time_ns"],
        quote_sequence=0,
    )
    return Report(command.id, 1, True, msgspec.structs.asdict(report))


def report_of(body: msgspec.Struct) -> Report:
    """Return the report in a `ReportBody`."""
    row = msgspec.structs.asdict(body)
    is_last: bool = row.pop("is_last")
    return Report(row["client_order_id"], row["report_sequence"], is_last, row)

"""The paper venue: answer orders by the recorded quotes, whatever order the two arrive in."""

import numpy as np
import pyarrow as pa

from agents.trading.groups import fresh_sequences, rows_by_name
from agents.trading.outbox import Outbox
from agents.trading.pages import SectionCodec
from agents.trading.paper_venue import (
    WAITING_ORDERS_MAX,
    PaperVenueRules,
    StreamVenue,
    answer,
    refuse,
    remember,
)
from agents.trading.quote_history import QUOTE_HISTORY_MAX, SEQUENCE, TIME
from agents.trading.records import VenueOrder, VenueReport, read_rows
from headrace import Batch, ObjectTable, Output, Part
from headrace.batch import IntArray
from headrace.state.tables import ObjectState
from schemas import topics
from schemas.instruments import UnknownInstrumentError, instrument_of
from schemas.streams import instrument_in, stream_of, streams_of

SLICE_RECORDS = 8_192
"""Records looked at together: quotes first, then orders. Far below the history's length, so that
taking quotes first never pushes out what an order beside them needs."""

QUOTE_COLUMNS = (
    "receive_time_ns",
    "sequence",
    "bid_price_ticks",
    "bid_size_lots",
    "ask_price_ticks",
    "ask_size_lots",
)


def venue_table(quotes_max: int = QUOTE_HISTORY_MAX) -> ObjectTable[StreamVenue]:
    """Return the table with a history of `quotes_max` quotes, a multiple of a page."""
    codec = SectionCodec[StreamVenue](lambda _: StreamVenue(quotes_max))
    return ObjectTable("simulate_venue.venue_by_stream.v1", codec)


TABLE = venue_table()


def simulate_venue(batch: Batch, state: ObjectState[StreamVenue], venue: PaperVenueRules) -> Output:
    """Return the reports of the orders whose prevailing quote is known.

    An order's answer depends on the order of orders and the order of quotes in their topics, not on
    how the two are interleaved or cut into batches; only where a written limit is reached
    (`quote_history_exceeded`, `waiting_orders_limit`) does the distance between them show.

    Reads:   venue.order.v1, market.quote.v1, in this order.  Writes: venue.report.v1.
    Counts:  `order_*` and `quote_*`: with the dead rows each sums to the records read of its topic.
             `answer_*` are the orders answered, now or after waiting.
    """
    orders, quotes = batch.parts
    order_rows = read_rows(VenueOrder, orders.records)
    box = Outbox()
    columns, streams = _quote_columns(quotes)
    for start in range(0, len(batch), SLICE_RECORDS):
        parts = batch.order_parts[start : start + SLICE_RECORDS]
        rows = batch.order_rows[start : start + SLICE_RECORDS]
        causes: dict[str, int] = {}
        quote_places = np.flatnonzero(parts == 1)
        if len(quote_places):
            found = rows[quote_places]
            for stream, group in zip(*rows_by_name(streams.take(pa.array(found))), strict=True):
                _append(stream, found[group], columns, state, box)
                causes[stream] = start + int(quote_places[group[-1]])
        for place in np.flatnonzero(parts == 0).tolist():
            order = order_rows[int(rows[place])]
            causes[stream_of(order.source, order.instrument)] = start + place
            _accept(order, state, venue, box, start + place)
        for stream, cause in causes.items():
            _answer_waiting(stream, state, venue, box, cause)
    return box.output()


def _quote_columns(part: Part) -> tuple[IntArray, pa.Array]:
    records = part.records
    columns = np.stack([records.column(name).to_numpy() for name in QUOTE_COLUMNS])
    return columns, streams_of(records)


def _append(
    stream: str, rows: IntArray, columns: IntArray, state: ObjectState[StreamVenue], box: Outbox
) -> None:
    """Add a stream's quotes to its history; repeats and times running backwards are not."""
    try:
        instrument_of(instrument_in(stream))
    except UnknownInstrumentError:
        box.count("quote_instrument_unknown", len(rows))
        return
    history = state.edit(stream).quotes
    found = columns[:, rows]
    fresh = fresh_sequences(found[SEQUENCE], history.last_sequence)
    box.count("quote_duplicate", int(np.count_nonzero(~fresh)))
    rows, found = rows[fresh], found[:, fresh]
    highest = np.maximum.accumulate(np.maximum(found[TIME], history.last_time_ns))
    ordered = found[TIME] == highest
    for place in np.flatnonzero(~ordered).tolist():
        detail = f"{stream!r}: expected {highest[place]} ns or later, found {found[TIME, place]}"
        box.bury(1, int(rows[place]), "quote_time_backwards", detail)
    history.append(found if ordered.all() else found[:, ordered])
    box.count("quote_recorded", int(np.count_nonzero(ordered)))


def _accept(
    order: VenueOrder,
    state: ObjectState[StreamVenue],
    venue: PaperVenueRules,
    box: Outbox,
    cause: int,
) -> None:
    """Put an order in its stream's queue, or refuse it."""
    try:
        instrument_of(order.instrument)
    except UnknownInstrumentError:
        _emit(refuse(order, "instrument_unknown", venue), box, cause)
        box.count("order_refused")
        return
    side = state.edit(stream_of(order.source, order.instrument))
    waiting = side.desk.read().waiting
    if len(waiting) < WAITING_ORDERS_MAX:
        side.desk.edit().waiting.append(order)
        box.count("order_accepted")
        return
    reports = refuse(order, "waiting_orders_limit", venue)
    known = any(order.client_order_id == each.client_order_id for each in waiting)
    if known or order.client_order_id in side.done:
        # Its own answer is remembered, or is still to come: this one would contradict it.
        box.count("order_repeated")
        return
    remember(order, reports, side)
    _emit(reports, box, cause)
    box.count("order_refused")


def _answer_waiting(
    stream: str,
    state: ObjectState[StreamVenue],
    venue: PaperVenueRules,
    box: Outbox,
    cause: int,
) -> None:
    """Answer orders strictly in the order of their topic: one that waits holds those behind it.

    So what our earlier orders took of a quote doesn't depend on when the quotes came.
    """
    side = state.read(stream)
    if side is None or not side.desk.read().waiting:
        return
    instrument = instrument_of(instrument_in(stream))
    answered = 0
    for order in side.desk.read().waiting:
        repeated = order.client_order_id in side.done
        reports = answer(order, side, instrument, venue)
        if reports is None:
            break
        answered += 1
        _emit(reports, box, cause)
        box.count("answer_repeated" if repeated else f"answer_{reports[-1].reason or 'filled'}")
    if answered:
        state.edit(stream)
        del side.desk.edit().waiting[:answered]


def _emit(reports: tuple[VenueReport, ...], box: Outbox, cause: int) -> None:
    for report in reports:
        box.emit(topics.VENUE_REPORT, report, cause=cause)

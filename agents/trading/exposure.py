"""What risk remembers of an account: its state, positions, reservations and recent approvals."""

import msgspec

from agents.trading.amounts import notional_e8
from agents.trading.controls import ControlState
from agents.trading.pages import Box, PagedMap, Section
from agents.trading.rates import RateWindow
from agents.trading.records import BUY, OrderEvent, OrderRequest
from agents.trading.signals import SignalLog
from headrace.errors import RecordError
from schemas.instruments import Instrument

TERMINAL_STATES = frozenset({"FILLED", "CANCELED", "REJECTED"})

INSTRUMENT_PAGES = 16
RESERVATION_PAGES = 32
"""Pages the maps spread over: with every limit reached, a page stays below 10 KB."""


class EventRefusedError(RecordError):
    """An order event that contradicts the order it names; `cause` is its stable code."""

    def __init__(self, cause: str, detail: str) -> None:
        super().__init__(detail)
        self.cause = cause


class Head(msgspec.Struct, array_like=True):
    """An account's own page: below 6 KB."""

    gross_notional_e8: int = 0
    rate: RateWindow = msgspec.field(default_factory=RateWindow)


class InstrumentRisk(msgspec.Struct, array_like=True):
    """What an account has and may come to have of an instrument; lots are signed for position."""

    position_lots: int = 0
    reserved_buy_lots: int = 0
    reserved_sell_lots: int = 0
    mark_price_ticks: int = 0
    gross_notional_e8: int = 0
    rate: RateWindow = msgspec.field(default_factory=RateWindow)


class Reservation(msgspec.Struct, array_like=True):
    """What an approved order may still fill."""

    instrument: str
    side: str
    quantity_lots: int
    filled_lots: int = 0
    event_sequence: int = 0


class AccountRisk:
    """Everything about one account. Filled + reserved stays within the limit whatever comes."""

    def __init__(self) -> None:
        self.control = Box(ControlState, ControlState())
        self.head = Box(Head, Head())
        self.signals = SignalLog()
        self.instruments = PagedMap(InstrumentRisk, INSTRUMENT_PAGES)
        self.reservations = PagedMap(Reservation, RESERVATION_PAGES)

    @property
    def sections(self) -> tuple[Section, ...]:
        """Return the sections, in the order of their pages."""
        return (
            self.control,
            self.head,
            *self.signals.sections,
            self.instruments,
            self.reservations,
        )

    def edit_instrument(self, name: str) -> InstrumentRisk:
        """Return an instrument's figures for changing them; new ones if there are none."""
        return self.instruments.edit_or_add(name, InstrumentRisk)


def lots_at_most(risk: InstrumentRisk, *, buy_lots: int = 0, sell_lots: int = 0) -> int:
    """Return the largest position, either way, that open orders (and these lots) can lead to."""
    long_lots = risk.position_lots + risk.reserved_buy_lots + buy_lots
    short_lots = risk.reserved_sell_lots + sell_lots - risk.position_lots
    return max(long_lots, short_lots)


def reserve(account: AccountRisk, request: OrderRequest, instrument: Instrument) -> InstrumentRisk:
    """Set an approved request's lots aside and return what the account then has at risk."""
    risk = account.edit_instrument(request.instrument)
    if request.side == BUY:
        risk.reserved_buy_lots += request.quantity_lots
    else:
        risk.reserved_sell_lots += request.quantity_lots
    account.reservations.put(
        request.request_id, Reservation(request.instrument, request.side, request.quantity_lots)
    )
    revalue(account, risk, instrument)
    return risk


def settle(account: AccountRisk, event: OrderEvent, instrument: Instrument) -> str:
    """Move what an order event filled from reserved to position; free the rest if the order ended.

    `filled_lots` of an event is cumulative and the ending event has the final number, so repeats
    and reordering change nothing. Returns the name of the count.
    Raises:  EventRefusedError if the event contradicts the approval.
    """
    found = account.reservations.edit(event.request_id)
    if found is None:
        return "event_finished"
    _require_consistent(event, found)
    filled = max(0, event.filled_lots - found.filled_lots)
    ended = event.state in TERMINAL_STATES
    if filled == 0 and not ended and event.event_sequence <= found.event_sequence:
        return "event_duplicate"
    freed = found.quantity_lots - found.filled_lots if ended else filled
    risk = account.edit_instrument(found.instrument)
    if found.side == BUY:
        risk.position_lots += filled
        risk.reserved_buy_lots -= freed
    else:
        risk.position_lots -= filled
        risk.reserved_sell_lots -= freed
    if ended:
        account.reservations.remove(event.request_id)
    else:
        found.filled_lots += filled
        found.event_sequence = max(found.event_sequence, event.event_sequence)
    revalue(account, risk, instrument)
    return "event_applied"


def revalue(account: AccountRisk, risk: InstrumentRisk, instrument: Instrument) -> None:
    """Value an instrument's largest possible position at its mark; the account's sum follows."""
    value = notional_e8(instrument, risk.mark_price_ticks, lots_at_most(risk))
    if value != risk.gross_notional_e8:
        account.head.edit().gross_notional_e8 += value - risk.gross_notional_e8
        risk.gross_notional_e8 = value


def _require_consistent(event: OrderEvent, found: Reservation) -> None:
    expected = (found.instrument, found.side, found.quantity_lots)
    given = (event.instrument, event.side, event.quantity_lots)
    if expected != given:
        raise EventRefusedError("event_mismatch", f"expected {expected}, found {given}")
    if not 0 <= event.filled_lots <= found.quantity_lots:
        raise EventRefusedError(
            "event_overfill",
            f"expected 0 to {found.quantity_lots} lots filled, found {event.filled_lots}",
        )
    if event.state == "FILLED" and event.filled_lots != found.quantity_lots:
        raise EventRefusedError(
            "event_mismatch",
            f"FILLED with {event.filled_lots} of {found.quantity_lots} lots",
        )
    if event.state in TERMINAL_STATES and event.filled_lots < found.filled_lots:
        raise EventRefusedError(
            "event_mismatch",
            f"ended with {event.filled_lots} lots, fewer than the {found.filled_lots} before",
        )

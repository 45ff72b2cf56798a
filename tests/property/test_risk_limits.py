"""Filled + reserved stays within every limit, whatever requests, order events and controls come."""

from dataclasses import dataclass
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from agents.check_risk import TABLE, check_risk
from agents.trading.amounts import notional_e8
from agents.trading.controls import EVERY_ACCOUNT, TIGHTNESS
from agents.trading.exposure import lots_at_most
from agents.trading.limits import AccountLimits, InstrumentLimits, RiskLimits
from agents.trading.records import AccountControl, OrderRequest
from headrace import Output
from schemas import topics
from schemas.instruments import E8, instrument_of
from tests.examples import examples
from tests.trading_batches import (
    ASK_TICKS,
    PERP,
    RISK_READS,
    SPOT,
    START_NS,
    merged,
    request,
    rows_of,
)
from tests.unit.test_check_risk import event

LIMITS = AccountLimits(
    rate_instrument_max=100,
    rate_account_max=100,
    open_orders_max=6,
    gross_notional_max_e8=2_000 * E8,
    instruments={
        SPOT: InstrumentLimits(True, 2 * 10**6, 3 * 10**6),
        PERP: InstrumentLimits(True, 9 * 10**8, 12 * 10**8),
    },
)
REQUESTS, EVENTS, CONTROLS = 1, 2, 0
SOURCES = ["first", "second"]


@dataclass
class PlainOrder:
    """An approved order by itself: what was filled of it, and whether it has ended."""

    asked: OrderRequest
    filled: int = 0
    ended: bool = False

    @property
    def sign(self) -> int:
        """Return 1 for a purchase, -1 for a sale."""
        return 1 if self.asked.side == "BUY" else -1

    @property
    def open(self) -> int:
        """Return what may still be filled."""
        return 0 if self.ended else self.asked.quantity_lots - self.filled


class RiskMachine(RuleBasedStateMachine):
    """Requests, order events (late, repeated, out of order), controls and restarts, at random.

    The model is a list of orders: what is held and what is open is summed up anew each time.
    """

    def __init__(self) -> None:
        super().__init__()
        self.state = TABLE.open()
        self.pages: dict[Any, bytes | None] = {}
        self.sequences = dict.fromkeys(SOURCES, 0)
        self.asked: list[OrderRequest] = []
        self.orders: dict[str, PlainOrder] = {}
        self.controls: dict[str, tuple[str, int]] = {}

    def run_agent(self, arrivals: list[tuple[int, Any]]) -> Output:
        batch = merged(RISK_READS, arrivals)
        return check_risk(batch, self.state, RiskLimits({"paper": LIMITS}))

    def control_in_force(self) -> str:
        words = [word for word, _ in self.controls.values()]
        return max([*words, "ACTIVE"], key=TIGHTNESS.__getitem__)

    def of(self, name: str) -> list[PlainOrder]:
        return [order for order in self.orders.values() if order.asked.instrument == name]

    def position(self, name: str) -> int:
        return sum(order.sign * order.filled for order in self.of(name))

    def open_lots(self, name: str, side: str) -> int:
        return sum(order.open for order in self.of(name) if order.asked.side == side)

    def largest(self, name: str, extra: OrderRequest | None = None) -> int:
        """Return the largest position, either way, that open orders and one more can lead to."""
        buys, sells = self.open_lots(name, "BUY"), self.open_lots(name, "SELL")
        if extra is not None and extra.instrument == name:
            buys += extra.quantity_lots if extra.side == "BUY" else 0
            sells += extra.quantity_lots if extra.side == "SELL" else 0
        return max(self.position(name) + buys, sells - self.position(name))

    def worth(self, name: str, lots: int) -> int:
        """Return what lots are worth at the dearest price here: the mid, or every limit."""
        return notional_e8(instrument_of(name), ASK_TICKS, max(0, lots))

    def must_refuse(self, asked: OrderRequest) -> bool:
        """Say whether some limit or control forbids a request, by plain sums."""
        name, quantity = asked.instrument, asked.quantity_lots
        control = self.control_in_force()
        sign = 1 if asked.side == "BUY" else -1
        side_lots = sign * self.position(name) + self.open_lots(name, asked.side) + quantity
        closable = -sign * self.position(name) - self.open_lots(name, asked.side)
        limits = LIMITS.of_instrument(instrument_of(name))
        return (
            control == "HALTED"
            or (control == "REDUCING" and quantity > max(0, closable))
            or quantity > limits.max_quantity_lots
            or sum(not order.ended for order in self.orders.values()) >= LIMITS.open_orders_max
            or side_lots > limits.max_position_lots
        )

    @rule(
        source=st.sampled_from(SOURCES),
        name=st.sampled_from([SPOT, PERP]),
        side=st.sampled_from(["BUY", "SELL"]),
        size=st.integers(1, 10),
        twice=st.booleans(),
    )
    def ask(self, source: str, name: str, side: str, size: int, twice: bool) -> None:
        self.sequences[source] += 1
        lots = size * (10**8 if name == PERP else 200_000)
        asked = request(
            self.sequences[source], source=source, instrument=name, side=side, quantity_lots=lots
        )
        self.asked.append(asked)
        forbidden = self.must_refuse(asked)
        gross_after = sum(self.worth(each, self.largest(each, asked)) for each in (SPOT, PERP))

        output = self.run_agent([(REQUESTS, asked)] * (2 if twice else 1))

        approved = rows_of(output, topics.ORDER_APPROVED)
        assert len(approved) <= 1
        assert output.counts.get("request_rejected_duplicate_request", 0) == twice
        assert not (approved and forbidden)
        if not forbidden and gross_after <= LIMITS.gross_notional_max_e8:
            assert approved, output.counts
        if approved:
            self.orders[asked.request_id] = PlainOrder(asked)

    @precondition(lambda self: self.asked)
    @rule(data=st.data())
    def ask_again(self, data: st.DataObject) -> None:
        output = self.run_agent([(REQUESTS, data.draw(st.sampled_from(self.asked)))])

        assert output.counts == {"request_rejected_duplicate_request": 1}

    @precondition(lambda self: self.orders)
    @rule(
        data=st.data(),
        lots=st.integers(0, 10**9),
        word=st.sampled_from(["SENT", "PARTIALLY_FILLED", "CANCELED"]),
        late=st.booleans(),
    )
    def follow(self, data: st.DataObject, lots: int, word: str, late: bool) -> None:
        """Tell risk of an order's next event, and of an earlier one again."""
        order = self.orders[data.draw(st.sampled_from(sorted(self.orders)))]
        asked = order.asked
        if not order.ended:
            order.filled = min(asked.quantity_lots, order.filled + (lots if word != "SENT" else 0))
            order.ended = word == "CANCELED" or order.filled == asked.quantity_lots
        ended = "FILLED" if order.filled == asked.quantity_lots else "CANCELED"
        place = 50 if order.ended else order.filled
        new = event(asked, place, ended if order.ended else word, order.filled)
        old = event(asked, 1, "PARTIALLY_FILLED", order.filled // 2)
        told = [old, new, old] if late else [new, new]

        output = self.run_agent([(EVENTS, each) for each in told])

        assert sum(output.counts.values()) == len(told)

    @rule(
        account=st.sampled_from([EVERY_ACCOUNT, "paper"]),
        word=st.sampled_from([*TIGHTNESS]),
        after_ns=st.integers(-3, 3),
    )
    def control(self, account: str, word: str, after_ns: int) -> None:
        """Say a word whose time may be before that of the word in force."""
        before, said_ns = self.controls.get(account, ("ACTIVE", 0))
        time_ns = START_NS + after_ns
        stale = TIGHTNESS[word] < TIGHTNESS[before] and time_ns < said_ns

        output = self.run_agent([(CONTROLS, AccountControl(account, word, "test", time_ns))])

        assert output.counts == {"control_stale" if stale else "control_applied": 1}
        if not stale:
            self.controls[account] = (word, max(said_ns, time_ns))

    @rule()
    def restart(self) -> None:
        self.pages |= self.state.changes()
        self.state = TABLE.open()
        self.state.restore({key: page for key, page in self.pages.items() if page is not None})

    @invariant()
    def positions_and_reservations_are_the_models(self) -> None:
        account = self.state.read("paper")
        if account is None:
            return
        gross = 0
        for name in (SPOT, PERP):
            risk = account.instruments.read(name)
            if risk is None:
                assert not self.of(name)
                continue
            assert risk.position_lots == self.position(name)
            assert risk.reserved_buy_lots == self.open_lots(name, "BUY")
            assert risk.reserved_sell_lots == self.open_lots(name, "SELL")
            limit = LIMITS.of_instrument(instrument_of(name)).max_position_lots
            assert self.largest(name) == lots_at_most(risk) <= limit
            value = notional_e8(instrument_of(name), risk.mark_price_ticks, self.largest(name))
            assert risk.gross_notional_e8 == value
            gross += value
        assert account.head.read().gross_notional_e8 == gross <= LIMITS.gross_notional_max_e8
        assert len(account.reservations) == sum(not each.ended for each in self.orders.values())


RiskMachine.TestCase.settings = settings(
    max_examples=examples(80), stateful_step_count=40, deadline=None
)
test_filled_and_reserved_stay_within_every_limit = RiskMachine.TestCase

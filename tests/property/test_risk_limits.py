"""Filled + reserved stays within every limit, whatever requests and order events come, and how."""

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, multiple, rule

from agents.check_risk import TABLE, check_risk
from agents.trading.amounts import notional_e8
from agents.trading.exposure import lots_at_most
from agents.trading.limits import AccountLimits, InstrumentLimits, RiskLimits
from agents.trading.records import AccountControl, OrderRequest
from headrace import Output
from schemas import topics
from schemas.instruments import E8, instrument_of
from tests.trading_batches import (
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


class RiskMachine(RuleBasedStateMachine):
    """Requests, order events (late, repeated, out of order), controls and restarts, at random.

    `truth` follows each approved order by itself: filled so far, and whether it has ended.
    """

    orders = Bundle("orders")

    def __init__(self) -> None:
        super().__init__()
        self.state = TABLE.open()
        self.pages = {}
        self.sequence = 0
        self.account_state = "ACTIVE"
        self.truth = {}

    def run_agent(self, arrivals: list[Any]) -> Output:
        batch = merged(RISK_READS, arrivals)
        return check_risk(batch, self.state, RiskLimits({"paper": LIMITS}))

    @rule(
        target=orders,
        name=st.sampled_from([SPOT, PERP]),
        side=st.sampled_from(["BUY", "SELL"]),
        size=st.integers(1, 10),
        repeat=st.booleans(),
    )
    def ask(self, name: str, side: str, size: int, repeat: bool) -> Any:
        self.sequence += 1
        lots = size * (10**8 if name == PERP else 200_000)
        asked = request(self.sequence, instrument=name, side=side, quantity_lots=lots)
        arrivals = [(1, asked)] * (2 if repeat else 1)

        output = self.run_agent(arrivals)

        approved = rows_of(output, topics.ORDER_APPROVED)
        assert len(approved) <= 1
        if not approved:
            return multiple()
        assert self.account_state != "HALTED"
        self.truth[asked.request_id] = [asked, 0, False]
        return asked

    @rule(
        asked=orders,
        lots=st.integers(0, 10**9),
        state=st.sampled_from(["SENT", "PARTIALLY_FILLED", "CANCELED"]),
        late=st.booleans(),
    )
    def follow(self, asked: OrderRequest, lots: int, state: Any, late: bool) -> None:
        """Tell risk of an order's next event, and of an earlier one again."""
        entry = self.truth[asked.request_id]
        if not entry[2]:
            entry[1] = min(asked.quantity_lots, entry[1] + (lots if state != "SENT" else 0))
            entry[2] = state == "CANCELED" or entry[1] == asked.quantity_lots
        ended = "FILLED" if entry[1] == asked.quantity_lots else "CANCELED"
        new = event(asked, 50 if entry[2] else entry[1], ended if entry[2] else state, entry[1])
        old = event(asked, 1, "PARTIALLY_FILLED", entry[1] // 2)
        self.run_agent([(2, old), (2, new), (2, old)] if late else [(2, new), (2, new)])

    @rule(state=st.sampled_from(["ACTIVE", "REDUCING", "HALTED"]))
    def control(self, state: Any) -> None:
        self.account_state = state
        self.run_agent([(0, AccountControl("paper", state, "test", START_NS))])

    @rule()
    def restart(self) -> None:
        self.pages |= self.state.changes()
        self.state = TABLE.open()
        self.state.restore({key: page for key, page in self.pages.items() if page is not None})

    @invariant()
    def positions_and_reservations_are_the_truth(self) -> None:
        account = self.state.read("paper")
        if account is None:
            return
        gross = 0
        for name in (SPOT, PERP):
            risk = account.instruments.read(name)
            if risk is None:
                continue
            orders = [entry for entry in self.truth.values() if entry[0].instrument == name]
            signed = [e[1] if e[0].side == "BUY" else -e[1] for e in orders]
            open_lots = {
                side: sum(
                    e[0].quantity_lots - e[1] for e in orders if e[0].side == side and not e[2]
                )
                for side in ("BUY", "SELL")
            }
            assert risk.position_lots == sum(signed)
            assert risk.reserved_buy_lots == open_lots["BUY"]
            assert risk.reserved_sell_lots == open_lots["SELL"]
            limit = LIMITS.of_instrument(instrument_of(name)).max_position_lots
            assert risk.position_lots + risk.reserved_buy_lots <= limit
            assert risk.reserved_sell_lots - risk.position_lots <= limit
            value = notional_e8(instrument_of(name), risk.mark_price_ticks, lots_at_most(risk))
            assert risk.gross_notional_e8 == value
            gross += value
        assert account.head.read().gross_notional_e8 == gross <= LIMITS.gross_notional_max_e8
        assert len(account.reservations) <= LIMITS.open_orders_max


RiskMachine.TestCase.settings = settings(max_examples=100, stateful_step_count=50, deadline=None)
test_filled_and_reserved_stay_within_every_limit = RiskMachine.TestCase

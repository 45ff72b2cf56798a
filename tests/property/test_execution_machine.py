"""Execution under approvals, reports, controls and restarts in any order, against a plain model."""

from dataclasses import dataclass, field
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from agents.execute_orders import TABLE, execute_orders
from agents.trading.controls import EVERY_ACCOUNT, TIGHTNESS
from agents.trading.order_state import END_STATES
from agents.trading.records import AccountControl, OrderApproved, OrderEvent, VenueReport
from headrace import Output
from schemas import topics
from tests.examples import examples
from tests.trading_batches import ASK_TICKS, EXECUTE_READS, PERP, SPOT, START_NS, merged, rows_of
from tests.unit.test_execute_orders import PARTS, approval, report

SOURCES = ["first", "second"]
SIDES = st.sampled_from(["BUY", "SELL"])
KINDS = st.sampled_from(["ACKNOWLEDGED", "FILLED", "FILLED", "FILLED", "CANCELED", "REJECTED"])
SEQUENCES_MAX = 5
"""Reports of one order: fewer than may be held, so that the model needs no such limit."""


REPORTS = st.lists(
    st.tuples(st.integers(1, SEQUENCES_MAX), KINDS, st.integers(1, 3)), min_size=1, max_size=10
)
WORDS = st.sampled_from(["ACTIVE", "ACTIVE", "ACTIVE", "REDUCING", "HALTED"])


@dataclass
class PlainOrder:
    """An order as its reports by sequence; None for a fill that was one too many."""

    approved: OrderApproved
    reports: dict[int, VenueReport | None] = field(default_factory=dict)

    def receive(self, sent: VenueReport) -> None:
        """Keep the first report of each sequence, while the order lives."""
        if self.state in END_STATES or sent.report_sequence in self.reports:
            return
        lots = sum(each.quantity_lots for each in self.reports.values() if is_fill(each))
        too_many = is_fill(sent) and lots + sent.quantity_lots > self.approved.quantity_lots
        self.reports[sent.report_sequence] = None if too_many else sent

    @property
    def applied(self) -> list[VenueReport]:
        """Return the reports without a gap before them, up to the one that ends the order."""
        found: list[VenueReport] = []
        sequence = 1
        while sequence in self.reports:
            each = self.reports[sequence]
            found += [] if each is None else [each]
            filled = sum(one.quantity_lots for one in found if is_fill(one))
            ended = each is not None and each.kind in {"CANCELED", "REJECTED"}
            if ended or filled == self.approved.quantity_lots:
                break
            sequence += 1
        return found

    @property
    def filled_lots(self) -> int:
        """Return the sum of the fills applied."""
        return sum(each.quantity_lots for each in self.applied if is_fill(each))

    @property
    def state(self) -> str:
        """Return where the reports applied have brought it."""
        kinds = [each.kind for each in self.applied]
        if self.filled_lots == self.approved.quantity_lots:
            return "FILLED"
        if kinds and kinds[-1] == "REJECTED" and not self.filled_lots:
            return "REJECTED"
        if kinds and kinds[-1] in {"CANCELED", "REJECTED"}:
            return "CANCELED"
        if self.filled_lots:
            return "PARTIALLY_FILLED"
        return "ACKNOWLEDGED" if kinds else "SENT"


def is_fill(sent: VenueReport | None) -> bool:
    return sent is not None and sent.kind == "FILLED"


class ExecutionMachine(RuleBasedStateMachine):
    """Sends what may come, in any order, and follows it in a model without state machines."""

    def __init__(self) -> None:
        super().__init__()
        self.state = TABLE.open()
        self.pages: dict[Any, bytes | None] = {}
        self.sequences = dict.fromkeys(SOURCES, 0)
        self.approvals: list[OrderApproved] = []
        self.sent: list[VenueReport] = []
        self.orders: dict[str, PlainOrder] = {}
        self.refused: set[str] = set()
        self.controls = {EVERY_ACCOUNT: "ACTIVE", "paper": "ACTIVE"}
        self.events: list[OrderEvent] = []
        self.venue_orders: list[str] = []

    def run_agent(self, *rows: Any) -> Output:
        output = execute_orders(
            merged(EXECUTE_READS, [(PARTS[type(row)], row) for row in rows]), self.state
        )
        self.events += rows_of(output, topics.ORDER_EVENT)
        self.venue_orders += [each.client_order_id for each in rows_of(output, topics.VENUE_ORDER)]
        return output

    @property
    def control_in_force(self) -> str:
        return max(self.controls.values(), key=TIGHTNESS.__getitem__)

    def position(self, name: str) -> int:
        return sum(
            order.filled_lots * (1 if order.approved.side == "BUY" else -1)
            for order in self.orders.values()
            if order.approved.instrument == name
        )

    def may_send(self, approved: OrderApproved) -> bool:
        """Say whether the controls let an order pass: REDUCING lets what closes the position."""
        if self.control_in_force != "REDUCING":
            return self.control_in_force == "ACTIVE"
        closing = sum(
            order.approved.quantity_lots - order.filled_lots
            for order in self.orders.values()
            if order.state not in END_STATES
            and order.approved.instrument == approved.instrument
            and order.approved.side == approved.side
        )
        sign = -1 if approved.side == "BUY" else 1
        held = sign * self.position(approved.instrument)
        return approved.quantity_lots <= max(0, held - closing)

    @rule(
        source=st.sampled_from(SOURCES),
        name=st.sampled_from([SPOT, PERP]),
        side=SIDES,
        sizes=st.lists(st.integers(1, 5), min_size=1, max_size=3),
        twice=st.booleans(),
    )
    def ask(self, source: str, name: str, side: str, sizes: list[int], twice: bool) -> None:
        """Approve the next signals of a source, all on one side."""
        for lots in sizes:
            self.approve(source, name, side, lots, twice=twice)

    def approve(self, source: str, name: str, side: str, lots: int, *, twice: bool) -> None:
        """Approve a signal; all within a second, so that none expires."""
        self.sequences[source] += 1
        sequence = self.sequences[source]
        approved = approval(
            sequence,
            source=source,
            instrument=name,
            side=side,
            quantity_lots=lots,
            request_time_ns=START_NS + sequence,
        )
        passes = self.may_send(approved)
        self.approvals.append(approved)

        output = self.run_agent(*[approved] * (2 if twice else 1))

        identity = rows_of(output, topics.ORDER_EVENT)[0].client_order_id
        assert output.counts.get("approval_duplicate", 0) == twice
        assert (identity in self.venue_orders) == passes
        if passes:
            self.orders[identity] = PlainOrder(approved)
        else:
            self.refused.add(identity)

    @precondition(lambda self: self.approvals)
    @rule(data=st.data())
    def approve_again(self, data: st.DataObject) -> None:
        output = self.run_agent(data.draw(st.sampled_from(self.approvals)))

        assert output.counts == {"approval_duplicate": 1}

    @precondition(lambda self: self.orders)
    @rule(data=st.data(), reports=REPORTS)
    def say(self, data: st.DataObject, reports: list[tuple[int, str, int]]) -> None:
        """Let the venue say anything of any order, in its place or out of it."""
        live = [each for each in self.orders.values() if each.state not in END_STATES]
        approved = data.draw(st.sampled_from((live or [*self.orders.values()])[-3:])).approved
        for sequence, kind, lots in reports:
            self.deliver(report(approved, sequence, kind, lots, ASK_TICKS + sequence))

    @precondition(lambda self: self.approvals)
    @rule(data=st.data(), sequence=st.integers(1, SEQUENCES_MAX), kind=KINDS)
    def say_of_any(self, data: st.DataObject, sequence: int, kind: str) -> None:
        """Speak of any signal there was: its order may have ended or never have been sent."""
        approved = data.draw(st.sampled_from(self.approvals))
        self.deliver(report(approved, sequence, kind, 1))

    @precondition(lambda self: self.sent)
    @rule(data=st.data())
    def say_again(self, data: st.DataObject) -> None:
        self.deliver(data.draw(st.sampled_from(self.sent)))

    def deliver(self, sent: VenueReport) -> None:
        self.sent.append(sent)
        order = self.orders.get(sent.client_order_id)
        ended = order is None or order.state in END_STATES
        repeated = order is not None and sent.report_sequence in order.reports

        output = self.run_agent(sent)

        assert not (ended and output.records)
        if repeated and not ended:
            assert output.counts == {"report_duplicate": 1}
        if order is not None:
            order.receive(sent)

    @rule(account=st.sampled_from([EVERY_ACCOUNT, "paper"]), word=WORDS)
    def control(self, account: str, word: str) -> None:
        self.obey(account, word)

    @rule(name=st.sampled_from([SPOT, PERP]))
    def wind_down(self, name: str) -> None:
        """Reduce, and ask to close the whole position twice over: only the first may pass."""
        self.obey(EVERY_ACCOUNT, "ACTIVE")
        self.obey("paper", "REDUCING")
        held = self.position(name)
        side = "SELL" if held > 0 else "BUY"
        for _ in range(2):
            self.approve(SOURCES[0], name, side, max(1, abs(held)), twice=False)
        self.obey("paper", "ACTIVE")

    def obey(self, account: str, word: str) -> None:
        self.controls[account] = word
        self.run_agent(AccountControl(account, word, "test", START_NS))

    @rule()
    def restart(self) -> None:
        self.pages |= self.state.changes()
        self.state = TABLE.open()
        self.state.restore({key: page for key, page in self.pages.items() if page is not None})

    @invariant()
    def at_most_one_order_a_signal_and_none_of_a_refused_approval(self) -> None:
        assert len(self.venue_orders) == len(set(self.venue_orders))
        assert not self.refused & set(self.venue_orders)

    @invariant()
    def events_end_where_the_model_does_and_end_states_absorb(self) -> None:
        last: dict[str, OrderEvent] = {}
        for event in self.events:
            before = last.get(event.client_order_id)
            assert before is None or before.state not in END_STATES
            assert event.event_sequence == (1 if before is None else before.event_sequence + 1)
            assert event.filled_lots <= event.quantity_lots
            last[event.client_order_id] = event
        for identity, order in self.orders.items():
            assert (last[identity].state, last[identity].filled_lots) == (
                order.state,
                order.filled_lots,
            )
        for identity in self.refused:
            assert last[identity].state == "REJECTED"

    @invariant()
    def position_is_the_sum_of_unique_fills(self) -> None:
        account = self.state.read("paper")
        for name in (SPOT, PERP):
            holding = None if account is None else account.holdings.read(name)
            fills = sum(
                is_fill(each)
                for order in self.orders.values()
                if order.approved.instrument == name
                for each in order.applied
            )
            found = (0, 0) if holding is None else (holding.quantity_lots, holding.fill_count)
            assert found == (self.position(name), fills)


ExecutionMachine.TestCase.settings = settings(
    max_examples=examples(120), stateful_step_count=40, deadline=None
)
test_orders_follow_the_plain_model_whatever_comes = ExecutionMachine.TestCase

"""A gateway's processes, one after the other, in surroundings that a test controls."""

from collections.abc import Sequence
from typing import Any

from agents.trading.records import VenueOrder
from headrace.gateway import GatewayRules
from headrace.runtime.gateway_processor import GatewayProcessor
from schemas import topics as t
from tests.gateway_fakes import Doom, FakeClock, FakeVenue, KafkaLog, adopt, new_processor, part

PLACE = (t.VENUE_ORDER.name, 0)


class Bench:
    """One process after the other on the same log, with the same venue and clock."""

    def __init__(self) -> None:
        self.log, self.venue, self.clock = KafkaLog(), FakeVenue(), FakeClock()
        self.processors: list[GatewayProcessor] = []

    def start(
        self, *, doom: Doom | None = None, rules: GatewayRules | None = None
    ) -> GatewayProcessor:
        """Start a process that owns partition 0."""
        processor, self.journal, self.stats = new_processor(
            self.log, self.venue, self.clock, doom=doom, rules=rules
        )
        self.processors.append(processor)
        self.starts = adopt(processor, 0)
        return processor

    def send(self, processor: GatewayProcessor, orders: Sequence[VenueOrder], **how: Any) -> None:
        """Hand over these orders, which are all that is in the topic."""
        first = self.starts.get(PLACE, 0)
        waiting = orders[first:]
        parts = [part(waiting, self.clock.now_ns(), first=first, **how)] if waiting else []
        processor.process(parts, [], {PLACE: len(orders)})

    def idle(self, processor: GatewayProcessor, rounds: int = 60) -> None:
        """Let time pass, a fifth of a second a round."""
        for _ in range(rounds):
            self.clock.now_s += 0.2
            processor.idle()

    def kinds(self) -> list[tuple[str, str]]:
        """Return kind and reason of each report that was written."""
        return [(row["kind"], row["reason"]) for row in self.log.reports]

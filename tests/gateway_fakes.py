"""A gateway's surroundings without Kafka and without a network: both can fail at any point."""

import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Lock
from typing import Any

import msgspec
import numpy as np

from agents.trading.records import BUY, VenueOrder, VenueReport, to_records
from gateways.order_records import command_of, rejection_of
from headrace import Gateway, Part
from headrace.avro.schema import load_schema
from headrace.avro.wire import Decoder
from headrace.batch import Headers
from headrace.errors import FencedError
from headrace.gateway import (
    Absent,
    Command,
    GatewayRules,
    Known,
    Page,
    Pushed,
    Remote,
    Reply,
    Report,
    Unanswered,
)
from headrace.kafka.fetched import Offsets
from headrace.kafka.offsets import GroupMetadata
from headrace.runtime.chain import Dead
from headrace.runtime.emission import Emission, TopicCodec
from headrace.runtime.gateway_journal import Restored
from headrace.runtime.gateway_processor import GatewayProcessor
from headrace.runtime.stats import Stats
from headrace.state.pages import Changes, PageKey
from schemas import topics as t

SCHEMA = load_schema(Path(__file__).parents[1] / "schemas" / "avro", t.VENUE_REPORT.schema)
CODEC = TopicCodec(t.VENUE_REPORT, SCHEMA, 7)
ORDER_LOTS = 10
START_NS = 1_723_075_200_000_000_000


class KilledError(Exception):
    """The process ended here, as far as a test is concerned."""


class Doom:
    """Ends a process at the point numbered `at`, counted over everything it does."""

    def __init__(self, at: int | None = None) -> None:
        self.at = at
        self.passed = 0

    def point(self) -> None:
        """Pass a point, or end."""
        self.passed += 1
        if self.passed - 1 == self.at:
            raise KilledError(f"point {self.at}")


class FakeClock:
    """Seconds that pass only when a test says so; the time of day goes with them."""

    def __init__(self) -> None:
        self.now_s = 1_000.0

    def __call__(self) -> float:
        """Return the monotonic time."""
        return self.now_s

    def now_ns(self) -> int:
        """Return the time of day."""
        return START_NS + int(self.now_s * 1e9)


@dataclass
class KafkaLog:
    """What committed transactions left; every owner of a partition has a number of its own."""

    tables: dict[int, dict[str, dict[PageKey, bytes]]] = field(default_factory=dict)
    offsets: Offsets = field(default_factory=dict)
    values: list[bytes] = field(default_factory=list)
    headers: list[Headers] = field(default_factory=list)
    dead: list[Dead] = field(default_factory=list)
    owners: Counter[int] = field(default_factory=Counter)
    commits: int = 0

    @property
    def reports(self) -> list[dict[str, Any]]:
        """Return the reports written; decoded here, as a first decode takes longer than a lease."""
        decoded = Decoder(SCHEMA, lambda _: SCHEMA).decode(list(self.values))
        found: list[dict[str, Any]] = decoded.records.to_pylist()
        return found

    def sequences(self) -> dict[str, list[int]]:
        """Return the numbers of the reports of each command, in the order they were written."""
        found: dict[str, list[int]] = {}
        for row in self.reports:
            found.setdefault(row["client_order_id"], []).append(row["report_sequence"])
        return found

    def ended(self) -> Counter[str]:
        """Return how many last reports each command has: a fill in part is none."""
        return Counter(
            row["client_order_id"]
            for row in self.reports
            if row["kind"] in {"CANCELED", "REJECTED"}
            or (row["kind"] == "FILLED" and row["quantity_lots"] == ORDER_LOTS)
        )


class FakeJournal:
    """One process's hold on the log."""

    def __init__(self, log: KafkaLog, doom: Doom | None = None) -> None:
        self._log = log
        self._doom = doom or Doom()
        self._owned: dict[int, int] = {}
        self.before_commit: Callable[[], None] = lambda: None
        self.after_commit: Callable[[], None] = lambda: None

    def restore(self, partition: int, is_lost: Callable[[], bool]) -> Restored:  # noqa: ARG002 (the protocol's)
        """Return what is committed, and fence whoever had the partition before."""
        self._log.owners[partition] += 1
        return replace(self.committed(partition), source=self._log.owners[partition])

    def stand_by(self, partitions: Collection[int]) -> None:
        """Nothing is kept warm."""

    def follow(self, timeout_s: float) -> None:
        """Nothing is kept warm."""

    def discard(self, restored: Restored) -> None:
        """Nothing is open."""

    def hold(self, partition: int, restored: Restored) -> None:
        """Begin to own a partition."""
        self._owned[partition] = restored.source

    def commit(
        self,
        changes: Mapping[int, Changes],
        *,
        emissions: Sequence[Emission],
        dead: Sequence[Dead],
        offsets: Offsets,
        group: GroupMetadata,  # noqa: ARG002  (owners have numbers here)
        released: Collection[int] = (),  # noqa: ARG002  (owners have numbers here)
    ) -> None:
        """Apply everything at once, if this process still owns it all."""
        self._doom.point()
        self.before_commit()
        for partition in {*changes, *(partition for _, partition in offsets)}:
            if self._owned.get(partition) != self._log.owners[partition]:
                raise FencedError(f"partition {partition} belongs to another owner")
        for partition, tables in changes.items():
            for name, pages in tables.items():
                kept = self._log.tables.setdefault(partition, {}).setdefault(name, {})
                for key, page in pages.items():
                    kept.pop(key, None) if page is None else kept.update({key: page})
        for emission in emissions:
            self._log.values += emission.values
            self._log.headers += emission.headers or [()] * len(emission.values)
        self._log.dead += dead
        self._log.offsets |= offsets
        self._log.commits += 1
        self._doom.point()
        self.after_commit()

    def abort(self) -> None:
        """Nothing is open: a commit that failed has written nothing."""

    def committed(self, partition: int) -> Restored:
        """Return what is committed of a partition."""
        offsets = {topic: o for (topic, p), o in self._log.offsets.items() if p == partition}
        tables = self._log.tables.get(partition, {})
        return Restored({name: dict(pages) for name, pages in tables.items()}, offsets)

    def drop(self, partition: int) -> None:
        """Own a partition no longer."""
        del self._owned[partition]

    def close(self) -> None:
        """Nothing is open."""


class FakeVenue:
    """Acts on every order it gets, also on one it has had; fills when it is told to."""

    cancel_blocks = True

    def __init__(self) -> None:
        self.created: Counter[str] = Counter()
        self.blocked: set[str] = set()
        self.said: dict[str, list[Report]] = {}
        self.log: list[Pushed] = []
        self.doom = Doom()
        self.calls: Counter[str] = Counter()
        self.replies: dict[str, Reply] = {}
        """Replies to give instead of acting, by the call's name."""
        self.lost: set[str] = set()
        """Calls that are acted on, and whose replies are lost."""
        self.is_away = False
        self._lock = Lock()

    def read(self, row: Mapping[str, Any], headers: Headers) -> Command:
        """Return the command of a record."""
        return command_of(row, headers)

    def refusal(self, command: Command, reason: str) -> Report:
        """Return the report of a command that came to nothing."""
        return rejection_of(command, reason)

    def send(self, command: Command, *, expire_time_ns: int) -> Reply:  # noqa: ARG002  (the clock is fake)
        """Create an order; another one if there is one."""
        return self._act("send", lambda: self._create(command))

    def query(self, command: Command) -> Reply:
        """Say what is known."""
        return self._act("query", lambda: self._known(command))

    def cancel(self, command: Command) -> Reply:
        """End an order, or block its id."""
        return self._act("cancel", lambda: self._end(command))

    def pushed(self, after: int, limit: int) -> Page | Unanswered:
        """Return the log behind a number."""
        self.calls["pushed"] += 1
        if self.is_away:
            return Unanswered("away")
        return Page(self.log[after : after + limit], len(self.log))

    def close(self) -> None:
        """Nothing is open."""

    def fill_all(self) -> None:
        """Fill every open order in one go."""
        for identity, reports in list(self.said.items()):
            if not reports[-1].is_last:
                self._say(identity, "FILLED", is_last=True)

    def _act(self, name: str, act: Callable[[], Reply]) -> Reply:
        with self._lock:
            self.calls[name] += 1
            self.doom.point()
            if self.is_away:
                return Unanswered("away")
            reply = self.replies.get(name) or act()
            self.doom.point()
            return Unanswered("lost") if name in self.lost else reply

    def _create(self, command: Command) -> Reply:
        self.created[command.id] += 1
        self._say(command.id, "ACKNOWLEDGED", is_last=False)
        return self._known(command)

    def _known(self, command: Command) -> Reply:
        reports = self.said.get(command.id)
        return Known(tuple(reports)) if reports else Absent()

    def _end(self, command: Command) -> Reply:
        if command.id not in self.said:
            self.blocked.add(command.id)
        elif not self.said[command.id][-1].is_last:
            self._say(command.id, "CANCELED", is_last=True)
        return self._known(command)

    def _say(self, identity: str, kind: str, *, is_last: bool) -> None:
        reports = self.said.setdefault(identity, [])
        row = VenueReport(
            client_order_id=identity,
            account="paper",
            instrument="sim:S1",
            report_sequence=len(reports) + 1,
            kind=kind,
            side=BUY,
            quantity_lots=0 if kind == "ACKNOWLEDGED" else ORDER_LOTS,
            price_ticks=100 if kind == "FILLED" else 0,
            fee_e8=0,
            reason="",
            venue_time_ns=START_NS,
            quote_sequence=0,
        )
        report = Report(identity, row.report_sequence, is_last, msgspec.structs.asdict(row))
        reports.append(report)
        self.log.append(Pushed(len(self.log) + 1, report))


def order(number: int, **changed: Any) -> VenueOrder:
    """Return an order; later ones are sent later."""
    row: dict[str, Any] = {
        "client_order_id": f"order-{number}",
        "approval_id": "approval",
        "account": "paper",
        "instrument": "sim:S1",
        "source": "sim",
        "side": BUY,
        "quantity_lots": ORDER_LOTS,
        "limit_price_ticks": 100,
        "send_time_ns": START_NS + number,
    }
    return VenueOrder(**(row | changed))


def part(
    orders: Sequence[VenueOrder],
    now_ns: int,
    *,
    first: int = 0,
    partition: int = 0,
    age_ms: int = 0,
    headers: Sequence[Headers] | None = None,
) -> Part:
    """Return orders as they are read from offset `first`, written `age_ms` ago."""
    count = len(orders)
    return Part(
        t.VENUE_ORDER.name,
        partition,
        to_records(VenueOrder, orders),
        [b"value"] * count,
        [b"key"] * count,
        np.arange(first, first + count),
        np.full(count, now_ns // 1_000_000 - age_ms),
        headers,
    )


def adopt(processor: GatewayProcessor, partition: int) -> Offsets:
    """Give a partition to a processor; return from where it wants it read."""
    starts = processor.adopt(partition, processor.restore(partition, lambda: False), None)
    assert starts is not None
    return starts


def new_processor(
    log: KafkaLog,
    venue: Remote,
    clock: FakeClock | None = None,
    *,
    doom: Doom | None = None,
    rules: GatewayRules | None = None,
) -> tuple[GatewayProcessor, FakeJournal, Stats]:
    """Return the processor of a new process, its journal and its stats; the real clock if none."""
    journal, stats = FakeJournal(log, doom), Stats()
    gateway = Gateway(
        "venue",
        reads=(t.VENUE_ORDER,),
        writes=(t.VENUE_REPORT,),
        open=lambda: venue,
        rules=rules or GatewayRules(),
    )
    processor = GatewayProcessor(
        gateway,
        venue,
        journal=journal,
        codec=CODEC,
        group=lambda: None,
        stats=stats,
        clock_s=clock or time.monotonic,
        now_ns=clock.now_ns if clock else time.time_ns,
    )
    return processor, journal, stats

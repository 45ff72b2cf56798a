# ruff: noqa: ARG002  (the fakes take what the client and the lane are given)
"""What an intake reads across rebalances: everything once, whatever the client does with its place.

librdkafka moves the position of partitions that stay when others come or go: back to where they
were started, which delivers records again, or past what it had fetched and not yet delivered.
"""

from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import Future
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from headrace import limits
from headrace.avro.wire import Decoded
from headrace.kafka.consumer import Rebalance
from headrace.kafka.fetched import Fetched, Offsets, Place, RawPart
from headrace.runtime.intake import NO_ENDS, Intake
from headrace.runtime.stats import Stats
from headrace.runtime.work import Unit

TOPIC = "test.number.v1"
KEPT, MOVED = (TOPIC, 0), (TOPIC, 1)


class FakeClient:
    """A log of numbers in each partition, and a position in it that a rebalance spoils."""

    def __init__(self, log: Mapping[Place, int]) -> None:
        self.log = dict(log)
        self.positions: Offsets = {}
        self.due: list[tuple[str, Sequence[Place]]] = []
        self.spoil: dict[Place, int] = {}
        self.commits: list[Offsets] = []
        self.refused: Offsets = {}
        self.paused: set[Place] = set()

    def subscribe(self, topics: Sequence[str], rebalance: Rebalance) -> None:
        self.rebalance = rebalance

    def poll(self, records_max: int, timeout_s: float) -> Fetched:
        for what, places in self.due:
            getattr(self.rebalance, what)(places)
            self.positions |= self.spoil
            if what != "assigned":
                self.positions = {p: o for p, o in self.positions.items() if p not in places}
        self.due.clear()
        parts = []
        for place, position in self.positions.items():
            offsets = np.arange(position, self.log[place])
            values: list[bytes | None] = [str(offset).encode() for offset in offsets]
            if values:
                parts.append(
                    RawPart(*place, values, [None] * len(values), offsets, np.zeros_like(offsets))
                )
            self.positions[place] = self.log[place]
        return Fetched(parts, dict(self.positions))

    def start(self, starts: Offsets) -> bool:
        self.positions |= starts
        return True

    def bounds(self, topic: str, partition: int) -> tuple[int, int]:
        return 0, self.log[topic, partition]

    def commit(self, offsets: Offsets) -> None:
        self.commits.append(dict(offsets))

    def take_refused(self) -> Offsets:
        refused, self.refused = self.refused, {}
        return refused

    def committed(self, places: Sequence[Place]) -> Offsets:
        return {}

    def pause(self, places: Sequence[Place]) -> None:
        self.paused |= set(places)

    def lag(self, offsets: Offsets) -> int:
        return 0

    def metadata(self) -> None:
        """Nobody asks for it here."""

    def is_member(self) -> bool:
        return True


class FakeWorker:
    """Restores at once, from the beginning."""

    def restore(self, unit: Unit) -> "Future[Any]":
        done: Future[Any] = Future()
        done.set_result(None)
        return done

    def discard(self, restore: "Future[Any]") -> None:
        """Nothing was restored."""

    def adopt(self, unit: Unit, restored: Any, claims: Mapping[Place, int], group: Any) -> Offsets:
        return {}

    def claim(self, claims: Mapping[Place, int]) -> None:
        """Whatever is read is taken."""

    def release(self, units: Collection[Unit], places: Collection[Place], group: Any) -> None:
        """Nothing is held."""

    def abandon(self) -> None:
        """Nothing is held."""


class AsText:
    """Decodes nothing: the values themselves are looked at."""

    def decode(self, values: Sequence[bytes | None]) -> Decoded:
        count = len(values)
        rows = pa.array(range(count)).to_numpy()
        return Decoded(pa.record_batch({"value": list(values)}), rows, [])


def intake_on(client: FakeClient, ends: Mapping[Place, int] = NO_ENDS) -> Intake:
    intake = Intake(
        "lane",
        owner="step",
        topics=[TOPIC],
        consumer=client,  # type: ignore[arg-type]  # a fake
        decoders={TOPIC: AsText()},  # type: ignore[dict-item]  # a fake
        stats=Stats(),
        unit_of=lambda place: place[1],
        ends=ends,
    )
    intake.join(FakeWorker())  # type: ignore[arg-type]  # a fake
    client.due.append(("assigned", [KEPT, MOVED]))
    return intake


def offsets_read(intake: Intake, place: Place, reads: int) -> list[int]:
    found: list[int] = []
    for _ in range(reads):
        for part in intake.read().parts:
            if (part.topic, part.partition) == place:
                found += part.offsets.tolist()
    return found


def test_what_the_client_skips_when_others_go_is_read() -> None:
    client = FakeClient({KEPT: 10, MOVED: 10})
    intake = intake_on(client)
    before = offsets_read(intake, KEPT, 3)

    client.log[KEPT] = 20
    client.due.append(("revoked", [MOVED]))
    client.spoil = {KEPT: 20}
    after = offsets_read(intake, KEPT, 3)

    assert before == list(range(10))
    assert after == list(range(10, 20))
    assert intake.read_to[KEPT] == 20


def test_what_the_client_delivers_again_when_others_come_is_dropped() -> None:
    client = FakeClient({KEPT: 10, MOVED: 10, (TOPIC, 2): 5})
    intake = intake_on(client)
    offsets_read(intake, KEPT, 3)

    client.log[KEPT] = 20
    client.due.append(("assigned", [(TOPIC, 2)]))
    client.spoil = {KEPT: 0}
    after = offsets_read(intake, KEPT, 4)

    assert after == list(range(10, 20))


def test_an_offset_the_group_refused_is_told_again_though_nothing_new_comes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As of a topic with one record, whose commit met a broker that had just come back."""
    monkeypatch.setattr(limits, "IDLE_COMMIT_S", 0.0)
    client = FakeClient({KEPT: 1, MOVED: 1})
    intake = intake_on(client)
    offsets_read(intake, KEPT, 3)
    intake.committed.put({KEPT: 1})
    intake.read()
    client.refused = {KEPT: 1}
    intake.read()

    assert client.commits == [{KEPT: 1}, {KEPT: 1}]


def test_after_a_refusal_the_last_offset_of_every_partition_is_told_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An older commit may have overtaken the last one: the client sends them again by itself."""
    monkeypatch.setattr(limits, "IDLE_COMMIT_S", 0.0)
    client = FakeClient({KEPT: 9, MOVED: 1})
    intake = intake_on(client)
    offsets_read(intake, KEPT, 3)
    for offset in (1, 2):
        intake.committed.put({KEPT: offset})
        intake.read()
    intake.committed.put({MOVED: 1})
    intake.read()
    client.refused = {KEPT: 1}
    intake.read()
    intake.read()

    assert client.commits == [{KEPT: 1}, {KEPT: 2}, {MOVED: 1}, {KEPT: 2, MOVED: 1}]


def test_an_offset_of_a_place_that_is_gone_is_not_told_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "IDLE_COMMIT_S", 0.0)
    client = FakeClient({KEPT: 1, MOVED: 1})
    intake = intake_on(client)
    offsets_read(intake, KEPT, 3)
    intake.committed.put({MOVED: 1})
    intake.read()
    client.due.append(("revoked", [MOVED]))
    client.refused = {MOVED: 1}
    offsets_read(intake, KEPT, 2)

    assert client.commits == [{MOVED: 1}]


def test_what_lies_behind_an_end_is_not_read_and_the_place_counts_as_read_to_it() -> None:
    client = FakeClient({KEPT: 10, MOVED: 10})
    intake = intake_on(client, {KEPT: 4, MOVED: 12})

    assert offsets_read(intake, KEPT, 3) == [0, 1, 2, 3]
    assert intake.read_to == {KEPT: 4, MOVED: 10}
    assert client.paused == {KEPT}
    assert intake.records == {TOPIC: 14}


def test_place_that_begins_behind_its_end_is_read_no_further() -> None:
    client = FakeClient({KEPT: 10, MOVED: 10})
    intake = intake_on(client, {KEPT: 0, MOVED: 0})

    assert offsets_read(intake, KEPT, 3) == []
    assert intake.read_to == {KEPT: 0, MOVED: 0}


def test_records_before_an_end_are_cut_out_of_what_was_fetched() -> None:
    offsets = np.array([3, 5, 8])
    part = RawPart(*KEPT, [b"3", b"5", b"8"], [None] * 3, offsets, offsets)
    other = RawPart(*MOVED, [b"1"], [None], np.array([1]), np.array([1]))
    fetched = Fetched([part, other], {KEPT: 11})

    cut = fetched.before({KEPT: 8})

    assert [each.values for each in cut.parts] == [[b"3", b"5"], [b"1"]]
    assert cut.read_to() == {KEPT: 8, MOVED: 2}
    assert fetched.behind({KEPT: 8}) == [KEPT]
    assert fetched.before({KEPT: 11}) is fetched

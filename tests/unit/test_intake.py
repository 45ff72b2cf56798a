# ruff: noqa: ARG002  (the fakes take what the client and the lane are given)
"""What an intake reads and tells its group, across rebalances and refusals."""

from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import Future
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from headrace import limits
from headrace.avro.wire import Decoded
from headrace.errors import TransientError
from headrace.kafka.consumer import Rebalance
from headrace.kafka.fetched import Fetched, Offsets, Place, RawPart
from headrace.runtime.intake import NO_ENDS, Intake
from headrace.runtime.stats import Stats
from headrace.runtime.work import Unit

TOPIC = "test.number.v1"
KEPT, MOVED = (TOPIC, 0), (TOPIC, 1)


class FakeClient:
    """A log of numbers in each partition, and a position in it."""

    def __init__(self, log: Mapping[Place, int]) -> None:
        self.log = dict(log)
        self.positions: Offsets = {}
        self.due: list[tuple[str, Sequence[Place]]] = []
        self.commits: list[Offsets] = []
        self.refused: Offsets = {}
        self.most_a_poll = 1_000
        self.paused: set[Place] = set()

    def subscribe(self, topics: Sequence[str], rebalance: Rebalance) -> None:
        self.rebalance = rebalance

    def poll(self, records_max: int, timeout_s: float) -> Fetched:
        for what, places in self.due:
            getattr(self.rebalance, what)(places)
            if what != "assigned":
                self.positions = {p: o for p, o in self.positions.items() if p not in places}
        self.due.clear()
        parts = []
        room = records_max
        for place, position in self.positions.items():
            end = min(self.log[place], position + min(self.most_a_poll, room))
            room -= end - position
            offsets = np.arange(position, end)
            values: list[bytes | None] = [str(offset).encode() for offset in offsets]
            if values:
                parts.append(
                    RawPart(*place, values, [None] * len(values), offsets, np.zeros_like(offsets))
                )
            self.positions[place] = end
        return Fetched(parts, dict(self.positions))

    def start(self, starts: Offsets) -> None:
        self.positions |= starts

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


def sizes_read(intake: Intake, times: int) -> list[int]:
    return [sum(map(len, intake.read().parts)) for _ in range(times)]


def intake_on(
    client: FakeClient,
    places: Sequence[Place] = (KEPT, MOVED),
    first: Sequence[str] = (),
    ends: Mapping[Place, int] = NO_ENDS,
) -> Intake:
    topics = sorted({topic for topic, _ in places})
    intake = Intake(
        "lane",
        owner="step",
        topics=topics,
        consumer=client,  # type: ignore[arg-type]  # a fake
        decoders={topic: AsText() for topic in topics},  # type: ignore[misc]  # fakes
        stats=Stats(),
        unit_of=lambda place: place[1],
        first=first,
        ends=ends,
    )
    intake.join(FakeWorker())  # type: ignore[arg-type]  # a fake
    client.due.append(("assigned", list(places)))
    return intake


def offsets_read(intake: Intake, place: Place, reads: int) -> list[int]:
    found: list[int] = []
    for _ in range(reads):
        for part in intake.read().parts:
            if (part.topic, part.partition) == place:
                found += part.offsets.tolist()
    return found


def test_partitions_that_stay_are_read_on_when_others_come_and_go() -> None:
    client = FakeClient({KEPT: 10, MOVED: 10, (TOPIC, 2): 5})
    intake = intake_on(client)
    before = offsets_read(intake, KEPT, 3)

    client.log[KEPT] = 20
    client.due.append(("revoked", [MOVED]))
    between = offsets_read(intake, KEPT, 3)
    client.log[KEPT] = 30
    client.due.append(("assigned", [(TOPIC, 2)]))
    after = offsets_read(intake, KEPT, 3)

    assert (before, between, after) == (
        list(range(10)),
        list(range(10, 20)),
        list(range(20, 30)),
    )
    assert intake.read_to == {KEPT: 30, (TOPIC, 2): 5}
    assert not intake.is_restoring


def test_an_offset_the_group_refused_is_told_again_though_nothing_new_comes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As of a topic with one record, whose commit met a broker that had just come back."""
    monkeypatch.setattr(limits, "IDLE_COMMIT_S", 0.0)
    client = FakeClient({KEPT: 1, MOVED: 1})
    intake = intake_on(client)
    offsets_read(intake, KEPT, 3)
    intake.untold.put({KEPT: 1})
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
        intake.untold.put({KEPT: offset})
        intake.read()
    intake.untold.put({MOVED: 1})
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
    intake.untold.put({MOVED: 1})
    intake.read()
    client.due.append(("revoked", [MOVED]))
    client.refused = {MOVED: 1}
    offsets_read(intake, KEPT, 2)

    assert client.commits == [{MOVED: 1}]


ROWS = ("test.row.v1", 0)


def read_in_order(intake: Intake, reads: int) -> list[tuple[str, int, int]]:
    """Return topic, partition and count of records of each read."""
    parts = [part for _ in range(reads) for part in intake.read().parts]
    return [(part.topic, part.partition, len(part)) for part in parts]


def test_rows_of_a_reference_topic_are_read_to_their_end_before_the_stream() -> None:
    client = FakeClient({ROWS: 5, KEPT: 2, MOVED: 2})
    client.most_a_poll = 2
    intake = intake_on(client, [KEPT, ROWS, MOVED], first=[ROWS[0]])

    found = read_in_order(intake, 6)

    mine = [(topic, count) for topic, partition, count in found if partition == 0]
    assert mine == [(ROWS[0], 2), (ROWS[0], 2), (ROWS[0], 1), (TOPIC, 2)]
    assert (*MOVED, 2) in found[:2]  # the other task has no rows to wait for
    assert not intake.is_restoring


def test_the_further_behind_the_more_is_taken_at_once() -> None:
    most = limits.BEHIND_RECORDS_MAX
    client = FakeClient({KEPT: 5 * most})
    client.most_a_poll = 10 * most
    first = limits.BATCH_RECORDS_MAX

    intake = intake_on(client, [KEPT])
    intake.record_s = 1e-6
    assert sizes_read(intake, 8) == [0, *(first * 2**n for n in range(5)), most, most]
    assert sizes_read(intake, 9)[-1] == 0  # it has caught up

    client.log[KEPT] += most
    assert sizes_read(intake, 1) == [first]


def test_large_records_are_not_taken_by_the_hundred_thousand(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = limits.BATCH_RECORDS_MAX
    monkeypatch.setattr(limits, "BEHIND_BYTES_MAX", 20 * first)  # of some ten bytes each
    client = FakeClient({KEPT: 20 * first})
    client.most_a_poll = 20 * first

    intake = intake_on(client, [KEPT])
    intake.record_s = 1e-6
    _, *sizes, _ = sizes_read(intake, 12)

    assert first < max(sizes) < 4 * first


def test_what_is_slow_or_was_not_timed_yet_is_not_given_more() -> None:
    first = limits.BATCH_RECORDS_MAX
    client = FakeClient({KEPT: 20 * first})
    client.most_a_poll = 20 * first
    intake = intake_on(client, [KEPT])

    assert sizes_read(intake, 3) == [0, first, first]
    intake.record_s = limits.BEHIND_S_MAX / (1.5 * first)
    assert sizes_read(intake, 3) == [first, 1.5 * first, 1.5 * first]
    intake.record_s = 1.0
    assert sizes_read(intake, 3) == [1.5 * first, first, first]


def test_a_reference_topic_without_rows_holds_nobody_up() -> None:
    client = FakeClient({ROWS: 0, KEPT: 2})
    intake = intake_on(client, [KEPT, ROWS], first=[ROWS[0]])

    assert read_in_order(intake, 4) == [(*KEPT, 2)]


def test_a_stream_that_was_begun_is_not_held_up_by_rows_that_come_later() -> None:
    client = FakeClient({ROWS: 1, KEPT: 2})
    intake = intake_on(client, [KEPT, ROWS], first=[ROWS[0]])
    read_in_order(intake, 4)

    client.log |= {ROWS: 9, KEPT: 3}
    client.most_a_poll = 1

    assert read_in_order(intake, 1) == [(*ROWS, 1), (*KEPT, 1)]


def test_rows_that_are_not_read_in_time_stop_the_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "ASIDE_WAIT_S_MAX", 0.0)
    client = FakeClient({ROWS: 5, KEPT: 2})
    client.most_a_poll = 1
    intake = intake_on(client, [KEPT, ROWS], first=[ROWS[0]])

    with pytest.raises(TransientError, match=r"test\.row\.v1, partition 0: not read to offset 5"):
        read_in_order(intake, 4)


def test_what_lies_behind_an_end_is_not_read_and_the_place_counts_as_read_to_it() -> None:
    client = FakeClient({KEPT: 10, MOVED: 10})
    intake = intake_on(client, ends={KEPT: 4, MOVED: 12})

    assert offsets_read(intake, KEPT, 3) == [0, 1, 2, 3]
    assert intake.read_to == {KEPT: 4, MOVED: 10}
    assert client.paused == {KEPT}
    assert intake.records == {TOPIC: 14}


def test_place_that_begins_behind_its_end_is_read_no_further() -> None:
    client = FakeClient({KEPT: 10, MOVED: 10})
    intake = intake_on(client, ends={KEPT: 0, MOVED: 0})

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


def test_rows_that_are_read_to_an_end_hold_the_stream_up_no_longer() -> None:
    client = FakeClient({ROWS: 9, KEPT: 2})
    intake = intake_on(client, [KEPT, ROWS], first=[ROWS[0]], ends={ROWS: 4})

    assert read_in_order(intake, 4) == [(*ROWS, 4), (*KEPT, 2)]

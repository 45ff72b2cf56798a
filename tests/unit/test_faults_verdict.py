"""The verdict: every column of the table, zero for a sound run, told in words where it is not."""

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from headrace.batch import Output
from headrace.faults.prove import SeedReport, Struck
from headrace.faults.records import OFFSET, PARTITION, RunRecords, TopicRecords, head_pages
from headrace.faults.report import applied_faults, as_json, recovery_figures
from headrace.faults.run import Outcome
from headrace.faults.schedule import Planned
from headrace.faults.verdict import Finding, judge
from headrace.kafka.fetched import RawPart
from headrace.topology import Invariant, Proof, Source, Step, Topic, Topology

RAW = Topic("raw.frame.v1", "frame.v1", key=("name",))
OUT = Topic("out.thing.v1", "thing.v1", key=("name",))


CHANGELOG = "headrace.graph.s.changelog"
STATE = {(0, b"table/a/0"): b"1", (1, b"table/b/0"): b"2"}


def step(**_: object) -> Output:
    raise NotImplementedError


def opened(*_: object) -> Any:
    raise NotImplementedError


def no_b(tables: Any) -> list[str]:
    names = tables[OUT.name].column("name").to_pylist()
    return [f"number {place}" for place, name in enumerate(names) if name == "b"]


TOPOLOGY = Topology(
    "graph",
    Source(RAW, opened, defaults=("x",)),
    (Step("s", step, (RAW,), (OUT,)),),
    proof=Proof(invariants=(Invariant("no b", (OUT,), no_b),)),
)


def records(topic: Topic, *names: str) -> TopicRecords:
    table = pa.table(
        {
            "name": pa.array(names, pa.string()),
            PARTITION: pa.array([0] * len(names), pa.int32()),
            OFFSET: pa.array(range(len(names)), pa.int64()),
        }
    )
    bodies = [f"{name}{place}".encode() for place, name in enumerate(names)]
    return TopicRecords(topic, table, [name.encode() for name in names], bodies)


def run(*names: str, **dead: int) -> RunRecords:
    return RunRecords(
        {RAW.name: records(RAW, "a", "a"), OUT.name: records(OUT, *names)},
        {OUT.name: dead.get("dead", 0)},
        {CHANGELOG: STATE},
    )


QUIET = run("a", "a", "c")


def found(outcome: Outcome) -> dict[str, int]:
    columns = judge(TOPOLOGY, QUIET, outcome)
    return {name: finding.count for name, finding in columns.items() if finding.count}


def test_a_sound_run_has_zero_in_every_column() -> None:
    outcome = Outcome(run("a", "a", "c"), {"postgres": {OUT.name: []}})

    columns = judge(TOPOLOGY, QUIET, outcome)

    assert set(columns.values()) == {Finding()}
    assert list(columns) == [
        "lost",
        "doubled",
        "out of order",
        "changed",
        "state differs",
        "dead letters",
        "postgres differs",
        "not drained",
        "not settled",
        "not finished",
        "no b",
    ]


def test_each_violation_is_in_its_column() -> None:
    sound = Outcome(run("a", "a", "c"), {})

    assert found(Outcome(run("a", "a"), {})) == {"lost": 1}
    assert found(Outcome(run("a", "a", "c", "b"), {})) == {"changed": 1, "no b": 1}
    assert found(Outcome(run("a", "a", "c", dead=2), {})) == {"dead letters": 2}
    assert found(Outcome(sound.records, {"redis": {OUT.name: ["x"]}})) == {"redis differs": 1}
    assert found(replace(sound, unsettled=["lane: 3 waiting"])) == {"not settled": 1}
    assert found(replace(sound, undrained=["w-1: exit code 1"])) == {"not drained": 1}


def test_state_that_is_not_that_of_the_quiet_run_is_seen() -> None:
    sound = run("a", "a", "c")
    other = {(0, b"table/a/0"): b"9", (1, b"table/c/0"): b"3"}

    columns = judge(TOPOLOGY, QUIET, Outcome(replace(sound, states={CHANGELOG: other}), {}))

    assert columns["state differs"] == Finding(
        3,
        (
            "headrace.graph.s.changelog[0] b'table/a/0': differs",
            "headrace.graph.s.changelog[1] b'table/b/0': missing",
            "headrace.graph.s.changelog[1] b'table/c/0': should not be there",
        ),
    )


def test_the_last_value_of_a_first_page_counts_and_no_checkpoint() -> None:
    a, b = b"t\x00a\x000", b"t\x00b\x000"
    part = RawPart(
        "changelog",
        3,
        values=[b"old", b"new", b"gone", None, b"{}", b"rest"],
        keys=[a, a, b, b, b"\x00checkpoint", b"t\x00a\x0010"],
        offsets=np.arange(6),
        timestamps_ms=np.zeros(6, np.int64),
    )

    assert head_pages([part]) == {(3, a): b"new"}


def test_a_record_that_cannot_be_read_is_a_change() -> None:
    broken = run("a", "a", "c")
    topics = dict(broken.by_topic)
    topics[OUT.name] = replace(topics[OUT.name], undecodable=1)

    assert found(Outcome(replace(broken, by_topic=topics), {})) == {"changed": 1}


def test_a_violation_is_told_in_words() -> None:
    columns = judge(TOPOLOGY, QUIET, Outcome(run("a", "c"), {}))

    assert columns["lost"].examples == ("out.thing.v1: 2, as a: number 2 of 2",)
    assert columns["changed"].examples == ("out.thing.v1: 1, as c: number 1 of 1",)
    assert columns["doubled"].examples == ()


def report(seed: int, *struck: Struck, lost: int = 0) -> SeedReport:
    return SeedReport(seed, [each.planned for each in struck], struck, {"lost": Finding(lost)})


def killed(recovery_s: float | None, lag: int, *, applied: bool = True) -> Struck:
    return Struck(Planned(1.0, "worker killed", "w-1", 2.0), applied, recovery_s, lag)


def test_recovery_is_summed_up_by_kind_over_all_seeds() -> None:
    reports = [report(1, killed(1.0, 5), killed(9.0, 7)), report(2, killed(2.0, 6))]

    assert recovery_figures(reports) == {
        "worker killed": {
            "count": 3,
            "not_recovered": 0,
            "recovery_s_p50": 2.0,
            "recovery_s_max": 9.0,
            "lag_max": 7,
        }
    }


def test_a_fault_that_struck_nothing_is_not_counted() -> None:
    reports = [report(1, killed(1.0, 5), killed(None, 0, applied=False))]

    assert applied_faults(reports) == {"worker killed": 1}
    assert as_json(reports)["faults"] == 1


def test_a_fault_nobody_got_over_is_said_so() -> None:
    figures = recovery_figures([report(1, killed(None, 5), killed(3.0, 5))])

    assert figures["worker killed"]["not_recovered"] == 1
    assert figures["worker killed"]["recovery_s_max"] == 3.0


def test_violations_of_all_seeds_add_up() -> None:
    assert as_json([report(1, lost=2), report(2, lost=3)])["violations"] == 5

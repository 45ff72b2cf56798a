"""A topology: one page of steps that says which agent reads what, writes what, remembers what."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

import pyarrow as pa

from headrace.batch import Output
from headrace.errors import TopologyError
from headrace.feed import Feed, FeedOptions
from headrace.gateway import RULES, GatewayRules, Remote
from headrace.limits import PARTITIONS_DEFAULT
from headrace.state.tables import Table

Compatibility: TypeAlias = Literal[
    "BACKWARD",
    "BACKWARD_TRANSITIVE",
    "FORWARD",
    "FORWARD_TRANSITIVE",
    "FULL",
    "FULL_TRANSITIVE",
    "NONE",
]
"""BACKWARD: the new schema reads what the last one wrote; FORWARD: the last one reads what the new
one writes; FULL: both; TRANSITIVE: not the last one, but all before."""


@dataclass(frozen=True, slots=True)
class Topic:
    """A named log of one record type.

    `schema` is the file stem in `schemas/avro`; `key` the fields whose text, joined by `/`, is the
    record's key; `partition_by` those of them that choose the partition (all of them if empty).
    `writers` says whether several steps may write to it; `compatibility` what `headrace check`
    holds a changed schema to, in the words of Confluent's registry. A topic that is `spoken` has no
    records but what operators say (`Control`): a step that reads one other topic beside it sees one
    order, as long as nothing is said. A topic that is a `reference` holds the rows of a table from
    outside, all of them in every partition, written by `headrace reference load`; a record without
    a value says that the row of its key is gone. Steps read it behind a stream (docs/lookups.md).
    `letters` names its dead letter topic, `NAME.dead` if empty.
    """

    name: str
    schema: str
    key: tuple[str, ...]
    partition_by: tuple[str, ...] = ()
    partitions: int = PARTITIONS_DEFAULT
    cleanup: Literal["delete", "compact"] = "delete"
    writers: Literal["one", "many"] = "one"
    compatibility: Compatibility = "BACKWARD"
    spoken: bool = False
    reference: bool = False
    letters: str = ""

    @property
    def is_aside(self) -> bool:
        """Say whether a step that reads it beside one other topic still sees one order.

        It changes when somebody outside says so: an operator's word, a load.
        """
        return self.spoken or self.reference

    @property
    def dead(self) -> str:
        """Return the name of the topic's dead letter topic."""
        return self.letters or f"{self.name}.dead"

    @property
    def partition_key(self) -> tuple[str, ...]:
        """Return the fields that choose a record's partition."""
        return self.partition_by or self.key


@dataclass(frozen=True, slots=True)
class Step:
    """One agent in the graph.

    `agent(batch, **arguments)` is pure; its arguments are `state` (if `table` is set), `model`
    (if `model` is set: the bundle's folder, loaded by the engine), `challengers` (if there are any:
    models that may take its place) and everything in `parameters`.
    `merge` says in which order several inputs are seen: as they arrive if it is empty; else it
    names the fields of a stream whose records the field `sequence` counts, 1, 2, 3, … over all
    inputs.
    `processing_guarantee`: outputs, state and offsets in one Kafka transaction; or outputs first,
    which a crash may double, and which others see without waiting for the commit.
    """

    name: str
    agent: Callable[..., Output]
    reads: tuple[Topic, ...]
    writes: tuple[Topic, ...] = ()
    table: Table | None = None
    merge: tuple[str, ...] = ()
    model: Path | None = None
    challengers: tuple[Path, ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)
    processing_guarantee: Literal["exactly_once", "at_least_once"] = "exactly_once"


@dataclass(frozen=True, slots=True)
class Sink:
    """Topics that are copied out of Kafka, and where to: `postgres` or `redis`."""

    name: Literal["postgres", "redis"]
    reads: tuple[Topic, ...]


@dataclass(frozen=True, slots=True)
class Gateway:
    """Where commands leave Kafka for a party that acts on them, and its reports come back.

    Each command is sent at most once, after its intent is committed; an outcome that is unknown is
    asked for (docs/gateways.md). `writes` is one topic; `open` connects to the far side.
    """

    name: str
    reads: tuple[Topic, ...]
    writes: tuple[Topic, ...]
    open: Callable[[], Remote]
    rules: GatewayRules = RULES


@dataclass(frozen=True, slots=True)
class Panel:
    """What the live view shows of a compacted topic: a row a key, as `row` words the record."""

    title: str
    topic: Topic
    row: Callable[[Mapping[str, Any]], Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Control:
    """A word an operator may say to a graph: a record on a topic that steps read.

    `record(options, time_ns)` words it, given the options that were named, out of those that
    `options` describes, and the operator's clock; it raises UsageError for what cannot be.
    With the option `address` the record goes where its key belongs; without it to every partition,
    so that each task of the steps that read the topic hears it.
    """

    name: str
    says: str
    topic: Topic
    record: Callable[[Mapping[str, str], int], Mapping[str, Any]]
    address: str
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Source:
    """Where records enter: the topic the feed's frames go to, and how a feed is opened by name.

    `defaults` are tried in turn when nobody names a feed; the first that opens is used.
    """

    topic: Topic
    open: Callable[[str, FeedOptions], Feed]
    defaults: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Invariant:
    """What must hold of a finished run, whatever failed meanwhile.

    `check` is given each topic of `reads` by its name, as a table in the order of the log within a
    partition, with the columns `kafka_partition`, `kafka_offset` and `kafka_time_ms` (the
    writer's clock) beside the record's own. It returns a sentence a violation.
    """

    name: str
    reads: tuple[Topic, ...]
    check: Callable[[Mapping[str, pa.Table]], Sequence[str]]


@dataclass(frozen=True, slots=True)
class Drill:
    """What an operator says while faults happen, and takes back: two controls of the topology."""

    say: str
    take_back: str


@dataclass(frozen=True, slots=True)
class Proof:
    """What `headrace faults` holds a topology to, beyond what it holds every topology to.

    `feed` names a feed of so many seconds, the same at every call. `repeatable` are topics that
    come from outside, whose records may come twice, late and out of order. `drill` is said and
    taken back in the storm.
    """

    feed: Callable[[float], str] | None = None
    repeatable: tuple[Topic, ...] = ()
    invariants: tuple[Invariant, ...] = ()
    drill: Drill | None = None


@dataclass(frozen=True, slots=True)
class Entries:
    """Records of a topic as entries of a ledger: `columns(records)` has a schema of its kind."""

    topic: Topic
    columns: Callable[[pa.RecordBatch], pa.RecordBatch]


@dataclass(frozen=True, slots=True)
class Ledger:
    """What `headrace backtest` reports of a graph that trades; what is None it leaves out.

    The kinds of entries are the schemas of `headrace/ledger.py`. `predictions` names fields of a
    topic whose distribution is shown first. `horizon_ns` is after how long a fill is held against
    the mid price; `profit_says` tells a person what the profit of `positions` is.
    """

    orders: Entries | None = None
    positions: Entries | None = None
    quotes: Entries | None = None
    predictions: tuple[Topic, tuple[str, ...]] | None = None
    horizon_ns: int = 1_000_000_000
    profit_says: str = ""


@dataclass(frozen=True, slots=True)
class Topology:
    """A graph of steps in flow order: its source, gateways, sinks, panels, controls and proof.

    `ledger` says which topics hold orders, fills and positions, if it trades.
    """

    name: str
    source: Source
    steps: tuple[Step, ...]
    sinks: tuple[Sink, ...] = ()
    panels: tuple[Panel, ...] = ()
    controls: tuple[Control, ...] = ()
    gateways: tuple[Gateway, ...] = ()
    proof: Proof = Proof()
    ledger: Ledger | None = None

    def __post_init__(self) -> None:
        """Refuse a graph that cannot run."""
        _require_unique("step", self.name, [step.name for step in self.steps])
        _require_unique("control", self.name, [control.name for control in self.controls])
        heard = {topic.name for step in self.steps for topic in step.reads}
        for control in self.controls:
            if control.topic.name not in heard:
                raise TopologyError(
                    f"topology {self.name}, control {control.name}: no step reads "
                    f"{control.topic.name}, so nobody would hear it"
                )
        if self.proof.drill is not None:
            self.control(self.proof.drill.say)
            self.control(self.proof.drill.take_back)
        _require_unique("gateway", self.name, [gateway.name for gateway in self.gateways])
        for step in self.steps:
            _require_joint_inputs(f"topology {self.name}, step {step.name}", step.reads)
            if step.challengers and step.model is None:
                raise TopologyError(
                    f"topology {self.name}, step {step.name}: expected a model that its "
                    "challengers may take the place of, found none; set model=…"
                )
        _require_references(self)
        for gateway in self.gateways:
            where = f"topology {self.name}, gateway {gateway.name}"
            _require_joint_inputs(where, gateway.reads)
            if len(gateway.writes) != 1:
                found = ", ".join(topic.name for topic in gateway.writes) or "none"
                raise TopologyError(
                    f"{where}: expected one topic for its reports, found {found}; set writes=(…,)"
                )

    @property
    def topics(self) -> tuple[Topic, ...]:
        """Return every topic of the graph once, in flow order."""
        found = {self.source.topic.name: self.source.topic}
        for step in self.steps:
            found |= {topic.name: topic for topic in (*step.reads, *step.writes)}
        for gateway in self.gateways:
            found |= {topic.name: topic for topic in (*gateway.reads, *gateway.writes)}
        return tuple(found.values())

    def control(self, name: str) -> Control:
        """Return the control of that name."""
        for control in self.controls:
            if control.name == name:
                return control
        names = ", ".join(control.name for control in self.controls) or "none"
        raise TopologyError(f"topology {self.name} has no control {name!r}; it has {names}")

    def step(self, name: str) -> Step:
        """Return the step of that name."""
        for step in self.steps:
            if step.name == name:
                return step
        names = ", ".join(step.name for step in self.steps)
        raise TopologyError(f"topology {self.name} has no step {name!r}; it has {names}")


def _require_joint_inputs(where: str, reads: Sequence[Topic]) -> None:
    if not reads:
        raise TopologyError(f"{where}: it must read at least one topic")
    if len({topic.partitions for topic in reads}) > 1:
        found = ", ".join(f"{t.name}={t.partitions}" for t in reads)
        raise TopologyError(
            f"{where}: its inputs must have the same number of partitions to meet in one task, "
            f"found {found}; set Topic(partitions=…)"
        )


def _require_references(topology: Topology) -> None:
    """Refuse reference topics where their rows would not be all of them, or not be understood."""
    for step in topology.steps:
        where = f"topology {topology.name}, step {step.name}"
        found = [topic.name for topic in step.reads if topic.reference]
        if found and (step.reads[0].reference or step.merge):
            raise TopologyError(
                f"{where}: expected the stream first among reads and no merge, since the rows of "
                f"reference topic {found[0]} have no place in its order; name the stream first, "
                "and look up in a step behind the one that merges"
            )
        _require_no_reference(where, "writes", step.writes)
    for sink in topology.sinks:
        _require_no_reference(f"topology {topology.name}, sink {sink.name}", "reads", sink.reads)
    for gateway in topology.gateways:
        where = f"topology {topology.name}, gateway {gateway.name}"
        _require_no_reference(where, "reads or writes", (*gateway.reads, *gateway.writes))
    _require_no_reference(f"topology {topology.name}, source", "writes", (topology.source.topic,))


def _require_no_reference(where: str, does: str, topics: Sequence[Topic]) -> None:
    for topic in topics:
        if topic.reference:
            raise TopologyError(
                f"{where}: expected that only `headrace reference load` writes a reference topic "
                f"and only steps read it, found that it {does} {topic.name}; use another topic, "
                "or take reference=True away"
            )


def _require_unique(what: str, topology: str, names: Sequence[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise TopologyError(f"topology {topology}: {what} {', '.join(twice)} is named twice")

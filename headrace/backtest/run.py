"""One backtest: a feed through a topology, with everything counted that its report tells."""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from time import monotonic
from typing import Any

from headrace import limits
from headrace.backtest.book import Book
from headrace.backtest.figures import Digests, Distribution, numbers_in
from headrace.batch import Part
from headrace.errors import UsageError
from headrace.feed import Feed
from headrace.local.graph import LocalGraph
from headrace.local.loading import load_codecs, load_steps, same_id
from headrace.local.replay import replay
from headrace.local.task import StepWork, Watch
from headrace.project import Project
from headrace.reference.rows import Row, fit_rows
from headrace.runtime.chain import Dead
from headrace.runtime.emission import TopicCodec, emission_of, in_every_partition
from headrace.runtime.loading import SchemaIds
from headrace.topology import Entries, Ledger, Topology

EXAMPLES_MAX = 3
"""Dead letters told of each cause."""


@dataclass
class Backtest:
    """A topology, and what is known of its run; `book` is there if the topology has a ledger."""

    topology: Topology
    book: Book | None
    digests: Digests = field(default_factory=Digests)
    distributions: dict[str, dict[str, Distribution]] = field(default_factory=dict)
    dead: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    examples: dict[tuple[str, str, str], list[str]] = field(
        default_factory=lambda: defaultdict(list)
    )
    first_ms: int | None = None
    last_ms: int = 0
    elapsed_s: float = 0.0
    records: Counter[str] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)
    work: Mapping[str, StepWork] = field(default_factory=dict)

    def measure(self, part: Part) -> None:
        """Take in the numbers of a topic's records."""
        fields = self.distributions.setdefault(part.topic, {})
        for name, values in numbers_in(part.records).items():
            fields.setdefault(name, Distribution()).add(values)

    def bury(self, letter: Dead) -> None:
        """Count a dead letter."""
        kind = (letter.topic, letter.step, letter.cause)
        self.dead[kind] += 1
        if len(self.examples[kind]) < EXAMPLES_MAX:
            where = f"partition {letter.partition}, offset {letter.offset}"
            self.examples[kind].append(f"{where}: {letter.detail[:300]}")


def run_backtest(
    project: Project,
    topology: Topology,
    feed: Feed,
    progress: Callable[[int, int], None],
    *,
    run_ahead_ms: int = limits.LOCAL_RUN_AHEAD_MS,
    schema_ids: SchemaIds = same_id,
    references: Mapping[str, Sequence[Row]] | None = None,
) -> Backtest:
    """Run all that a feed holds; `progress` is told frames so far and the time in ms.

    `references` are by topic the rows that reference topics hold from before the first frame on.

    `schema_ids` gives the ids that values carry: with those of a registry, digests are of the bytes
    that are written there.
    """
    topology = replace(topology, ledger=_written(topology))
    book = None if topology.ledger is None else Book(topology.ledger)
    found = Backtest(topology, book)
    codecs = load_codecs(project.schemas, topology.topics, schema_ids)
    watch = Watch(_watchers(found), found.digests.add, found.bury)
    steps = load_steps(project, topology.steps, codecs)
    graph = LocalGraph(steps, codecs, watch, run_ahead_ms=run_ahead_ms)
    begun_s = monotonic()
    for name, rows in (references or {}).items():
        _load(graph, codecs, name, rows)
    source = topology.source.topic.name
    for clock_ms in replay(feed, graph, codecs[source]):
        found.last_ms = clock_ms
        if book is not None:
            # What is led through time is settled to less than this.
            book.hits.judge((clock_ms - run_ahead_ms) * 1_000_000)
        progress(graph.records[source], clock_ms)
    if book is not None:
        book.hits.judge(None)
    found.elapsed_s = monotonic() - begun_s
    found.records, found.counts, found.work = graph.records, graph.counts(), graph.work
    return found


def _load(
    graph: LocalGraph, codecs: Mapping[str, TopicCodec], name: str, rows: Sequence[Row]
) -> None:
    """Write rows to every partition of a reference topic.

    Raises:  UsageError if it is none, or if a row does not fit.
    """
    codec = codecs.get(name)
    if codec is None or not codec.topic.reference:
        raise UsageError(f"topic {name}: expected a reference topic of the topology, found none")
    fitted = fit_rows(rows, codec.schema, codec.topic.key)
    for row in fitted.refused:
        raise UsageError(f"topic {name}, row {row.number}, key {row.key[:100]!r}: {row.detail}")
    written = emission_of("backtest", fitted.records, codec, None)
    for each in in_every_partition(written, codec.topic):
        graph.write(each)
    graph.settle()


def _written(topology: Topology) -> Ledger | None:
    """Return the topology's ledger without topics that nobody writes in it: they would tell 0."""
    ledger = topology.ledger
    if ledger is None:
        return None
    names = {topic.name for step in topology.steps for topic in step.writes}
    names |= {topic.name for gateway in topology.gateways for topic in gateway.writes}

    def known(entries: Entries | None) -> Entries | None:
        return entries if entries is not None and entries.topic.name in names else None

    return replace(
        ledger,
        orders=known(ledger.orders),
        positions=known(ledger.positions),
        quotes=known(ledger.quotes),
    )


def _watchers(found: Backtest) -> dict[str, Callable[[Part], None]]:
    """Return who is told of the records of each topic; the source's are only counted."""
    told: dict[str, list[Callable[[Part], None]]] = {
        topic.name: [found.measure]
        for topic in found.topology.topics
        if topic.name != found.topology.source.topic.name
    }
    told.setdefault(found.topology.source.topic.name, []).append(partial(_note_first, found))
    ledger = found.topology.ledger
    if ledger is not None and found.book is not None:
        for entries, take in (
            (ledger.orders, found.book.add_orders),
            (ledger.positions, found.book.add_positions),
            (ledger.quotes, found.book.add_quotes),
        ):
            if entries is not None:
                told[entries.topic.name].append(take)
    return {topic: _in_turn(takers) for topic, takers in told.items()}


def _in_turn(takers: list[Callable[[Part], None]]) -> Callable[[Part], None]:
    def take(part: Part) -> None:
        for taker in takers:
            taker(part)

    return take


def _note_first(found: Backtest, part: Part) -> None:
    first_ms = int(part.timestamps_ms[0])
    found.first_ms = first_ms if found.first_ms is None else min(found.first_ms, first_ms)


def as_json(found: Backtest, feed: Feed, name: str) -> dict[str, Any]:
    """Return all that is known of a run, as data."""
    topology, records = found.topology, found.records
    frames = records[topology.source.topic.name]
    digests = found.digests.by_topic()
    report: dict[str, Any] = {
        "topology": topology.name,
        "feed": {
            "name": name,
            "identity": feed.identity,
            "lines_read": feed.tally.lines_read,
            "dropped": dict(feed.tally.dropped),
            "notes": dict(feed.tally.notes),
            "faults": list(feed.tally.faults),
        },
        "frames": frames,
        "first_time_ms": found.first_ms,
        "last_time_ms": found.last_ms if frames else None,
        "elapsed_s": round(found.elapsed_s, 3),
        "frames_a_second": round(frames / max(found.elapsed_s, 1e-9), 1),
        "topics": {
            topic.name: {
                "records": records[topic.name],
                "digest": digests.get(topic.name, ""),
            }
            for topic in topology.topics
        },
        "steps": _steps_as_json(found.work),
        "counts": dict(sorted(found.counts.items())),
        "dead_letters": [
            {"topic": topic, "step": step, "cause": cause, "count": count}
            | {"examples": found.examples[topic, step, cause]}
            for (topic, step, cause), count in sorted(found.dead.items())
        ],
    }
    if found.book is not None:
        report |= {"ledger": found.book.as_json()}
    report["distributions"] = {
        topic: {name: one.as_json() for name, one in fields.items()}
        for topic, fields in sorted(found.distributions.items())
        if fields
    }
    return report


def _steps_as_json(work: Mapping[str, StepWork]) -> dict[str, Any]:
    return {
        name: {
            "records_in": done.records_in,
            "records_out": done.records_out,
            "dead_letters": done.dead_letters,
            "busy_s": round(done.busy_ns / 1e9, 3),
        }
        for name, done in work.items()
    }

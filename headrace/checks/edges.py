"""Who reads what from whom: writers, partitions that must meet, merges, sinks and panels."""

from collections.abc import Iterator, Mapping

from headrace.avro.schema import AvroSchema
from headrace.checks.finding import Finding
from headrace.topology import Step, Topology

MERGE_FIELDS = ("sequence", "receive_time_ns")
"""What a merge puts records in order by; both are Avro longs."""


def check_edges(
    file: str, topology: Topology, schemas: Mapping[str, AvroSchema]
) -> Iterator[Finding]:
    """Check the edges of a topology; `schemas` holds those that could be loaded."""
    writers = _writers(topology)
    yield from _check_writers(file, topology, writers)
    for step in topology.steps:
        yield from _check_inputs(file, step, writers)
        yield from _check_merge(file, step, schemas)
    yield from _check_panels(file, topology)


def _writers(topology: Topology) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {topology.source.topic.name: ["the source"]}
    for step in topology.steps:
        for topic in step.writes:
            found.setdefault(topic.name, []).append(f"step {step.name}")
    for gateway in topology.gateways:
        for topic in gateway.writes:
            found.setdefault(topic.name, []).append(f"gateway {gateway.name}")
    return found


def _check_writers(
    file: str, topology: Topology, writers: Mapping[str, list[str]]
) -> Iterator[Finding]:
    for topic in topology.topics:
        mine = writers.get(topic.name, [])
        if len(mine) > 1 and topic.writers == "one":
            yield Finding(
                file,
                f"topic {topic.name}",
                "two-writers",
                f"expected one writer, found {' and '.join(mine)}",
                'give one of them a topic of its own, or declare it with Topic(writers="many")',
            )
        if mine and topic.spoken:
            yield Finding(
                file,
                f"topic {topic.name}",
                "spoken-written",
                f"expected nobody but operators to write a spoken topic, found {mine[0]}",
                "give it a topic of its own, or take spoken=True away",
            )
    written = writers.keys() | {control.topic.name for control in topology.controls}
    readers = [(f"step {step.name}", step.reads) for step in topology.steps]
    readers += [(f"sink {sink.name}", sink.reads) for sink in topology.sinks]
    for reader, reads in readers:
        for topic in reads:
            if topic.name not in written and not topic.reference:
                yield Finding(
                    file,
                    f"{reader}, reads {topic.name}",
                    "no-writer",
                    "expected the source, a step, a gateway or a control to write it, found none",
                    "add the step that writes it, take it out of reads, or set "
                    "Topic(reference=True) if headrace reference load does",
                )


def _check_inputs(file: str, step: Step, writers: Mapping[str, list[str]]) -> Iterator[Finding]:
    # Every partition has all rows of a reference topic.
    keys = {topic.name: topic.partition_key for topic in step.reads if not topic.reference}
    if len(set(keys.values())) > 1:
        found = ", ".join(f"{name} by {'/'.join(key)}" for name, key in keys.items())
        yield Finding(
            file,
            f"step {step.name}",
            "co-partition",
            f"expected inputs that are partitioned by the same fields, found {found}: records that "
            "belong together would come to different tasks",
            "repartition one of them by a step before, or set Topic(partition_by=…)",
        )
    said = [topic.spoken for topic in step.reads]
    if said != sorted(said, reverse=True):
        yield Finding(
            file,
            f"step {step.name}",
            "spoken-first",
            "expected what operators say before all other inputs: rows of a batch come in the "
            "order of reads, and a word holds for what comes with it",
            "name the spoken topics first in reads",
        )
    own = [topic.name for topic in step.reads if f"step {step.name}" in writers.get(topic.name, [])]
    for name in own:
        yield Finding(
            file,
            f"step {step.name}, topic {name}",
            "reads-own-output",
            "expected what a step writes to go to others, found that it reads it again, for ever",
            "keep what it has to remember in its table, or part it into two steps",
        )
    twice = sorted({topic.name for topic in step.reads if step.reads.count(topic) > 1})
    for name in twice:
        yield Finding(
            file,
            f"step {step.name}, reads {name}",
            "reads-twice",
            "expected each input once, found it twice",
            "take one of them out of reads",
        )


def _check_merge(file: str, step: Step, schemas: Mapping[str, AvroSchema]) -> Iterator[Finding]:
    if not step.merge:
        return
    if len(step.reads) < 2:  # noqa: PLR2004  (a merge is of several)
        yield Finding(
            file,
            f"step {step.name}, merge",
            "merge-alone",
            f"expected several inputs to merge, found {len(step.reads)}",
            "take merge=… away: one input has an order already",
        )
    for topic in step.reads:
        if topic.schema not in schemas:
            continue
        types = {field["name"]: field["type"] for field in schemas[topic.schema].fields}
        wrong = [n for n in step.merge if types.get(n) != "string"]
        wrong += [n for n in MERGE_FIELDS if types.get(n) != "long"]
        for name in wrong:
            expected = "long" if name in MERGE_FIELDS else "string"
            yield Finding(
                file,
                f"step {step.name}, merge of {topic.name}",
                "merge-field",
                f"expected a field {name} of type {expected} in schema {topic.schema}, "
                f"found {types.get(name, 'none')}",
                f"add it to {topic.schema}.avsc, or mend Step(merge=…)",
            )


def _check_panels(file: str, topology: Topology) -> Iterator[Finding]:
    known = {topic.name for topic in topology.topics}
    for panel in topology.panels:
        if panel.topic.name not in known or panel.topic.cleanup != "compact":
            yield Finding(
                file,
                f"panel {panel.title}, topic {panel.topic.name}",
                "panel-topic",
                "expected a compacted topic of this topology: a panel shows the last record a key",
                'show another topic, or set Topic(cleanup="compact")',
            )

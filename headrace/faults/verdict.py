"""What a run is found guilty of: every check by its column, counted, with examples in words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from headrace.faults.compare import Difference, compare_runs, compare_states
from headrace.faults.limits import EXAMPLES_MAX
from headrace.faults.records import RunRecords
from headrace.faults.run import Outcome
from headrace.faults.same_stream import same_states, same_streams
from headrace.runtime.assemble import Choice
from headrace.topology import Topology

NOT_FINISHED = "not finished"
"""The column of a run that was given up: a worker that died in a loop, servers that stayed away."""


@dataclass(frozen=True, slots=True)
class Finding:
    """How often something that must not happen did, and some of it in words."""

    count: int = 0
    examples: tuple[str, ...] = ()


def finding_of(words: Sequence[str]) -> Finding:
    """Return the finding of a sentence a violation."""
    return Finding(len(words), tuple(words[:EXAMPLES_MAX]))


def judge(topology: Topology, quiet: RunRecords, outcome: Outcome) -> dict[str, Finding]:
    """Return every column of the table, in order; all are zero for a run without fault."""
    found = _against_quiet(topology, quiet, outcome.records)
    found["dead letters"] = _dead_letters(topology, quiet, outcome.records)
    found |= _copies(outcome.copies)
    found["not drained"] = finding_of(outcome.undrained)
    found["not settled"] = finding_of(outcome.unsettled)
    found[NOT_FINISHED] = Finding()
    return found | invariants(topology, outcome.records)


def invariants(topology: Topology, records: RunRecords) -> dict[str, Finding]:
    """Return what the project's own invariants find."""
    return {
        each.name: finding_of(list(each.check(records.tables(each.reads))))
        for each in topology.proof.invariants
    }


def _against_quiet(topology: Topology, quiet: RunRecords, found: RunRecords) -> dict[str, Finding]:
    fields = {name: of.table.schema.names for name, of in quiet.by_topic.items()}
    orders = same_streams(topology, fields)
    source = topology.source.topic.name
    differences = compare_runs(quiet, found, orders, source=source)
    columns = {
        column: _over_topics(differences, figure)
        for column, figure in (
            ("lost", "lost"),
            ("doubled", "doubled"),
            ("out of order", "out_of_order"),
            ("changed", "changed"),
        )
    }
    undecodable = sum(of.undecodable for of in found.by_topic.values())
    changed = columns["changed"]
    columns["changed"] = Finding(changed.count + undecodable, changed.examples)
    changelogs = same_states(topology, Choice().runs(topology), orders)
    columns["state differs"] = finding_of(compare_states(quiet, found, changelogs))
    return columns


def _over_topics(differences: Mapping[str, Difference], figure: str) -> Finding:
    """Return the sum of a figure, and by topic how many there are and an example."""
    counts = {name: getattr(each, figure) for name, each in differences.items()}
    return Finding(
        sum(counts.values()),
        tuple(
            f"{name}: {count}, as {differences[name].examples[figure]}"
            for name, count in counts.items()
            if count
        ),
    )


def _dead_letters(topology: Topology, quiet: RunRecords, found: RunRecords) -> Finding:
    """Return the dead letters the quiet run had not.

    Of a repeatable topic a copy may come after its order is forgotten: that is what such letters
    are for, and they count as none.
    """
    excused = {topic.name for topic in topology.proof.repeatable}
    more = {
        name: count - quiet.dead.get(name, 0)
        for name, count in found.dead.items()
        if name not in excused and count > quiet.dead.get(name, 0)
    }
    return Finding(
        sum(more.values()), tuple(f"{name}: {count} more" for name, count in more.items())
    )


def _copies(copies: Mapping[str, Mapping[str, Sequence[str]]]) -> dict[str, Finding]:
    return {
        f"{sink} differs": finding_of([words for topic in topics.values() for words in topic])
        for sink, topics in copies.items()
    }

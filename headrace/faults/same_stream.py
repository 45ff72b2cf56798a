"""Which topics are a function of the input alone, and within what their records keep an order."""

from collections.abc import Mapping, Sequence

from headrace.runtime.topics import changelog_topic
from headrace.topology import Step, Topic, Topology


def same_streams(
    topology: Topology,
    fields: Mapping[str, Sequence[str]],
    given: Sequence[Topic] | None = None,
) -> dict[str, tuple[str, ...]]:
    """Return by topic the fields within whose values a run writes the same records in one order.

    A step's outputs are a function of the input if all it reads is, and if it sees that in one
    order: one topic, or several merged by sequence. They keep the order of what caused them within
    a key of each topic on the way, as far as the record (`fields` by topic) still names it.
    Topics that several readers' timing decides are left out: only invariants hold of them.
    `given` are the topics that are the same in all runs: the source's, if it is None.
    """
    same = (topology.source.topic,) if given is None else given
    orders: dict[str, tuple[str, ...]] = {topic.name: topic.key for topic in same}
    undecided = {
        topic.name
        for step in topology.steps
        if not _sees_one_order(topology, step)
        for topic in step.writes
    }
    for step in topology.steps:
        reads = _filled(topology, step)
        if not _sees_one_order(topology, step) or not set(reads) <= orders.keys() - undecided:
            continue
        upstream = [name for topic in reads for name in orders[topic]]
        for topic in step.writes:
            if topic.name not in undecided:
                orders[topic.name] = tuple(dict.fromkeys([*topic.key, *upstream]))
    return {name: _known(name, order, fields) for name, order in orders.items()}


def same_states(
    topology: Topology, runs: Sequence[Sequence[Step]], orders: Mapping[str, Sequence[str]]
) -> list[str]:
    """Return the changelogs of the runs of fused steps whose state is a function of the input."""
    return [
        changelog_topic(topology, run)
        for run in runs
        if all(
            _sees_one_order(topology, step)
            and all(topic in orders for topic in _filled(topology, step))
            for step in run
        )
    ]


def _sees_one_order(topology: Topology, step: Step) -> bool:
    return bool(step.merge) or len(_filled(topology, step)) <= 1


def _filled(topology: Topology, step: Step) -> list[str]:
    """Return what a step reads that may hold records: nobody speaks in a run but the drill."""
    drill = topology.proof.drill
    words = () if drill is None else (drill.say, drill.take_back)
    said = {topology.control(word).topic.name for word in words}
    return [topic.name for topic in step.reads if not topic.is_aside or topic.name in said]


def _known(
    topic: str, order: Sequence[str], fields: Mapping[str, Sequence[str]]
) -> tuple[str, ...]:
    return tuple(name for name in order if name in fields[topic])

"""Which steps of a topology have to do with what a gateway sends: such things happen once."""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from headrace.topology import Topic, Topology

Topics: TypeAlias = Sequence[Topic]


def at_gateways(topology: Topology) -> Mapping[str, str]:
    """Return the steps that hand a gateway its commands or hear its reports, each with why."""
    found = {}
    for gateway in topology.gateways:
        commands = {topic.name for topic in gateway.reads}
        reports = {topic.name for topic in gateway.writes}
        for step in topology.steps:
            sent = sorted(commands & {topic.name for topic in step.writes})
            heard = sorted(reports & {topic.name for topic in step.reads})
            if sent:
                found[step.name] = f"it writes {sent[0]}, which gateway {gateway.name} acts on"
            elif heard:
                found[step.name] = f"it reads {heard[0]}, which gateway {gateway.name} reports on"
    return found


def after_gateways(topology: Topology) -> set[str]:
    """Return the steps that hear of what a gateway reports, by whatever way."""
    reports = {topic.name for gateway in topology.gateways for topic in gateway.writes}
    return _along(reports, [(step.name, step.reads, step.writes) for step in topology.steps])


def before_gateways(topology: Topology) -> set[str]:
    """Return the steps whose outputs lead to a gateway, by whatever way."""
    commands = {topic.name for gateway in topology.gateways for topic in gateway.reads}
    return _along(commands, [(step.name, step.writes, step.reads) for step in topology.steps])


def _along(topics: set[str], edges: Sequence[tuple[str, Topics, Topics]]) -> set[str]:
    """Return the steps met by following these topics: each is entered and left by such topics."""
    reached = set(topics)
    found: set[str] = set()
    while True:
        met = [
            (name, leaves)
            for name, enters, leaves in edges
            if name not in found and reached & {topic.name for topic in enters}
        ]
        if not met:
            return found
        found |= {name for name, _ in met}
        reached |= {topic.name for _, leaves in met for topic in leaves}

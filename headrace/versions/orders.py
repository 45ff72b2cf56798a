"""Which steps of a topology have to do with what a gateway sends: such things happen once."""

from collections.abc import Mapping

from headrace.topology import Topology


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
    reached = {topic.name for gateway in topology.gateways for topic in gateway.writes}
    found: set[str] = set()
    while True:
        hearing = {
            step.name
            for step in topology.steps
            if step.name not in found and reached & {topic.name for topic in step.reads}
        }
        if not hearing:
            return found
        found |= hearing
        reached |= {t.name for step in topology.steps if step.name in hearing for t in step.writes}


def before_gateways(topology: Topology) -> set[str]:
    """Return the steps whose outputs lead to a gateway, by whatever way."""
    reached = {topic.name for gateway in topology.gateways for topic in gateway.reads}
    found: set[str] = set()
    while True:
        leading = {
            step.name
            for step in topology.steps
            if step.name not in found and reached & {topic.name for topic in step.writes}
        }
        if not leading:
            return found
        found |= leading
        reached |= {t.name for step in topology.steps if step.name in leading for t in step.reads}

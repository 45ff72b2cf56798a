"""A topology under a name of its own beside the main line: same inputs, other outputs and state.

All that Kafka and the disk know of a topology comes from its page: renamed there, everything below
follows by itself.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from headrace.batch import Batch, Output
from headrace.errors import UsageError
from headrace.topology import Control, Proof, Step, Topic, Topology

MAIN = "main"
"""What the topology itself is called where versions are named."""

NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")
"""No dot: in Kafka's names it parts the version from what it is a version of."""

TAKEN = frozenset({MAIN, "dead"})


def versioned(topology: Topology, version: str, steps: Sequence[str] = ()) -> Topology:
    """Return the named steps (all if none is) as a topology of its own.

    It reads what the main line reads. What its steps write goes to `TOPIC.VERSION`, where its other
    steps read it; its groups and changelogs begin with `headrace.TOPOLOGY.VERSION.`. It has no
    gateway, no sink and no panel: nothing of it leaves Kafka.
    Raises:  UsageError for a name that cannot be; TopologyError if there is no such step.
    """
    require_name(version)
    chosen = [topology.step(name) for name in steps] or list(topology.steps)
    mine = [step for step in topology.steps if step in chosen]
    written = {topic.name for step in mine for topic in step.writes}
    names = {name: f"{name}.{version}" for name in written}
    _require_free(topology, version, names)
    renamed = tuple(_step(step, names, version) for step in mine)
    heard = {topic.name for step in renamed for topic in step.reads}
    return Topology(
        name=f"{topology.name}.{version}",
        source=replace(topology.source, topic=_topic(topology.source.topic, names, version)),
        steps=renamed,
        controls=_heard(topology.controls, heard),
        proof=Proof(),
    )


def line(topology: Topology, version: str, steps: Sequence[str] = ()) -> Topology:
    """Return a version of a topology, or the topology itself for `main`."""
    return topology if version == MAIN else versioned(topology, version, steps)


def require_name(version: str) -> None:
    """Refuse what cannot name a version.

    Raises:  UsageError.
    """
    if not NAME.fullmatch(version) or version in TAKEN:
        raise UsageError(
            f"version {version[:40]!r}: expected a lower-case letter, then at most 31 letters, "
            f"digits, - or _, and none of {', '.join(sorted(TAKEN))}; as in --version next"
        )


@dataclass(frozen=True, slots=True)
class RenamedAgent:
    """An agent that sees and names topics as on its page, whatever they are called in Kafka."""

    agent: Callable[..., Output]
    in_kafka: Mapping[str, str]
    on_page: Mapping[str, str]

    def __call__(self, batch: Batch, **arguments: Any) -> Output:
        """Return what the agent makes of a batch, by the names in Kafka."""
        parts = tuple(
            replace(part, topic=self.on_page.get(part.topic, part.topic)) for part in batch.parts
        )
        output = self.agent(replace(batch, parts=parts), **arguments)
        return replace(
            output,
            records={self.in_kafka.get(name, name): r for name, r in output.records.items()},
            causes={self.in_kafka.get(name, name): c for name, c in output.causes.items()},
        )


def _step(step: Step, names: Mapping[str, str], version: str) -> Step:
    return replace(
        step,
        agent=RenamedAgent(step.agent, names, {name: page for page, name in names.items()}),
        reads=tuple(_topic(topic, names, version) for topic in step.reads),
        writes=tuple(_topic(topic, names, version) for topic in step.writes),
    )


def _topic(topic: Topic, names: Mapping[str, str], version: str) -> Topic:
    """Return a topic as a version has it; what it cannot process of an input is its own as well."""
    name = names.get(topic.name, topic.name)
    return replace(topic, name=name, letters=f"{topic.name}.{version}.dead")


def _heard(controls: Sequence[Control], topics: set[str]) -> tuple[Control, ...]:
    return tuple(control for control in controls if control.topic.name in topics)


def _require_free(topology: Topology, version: str, names: Mapping[str, str]) -> None:
    existing = {topic.name for topic in topology.topics}
    for page, name in names.items():
        if name in existing:
            raise UsageError(
                f"topology {topology.name}, version {version}: {page} would be written to {name}, "
                "which is a topic of the topology itself; name the version otherwise"
            )

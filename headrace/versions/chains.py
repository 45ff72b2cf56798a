"""Chains of a topology as Kafka keeps them while nobody runs them: group, changelog, inputs."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

from headrace.errors import UsageError
from headrace.kafka.admin import Admin
from headrace.kafka.fetched import Place
from headrace.kafka.offsets import places_of_topics
from headrace.kafka.transaction import fence
from headrace.runtime.assemble import Choice
from headrace.runtime.chain import outer_topics
from headrace.runtime.topics import changelog_topic, lane_name
from headrace.state.snapshot import Snapshot, read_snapshots
from headrace.topology import Step, Topology

SHOWN = 3
"""Members of a group that a message names."""


@dataclass(frozen=True, slots=True)
class KeptChain:
    """A run of fused steps: the topics it reads from Kafka, its group and its changelog."""

    run: tuple[Step, ...]
    group: str
    changelog: str
    inputs: tuple[str, ...]
    partitions: int

    @classmethod
    def of(cls, topology: Topology, run: Sequence[Step]) -> Self:
        """Return what is kept of a run of a topology."""
        return cls(
            tuple(run),
            lane_name(topology, run),
            changelog_topic(topology, run),
            tuple(outer_topics(run)),
            run[0].reads[0].partitions,
        )

    @property
    def name(self) -> str:
        """Return the names of its steps."""
        return "+".join(step.name for step in self.run)

    @property
    def outputs(self) -> list[str]:
        """Return the topics its steps write."""
        return [topic.name for step in self.run for topic in step.writes]

    @property
    def places(self) -> list[Place]:
        """Return every partition it reads."""
        return places_of_topics(dict.fromkeys(self.inputs, self.partitions))


def kept_chains(topology: Topology, choice: Choice) -> list[KeptChain]:
    """Return the chains of the chosen steps, in flow order."""
    return [KeptChain.of(topology, run) for run in choice.runs(topology)]


def input_places(chains: Sequence[KeptChain]) -> tuple[list[Place], list[Place]]:
    """Return the places that chains read: those that come from outside, those they write."""
    written = {topic for chain in chains for topic in chain.outputs}
    places = dict.fromkeys(place for chain in chains for place in chain.places)
    return (
        [place for place in places if place[0] not in written],
        [place for place in places if place[0] in written],
    )


def given_places(chain: KeptChain, chains: Sequence[KeptChain]) -> list[Place]:
    """Return the places one of these chains reads that none of them writes."""
    given = set(input_places(chains)[0])
    return [place for place in chain.places if place in given]


def require_kept(bootstrap: str, topology: Topology, chains: Iterable[KeptChain]) -> None:
    """Refuse chains of which Kafka keeps nothing: the steps are run in another way, or never were.

    Raises:  UsageError.
    """
    existing = Admin(bootstrap).partitions()
    prefix = f"headrace.{topology.name}."
    kept = ", ".join(sorted(name for name in existing if name.startswith(prefix)))
    for chain in chains:
        if chain.changelog not in existing:
            raise UsageError(
                f"topology {topology.name}, steps {chain.name}: expected their state in "
                f"{chain.changelog}, found {kept or 'no state of this topology'}; name steps as "
                "the workers run them: --steps for those of worker --step, --no-fused as there"
            )


def require_stopped(bootstrap: str, groups: Sequence[str], remedy: str) -> None:
    """Refuse to touch what somebody works on.

    Raises:  UsageError that names groups with members.
    """
    alive = {group: who for group, who in Admin(bootstrap).members(groups).items() if who}
    if alive:
        found = "; ".join(
            f"{group} has {len(who)}: {', '.join(who[:SHOWN])}" for group, who in alive.items()
        )
        raise UsageError(
            f"expected groups without members, found {found}; {remedy} (a worker with a name, "
            "HEADRACE_INSTANCE, counts until its session has run out)"
        )


def snapshots(bootstrap: str, chain: KeptChain) -> list[Snapshot]:
    """Return the state of each partition of a stopped chain; nobody can add to it after this.

    An owner that did not let go is fenced: what it left open is ended.
    """
    found = read_snapshots(bootstrap, chain.changelog, chain.partitions)
    last = [each.checkpoint for each in found if each.checkpoint is not None]
    unreleased = sorted({each.owner for each in last if each.owner and not each.is_released})
    for owner in unreleased:
        fence(bootstrap, owner)
    return read_snapshots(bootstrap, chain.changelog, chain.partitions) if unreleased else found

"""The versions of a topology that Kafka keeps, found by the names of their changelogs."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from headrace.errors import UsageError
from headrace.kafka.admin import Admin
from headrace.kafka.offsets import OffsetQuery
from headrace.runtime.assemble import Choice
from headrace.runtime.topics import app_name, gateway_changelog_topic
from headrace.topology import Step, Topology
from headrace.versions.chains import KeptChain, input_places
from headrace.versions.versioned import MAIN, line


@dataclass(frozen=True, slots=True)
class KeptVersion:
    """A version, or the main line, as far as there is state of it.

    `topology` is the page of its steps, `chains` are in flow order; `unknown` are changelogs of
    steps that the topology does not have any more.
    """

    name: str
    topology: Topology
    chains: Sequence[KeptChain]
    unknown: Sequence[str] = field(default_factory=tuple)

    @property
    def steps(self) -> list[str]:
        """Return the names of its steps."""
        return [step.name for chain in self.chains for step in chain.run]

    @property
    def groups(self) -> list[str]:
        """Return its consumer groups."""
        return [chain.group for chain in self.chains]

    @property
    def written(self) -> dict[str, int]:
        """Return the topics its steps write, with their partition counts."""
        return {
            topic.name: topic.partitions
            for chain in self.chains
            for step in chain.run
            for topic in step.writes
        }


@dataclass(frozen=True, slots=True)
class ChainState:
    """Who is in the group of a chain, and how many offsets it has not done with."""

    chain: KeptChain
    members: Sequence[str]
    lag: int


def kept_versions(topology: Topology, topics: Iterable[str]) -> list[KeptVersion]:
    """Return what these topics of Kafka tell of the versions of a topology, the main line first."""
    pattern = re.compile(
        rf"{re.escape(app_name(topology))}\.(?:(?P<version>[^.]+)\.)?(?P<steps>[^.]+)\.changelog"
    )
    gateways = {gateway_changelog_topic(topology, each.name) for each in topology.gateways}
    changelogs: dict[str, list[str]] = {MAIN: []}
    for topic in sorted(set(topics) - gateways):
        if found := pattern.fullmatch(topic):
            changelogs.setdefault(found["version"] or MAIN, []).append(topic)
    versions = [_kept(topology, name, found) for name, found in changelogs.items()]
    return [each for each in versions if each.chains or each.unknown]


def kept_version(bootstrap: str, topology: Topology, name: str) -> KeptVersion:
    """Return the version of that name, or the main line.

    Raises:  UsageError if there is no state of it.
    """
    versions = kept_versions(topology, Admin(bootstrap).partitions())
    for version in versions:
        if version.name == name:
            return version
    known = ", ".join(version.name for version in versions) or "none"
    raise UsageError(
        f"topology {topology.name} has no version {name!r} in Kafka; it has {known}; make one with "
        f"headrace replay {topology.name} --version {name}"
    )


def chain_states(bootstrap: str, version: KeptVersion) -> list[ChainState]:
    """Return how the chains of a version are, as Kafka has it."""
    members = Admin(bootstrap).members(version.groups)
    logs = OffsetQuery(bootstrap)
    found = []
    try:
        for chain in version.chains:
            group = OffsetQuery(bootstrap, chain.group)
            committed, ends = group.committed(chain.places), logs.ends(chain.places)
            group.close()
            lag = sum(max(0, end - committed.get(place, 0)) for place, end in ends.items())
            found.append(ChainState(chain, members[chain.group], lag))
    finally:
        logs.close()
    return found


def given_topics(version: KeptVersion) -> list[str]:
    """Return the topics a version reads and does not write."""
    return list(dict.fromkeys(topic for topic, _ in input_places(version.chains)[0]))


def choice_of(version: KeptVersion) -> Choice:
    """Return how a worker does the chains of a version: its steps fused, or one by one.

    Raises:  UsageError if neither gives them, as when it was run in both ways.
    """
    kept = [chain.run for chain in version.chains]
    for choice in (Choice(fuse=True), Choice(fuse=False)):
        if [tuple(run) for run in choice.runs(version.topology)] == kept:
            return choice
    raise UsageError(
        f"version {version.name}: expected its steps in one way, fused or not, found state of "
        f"{', '.join(chain.name for chain in version.chains)}; drop it and make it anew"
    )


def narrowed(version: KeptVersion, steps: Sequence[str]) -> KeptVersion:
    """Return a version with only the chains all of whose steps are among these."""
    chains = [c for c in version.chains if {step.name for step in c.run} <= set(steps)]
    return replace(version, chains=chains)


def _kept(topology: Topology, name: str, changelogs: Sequence[str]) -> KeptVersion:
    runs, unknown = [], []
    for changelog in changelogs:
        run = _steps_named(topology.steps, changelog.removesuffix(".changelog").rpartition(".")[2])
        if run:
            runs.append(run)
        else:
            unknown.append(changelog)
    order = [step.name for step in topology.steps]
    runs.sort(key=lambda run: order.index(run[0]))
    mine = line(topology, name, [step for run in runs for step in run]) if runs else topology
    chains = [KeptChain.of(mine, [mine.step(step) for step in run]) for run in runs]
    return KeptVersion(name, mine, chains, tuple(unknown))


def _steps_named(steps: Sequence[Step], text: str) -> list[str]:
    """Return the steps, in flow order, whose names joined by `-` are this text; none if none are.

    A name may hold a `-` itself.
    """
    for number, step in enumerate(steps):
        if text == step.name:
            return [step.name]
        if text.startswith(f"{step.name}-"):
            rest = _steps_named(steps[number + 1 :], text[len(step.name) + 1 :])
            if rest:
                return [step.name, *rest]
    return []

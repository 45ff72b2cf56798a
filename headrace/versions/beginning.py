"""A version's beginning: empty, at a place of its inputs, and noted."""

from collections.abc import Sequence

from headrace.errors import UsageError
from headrace.kafka.admin import Admin
from headrace.kafka.fetched import Offsets, Place
from headrace.kafka.offsets import OffsetQuery
from headrace.runtime.assemble import Choice, ensure_topics
from headrace.runtime.topics import app_name
from headrace.state.snapshot import Snapshot
from headrace.topology import Topology
from headrace.versions.chains import (
    KeptChain,
    kept_chains,
    require_stopped,
    snapshots,
)
from headrace.versions.handover import Successor, hand_over
from headrace.versions.places import Where
from headrace.versions.span import begin_offsets

BEGIN = "begin"
"""What the group that notes where a version began is called, behind the version's name."""


def begin(bootstrap: str, topology: Topology, choice: Choice, where: Where) -> Offsets:
    """Lay a version down, empty, at a place of its inputs; return from where it reads those.

    `topology` is the version's. Its topics are made; what steps of it write and read is new.
    Raises:  UsageError if there is such a version already, or if another topology has one.
    """
    require_own(bootstrap, topology)
    ensure_topics(topology, bootstrap, choice.runs(topology))
    chains = kept_chains(topology, choice)
    require_stopped(bootstrap, [chain.group for chain in chains], "stop these workers first")
    found = [snapshots(bootstrap, chain) for chain in chains]
    _require_new(topology, chains, found)
    starts, inner = begin_offsets(bootstrap, chains, where)
    everything = starts | inner
    successions = [
        (chain, snapshot, [_successor(chain, everything, p) for p in range(chain.partitions)])
        for chain, snapshot in zip(chains, found, strict=True)
    ]
    notes = {begin_group(topology): starts}
    hand_over(bootstrap, f"{app_name(topology)}.handover", successions, notes)
    return starts


def begin_group(topology: Topology) -> str:
    """Return the group that notes where a version began."""
    return f"{app_name(topology)}.{BEGIN}"


def begun_at(bootstrap: str, topology: Topology, places: Sequence[Place]) -> Offsets:
    """Return where a version began to read, as far as it was noted (a week, by Kafka's default)."""
    query = OffsetQuery(bootstrap, begin_group(topology))
    try:
        return query.committed(places)
    finally:
        query.close()


def require_own(bootstrap: str, topology: Topology) -> None:
    """Refuse a version whose name another topology uses: they may write the same topics.

    Raises:  UsageError.
    """
    _, _, version = topology.name.partition(".")
    for name in Admin(bootstrap).partitions():
        prefix, _, rest = name.partition(f".{version}.")
        if prefix.startswith("headrace.") and rest.endswith(".changelog"):
            other = prefix.removeprefix("headrace.")
            if "." not in other and f"{other}.{version}" != topology.name:
                raise UsageError(
                    f"version {version}: topology {other} has one of that name (its state is in "
                    f"{name}), and both may write the same topics; name this one otherwise"
                )


def _require_new(
    topology: Topology, chains: Sequence[KeptChain], found: Sequence[Sequence[Snapshot]]
) -> None:
    name, _, version = topology.name.partition(".")
    for chain, of_chain in zip(chains, found, strict=True):
        if any(snapshot.checkpoint is not None for snapshot in of_chain):
            raise UsageError(
                f"topology {name}, version {version}: expected a new version, found state in "
                f"{chain.changelog}; remove it with headrace versions drop {name} {version}, name "
                f"another, or go on with it: headrace worker {name} --version {version}"
            )


def _successor(chain: KeptChain, starts: Offsets, partition: int) -> Successor:
    return Successor(offsets={topic: starts[topic, partition] for topic in chain.inputs})

"""Has stopped steps forget what they know, and start empty at a given place of their input."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from headrace.errors import UsageError
from headrace.kafka.fetched import Offsets
from headrace.runtime.assemble import Choice
from headrace.runtime.topics import app_name
from headrace.topology import Topology
from headrace.versions.chains import (
    KeptChain,
    kept_chains,
    require_kept,
    require_stopped,
    snapshots,
)
from headrace.versions.handover import Successor, hand_over
from headrace.versions.orders import at_gateways, before_gateways
from headrace.versions.places import LATEST, Where
from headrace.versions.span import begin_offsets


@dataclass(frozen=True, slots=True)
class Reset:
    """A reset that may be done: the chains it is of, and from where they read after it."""

    topology: Topology
    chains: Sequence[KeptChain]
    starts: Offsets

    @property
    def written_again(self) -> list[str]:
        """Return the topics whose readers will see again what was written before."""
        return [topic for chain in self.chains for topic in chain.outputs]


def plan_reset(bootstrap: str, topology: Topology, choice: Choice, where: Where) -> Reset:
    """Return what a reset would do; nothing is changed yet.

    Raises:  UsageError if a step leads to a gateway, has no state, or is at work.
    """
    chains = kept_chains(topology, choice)
    require_no_orders(topology, [s.name for chain in chains for s in chain.run], where)
    require_kept(bootstrap, topology, chains)
    require_stopped(bootstrap, [chain.group for chain in chains], "stop these workers first")
    starts, inner = begin_offsets(bootstrap, chains, where)
    return Reset(topology, chains, starts | inner)


def require_no_orders(topology: Topology, steps: Sequence[str], where: Where) -> None:
    """Refuse steps whose state says what became of an order, or that would send orders again.

    Raises:  UsageError.
    """
    refused = at_gateways(topology)
    leading = before_gateways(topology) if where != LATEST else set()
    for step in steps:
        if step in refused:
            raise UsageError(
                f"topology {topology.name}, step {step}: {refused[step]}; its state says what "
                "became of each order, and without it orders could be sent twice: it cannot be "
                "reset; name other steps with --steps"
            )
        if step in leading:
            raise UsageError(
                f"topology {topology.name}, step {step}: what it wrote again would reach a gateway "
                "as new orders on old prices; expected --from latest for such a step, found "
                "another place; or name other steps with --steps"
            )


def reset(bootstrap: str, planned: Reset, state_folder: Path) -> None:
    """Do it: forget the state of the chains in Kafka and in this folder, and set their offsets.

    Raises:  AbortedError if nothing was changed, as when a worker was started meanwhile.
    """
    successions = []
    for chain in planned.chains:
        found = snapshots(bootstrap, chain)
        following = [
            Successor(offsets={topic: planned.starts[topic, number] for topic in chain.inputs})
            for number in range(chain.partitions)
        ]
        successions.append((chain, found, following))
    hand_over(bootstrap, f"{app_name(planned.topology)}.handover", successions)
    for chain in planned.chains:
        shutil.rmtree(state_folder / chain.group, ignore_errors=True)

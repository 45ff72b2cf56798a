"""The main line goes on with the state of a version, from where it has ended itself.

A version has written to topics of its own. So that the main line's lose no record and get none
twice, both must have read the same: the version is brought to where the main line ended, exactly.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from headrace.errors import UsageError
from headrace.kafka.fetched import Offsets
from headrace.kafka.offsets import OffsetQuery
from headrace.runtime.chain import tables_of
from headrace.runtime.merge import merge_table
from headrace.runtime.topics import app_name
from headrace.state.pages import page_name
from headrace.state.snapshot import Snapshot
from headrace.state.store import Checkpoint
from headrace.state.tables import layouts_of
from headrace.topology import Topology
from headrace.versions.chains import (
    KeptChain,
    given_places,
    require_kept,
    require_stopped,
    snapshots,
)
from headrace.versions.handover import Succession, Successor, hand_over
from headrace.versions.kept import KeptVersion
from headrace.versions.orders import after_gateways, at_gateways
from headrace.versions.versioned import MAIN

CatchUp = Callable[[Mapping[str, Offsets]], None]
"""Has the version read its inputs to these offsets, by group."""


@dataclass(frozen=True, slots=True)
class Switch:
    """A switch that may be done: the chains of the main line and, in the same order, the version's.

    `ends` is how far the main line has read, by the group of the version that is to; `behind` how
    many offsets the version lacks of that.
    """

    topology: Topology
    version: KeptVersion
    chains: Sequence[KeptChain]
    ends: Mapping[str, Offsets]
    behind: int


def plan_switch(bootstrap: str, topology: Topology, version: KeptVersion) -> Switch:
    """Return what a switch would do; no state is changed yet.

    Raises:  UsageError if somebody is at work, if the version is ahead, if the main line has not
             done with what it wrote itself, or if an order may depend on it.
    """
    if version.name == MAIN or version.unknown:
        found = ", ".join(version.unknown) or f"{MAIN}, the main line"
        raise UsageError(
            f"topology {topology.name}: expected a version of steps it has, found {found}"
        )
    require_no_orders(topology, version.steps)
    chains = [
        KeptChain.of(topology, [topology.step(step.name) for step in chain.run])
        for chain in version.chains
    ]
    require_kept(bootstrap, topology, chains)
    remedy = "stop the version's workers first, then those of the main line"
    require_stopped(bootstrap, [c.group for c in (*version.chains, *chains)], remedy)
    main = [snapshots(bootstrap, chain) for chain in chains]
    mine = [snapshots(bootstrap, chain) for chain in version.chains]
    _require_through(bootstrap, topology, chains, main)
    ends: dict[str, Offsets] = {}
    behind = 0
    for number, chain in enumerate(chains):
        line = offsets_of(bootstrap, chain, main[number])
        begun = offsets_of(bootstrap, version.chains[number], mine[number])
        wanted = {place: line[place] for place in given_places(chain, chains)}
        _require_not_ahead(topology, version, wanted, begun)
        ends[version.chains[number].group] = wanted
        behind += sum(end - begun[place] for place, end in wanted.items())
    return Switch(topology, version, chains, ends, behind)


def switch(bootstrap: str, planned: Switch, catch_up: CatchUp) -> None:
    """Do it: bring the version to where the main line is, and give the main line its state.

    Raises:  UsageError if the version's state does not fit; AbortedError if nothing was changed, as
             when a worker was started meanwhile.
    """
    catch_up(planned.ends)
    version = planned.version
    successions: list[Succession] = []
    for chain, mine in zip(planned.chains, version.chains, strict=True):
        before, after = snapshots(bootstrap, chain), snapshots(bootstrap, mine)
        wanted = planned.ends[mine.group]
        inner = _inner_ends(bootstrap, mine, version.chains)
        _require_place(
            f"version {version.name}", offsets_of(bootstrap, mine, after), wanted | inner
        )
        _require_layouts(planned.topology, version, chain, after)
        _require_same_merges(version, chain, before, after)
        starts = offsets_of(bootstrap, chain, before)
        _require_place("the main line", starts, wanted)
        following = [
            _successor(snapshot, {topic: starts[topic, number] for topic in chain.inputs})
            for number, snapshot in enumerate(after)
        ]
        successions.append((chain, before, following))
    hand_over(bootstrap, f"{app_name(planned.topology)}.handover", successions)


def require_no_orders(topology: Topology, steps: Sequence[str]) -> None:
    """Refuse steps whose state says what became of orders: a version's own were never sent.

    Raises:  UsageError.
    """
    why = dict.fromkeys(after_gateways(topology), "it hears, by some way, what a gateway reports")
    why |= at_gateways(topology)
    for step in steps:
        if step in why:
            raise UsageError(
                f"topology {topology.name}, step {step}: {why[step]}; a version's orders never "
                "leave, so its state says of them what is not so: it cannot take over; make the "
                "version without this step: headrace replay --steps …"
            )


def offsets_of(bootstrap: str, chain: KeptChain, found: Sequence[Snapshot]) -> Offsets:
    """Return where a chain goes on reading; at the beginning of what it never began."""
    logs = OffsetQuery(bootstrap)
    try:
        lows = logs.starts(chain.places)
    finally:
        logs.close()
    known = [(snapshot.checkpoint or Checkpoint()).offsets for snapshot in found]
    return {place: known[place[1]].get(place[0], low) for place, low in lows.items()}


def _require_through(
    bootstrap: str,
    topology: Topology,
    chains: Sequence[KeptChain],
    found: Sequence[Sequence[Snapshot]],
) -> None:
    """Refuse while steps of the main line have still to read what others of it have written."""
    for chain, of_chain in zip(chains, found, strict=True):
        offsets = offsets_of(bootstrap, chain, of_chain)
        for (topic, partition), end in _inner_ends(bootstrap, chain, chains).items():
            if offsets[topic, partition] < end:
                options = " ".join(f"--step {step.name}" for step in chain.run)
                raise UsageError(
                    f"topology {topology.name}, steps {chain.name}: expected all of {topic} "
                    f"processed, found {end - offsets[topic, partition]} offsets of partition "
                    f"{partition} waiting; let them be done with it before the switch: headrace "
                    f"worker {topology.name} {options}"
                )


def _inner_ends(bootstrap: str, chain: KeptChain, chains: Sequence[KeptChain]) -> Offsets:
    """Return where what a chain reads of these chains' own ends."""
    given = set(given_places(chain, chains))
    logs = OffsetQuery(bootstrap)
    try:
        return logs.ends([place for place in chain.places if place not in given])
    finally:
        logs.close()


def _require_not_ahead(
    topology: Topology, version: KeptVersion, ends: Offsets, begun: Offsets
) -> None:
    for place, end in ends.items():
        if begun[place] > end:
            raise UsageError(
                f"version {version.name} of {topology.name}: expected it to have read no more than "
                f"the main line, found offset {begun[place]} against {end} of topic {place[0]}, "
                f"partition {place[1]}; what it wrote of that is in its own topics alone: start "
                f"the main line again until it is past (headrace worker {topology.name}), then "
                "stop it and switch"
            )


def _require_place(who: str, read: Offsets, wanted: Offsets) -> None:
    """Refuse who has not read exactly to where both have to be."""
    for (topic, partition), offset in wanted.items():
        if read[topic, partition] != offset:
            raise UsageError(
                f"{who}: expected topic {topic}, partition {partition} read to {offset}, where the "
                f"main line was, found {read[topic, partition]}; a merge may hold records back, or "
                "a worker was at work meanwhile: start the main line again for a while, stop it, "
                "and switch"
            )


def _require_layouts(
    topology: Topology, version: KeptVersion, chain: KeptChain, found: Sequence[Snapshot]
) -> None:
    layouts = layouts_of(tables_of(chain.run))
    for number, snapshot in enumerate(found):
        written = (snapshot.checkpoint or Checkpoint()).layouts
        for table, layout in layouts.items():
            if written.get(table, layout) != layout:
                raise UsageError(
                    f"version {version.name} of {topology.name}, partition {number}, table "
                    f"{table}: expected pages of layout {layout}, found {written[table]}; switch "
                    "with the code the version has run: headrace versions switch --project FOLDER"
                )


def _require_same_merges(
    version: KeptVersion,
    chain: KeptChain,
    before: Sequence[Snapshot],
    after: Sequence[Snapshot],
) -> None:
    """Refuse merges that have given on more of a stream than those of the main line, or less.

    One that holds records back has read them, and its offsets do not tell how far.
    """
    tables = [merge_table(step.name).name for step in chain.run if step.merge]
    for number, (old, new) in enumerate(zip(before, after, strict=True)):
        given, mine = (_pages_of(tables, each.pages) for each in (old, new))
        for page in sorted(given.keys() & mine.keys()):
            if given[page] != mine[page]:
                table, stream, _ = page_name(page)
                raise UsageError(
                    f"version {version.name}, steps {chain.name}, partition {number}, table "
                    f"{table}: expected stream {stream!r} to be where it is in the main line, "
                    "found another place: one of them holds records back; start the main line "
                    "again until it waits for nothing, stop it, and switch"
                )


def _pages_of(tables: Sequence[str], pages: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
    return {page: value for page, value in pages.items() if page_name(page)[0] in tables}


def _successor(snapshot: Snapshot, offsets: Mapping[str, int]) -> Successor:
    checkpoint = snapshot.checkpoint or Checkpoint()
    return Successor(snapshot.pages, offsets, checkpoint.counts, checkpoint.layouts)

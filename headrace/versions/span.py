"""From where to where chains read their inputs, when somebody names a range of them."""

from collections.abc import Mapping, Sequence

from headrace.kafka.fetched import Offsets, Place
from headrace.versions.chains import KeptChain, given_places, input_places
from headrace.versions.places import EARLIEST, LATEST, Where, offsets_at


def begin_offsets(
    bootstrap: str, chains: Sequence[KeptChain], where: Where
) -> tuple[Offsets, Offsets]:
    """Return where empty chains begin: on what comes from outside, and on what they write.

    Reference topics begin at their beginning: a table without their older rows would know none of
    them. What chains write and read is new, so it begins where it ends.
    """
    given, inner = input_places(chains)
    rows, streams = _parted(given, chains)
    starts = offsets_at(bootstrap, streams, where) | offsets_at(bootstrap, rows, EARLIEST)
    return starts, offsets_at(bootstrap, inner, LATEST)


def end_offsets(
    bootstrap: str, chains: Sequence[KeptChain], starts: Offsets, where: Where
) -> Mapping[str, Offsets]:
    """Return by group where chains end on what comes from outside; nowhere before `starts`.

    Reference topics are read to where they end now.
    """
    rows, streams = _parted(list(starts), chains)
    wanted = offsets_at(bootstrap, streams, where) | offsets_at(bootstrap, rows, LATEST)
    return {
        chain.group: {place: max(starts[place], wanted[place]) for place in places}
        for chain in chains
        for places in [given_places(chain, chains)]
    }


def _parted(
    places: Sequence[Place], chains: Sequence[KeptChain]
) -> tuple[list[Place], list[Place]]:
    """Return the places of reference topics, and the others."""
    names = {
        topic.name
        for chain in chains
        for step in chain.run
        for topic in step.reads
        if topic.reference
    }
    rows = [place for place in places if place[0] in names]
    return rows, [place for place in places if place[0] not in names]

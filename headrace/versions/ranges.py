"""Which range of its inputs a version has read, and whether two have read the same."""

from dataclasses import dataclass

from headrace.kafka.fetched import Offsets
from headrace.kafka.offsets import OffsetQuery
from headrace.versions.alignment import Bounds
from headrace.versions.beginning import begun_at
from headrace.versions.chains import input_places
from headrace.versions.kept import KeptVersion
from headrace.versions.versioned import MAIN


@dataclass(frozen=True, slots=True)
class Ranges:
    """From where to where a version has read what comes from outside, by place.

    `begins` lacks what was not noted. `is_through` says whether its steps are done with all that
    they write for each other.
    """

    begins: Offsets
    ends: Offsets
    is_through: bool


def read_ranges(bootstrap: str, version: KeptVersion) -> Ranges:
    """Return the ranges a version has read by now.

    The main line counts as having begun with the first record ever.
    """
    given, _ = input_places(version.chains)
    if version.name == MAIN:
        begins = dict.fromkeys(given, 0)
    else:
        begins = begun_at(bootstrap, version.topology, given)
    ends: Offsets = {}
    is_through = True
    logs = OffsetQuery(bootstrap)
    for chain in version.chains:
        group = OffsetQuery(bootstrap, chain.group, counts_open=False)
        committed = group.committed(chain.places)
        group.close()
        mine = [place for place in chain.places if place in given]
        for place in mine:
            ends[place] = min(committed.get(place, 0), ends.get(place, committed.get(place, 0)))
        inner = logs.ends([place for place in chain.places if place not in given])
        is_through &= all(committed.get(place, 0) >= end for place, end in inner.items())
    logs.close()
    return Ranges(begins, ends, is_through)


def bounds_of(before: tuple[Ranges, Ranges], after: tuple[Ranges, Ranges]) -> Bounds:
    """Return where two versions, read in between, may have other ranges."""
    left, right = before
    if not left.ends or left.ends.keys() != right.ends.keys():
        return Bounds(is_open_before=True, is_open_behind=True)
    begins_alike = left.begins == right.begins and left.begins.keys() == left.ends.keys()
    is_still = before == after and left.is_through and right.is_through
    return Bounds(
        is_open_before=not begins_alike,
        is_open_behind=not (is_still and left.ends == right.ends),
    )

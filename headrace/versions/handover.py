"""Writes the state and the place of stopped chains from outside, all of them in one transaction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

import structlog

from headrace.kafka.fetched import Offsets
from headrace.kafka.offsets import GroupMetadata, OffsetQuery
from headrace.kafka.transaction import TransactionalProducer
from headrace.runtime.task import places_of
from headrace.state.changelog import Changelog
from headrace.state.snapshot import Snapshot
from headrace.state.store import Checkpoint
from headrace.versions.chains import KeptChain

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Successor:
    """What is to follow on the state of one partition: pages, next offsets by topic, counters.

    `layouts` tells by table how the pages are written; empty where there are none.
    """

    pages: dict[bytes, bytes] = field(default_factory=dict)
    offsets: Mapping[str, int] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    layouts: Mapping[str, str] = field(default_factory=dict)


NO_NOTES: Mapping[str, Offsets] = MappingProxyType({})

Succession = tuple[KeptChain, Sequence[Snapshot], Sequence[Successor]]
"""A chain, what it has by partition, and what follows on that."""


def hand_over(
    bootstrap: str,
    owner: str,
    successions: Sequence[Succession],
    notes: Mapping[str, Offsets] = NO_NOTES,
) -> None:
    """Replace state and offsets of stopped chains; all count together or not at all.

    `notes` are offsets of further groups, which nobody reads by.

    `owner` names who does it, in the checkpoints and as the producer: a second one fences the
    first. The checkpoints say that it let go, so that the next worker fences nobody.
    Raises:  AbortedError if nothing of it counts, as when a member has joined meanwhile.
    """
    producer = TransactionalProducer(bootstrap, "headrace-handover", owner)
    producer.begin()
    try:
        for chain, found, following in successions:
            _send(producer, owner, chain, found, following)
            producer.add_offsets(_offsets(following), _stranger_to(bootstrap, chain.group))
        for group, offsets in notes.items():
            producer.add_offsets(offsets, _stranger_to(bootstrap, group))
        producer.commit({}, None)
    finally:
        producer.abort()
    log.info("handed_over", chains=[chain.group for chain, _, _ in successions], owner=owner)


def _send(
    producer: TransactionalProducer,
    owner: str,
    chain: KeptChain,
    found: Sequence[Snapshot],
    following: Sequence[Successor],
) -> None:
    changelog = Changelog(chain.changelog, producer)
    for partition, (snapshot, successor) in enumerate(zip(found, following, strict=True)):
        before = snapshot.checkpoint or Checkpoint()
        checkpoint = Checkpoint(
            number=before.number + 1,
            offsets=dict(successor.offsets),
            counts=dict(successor.counts),
            changelog_end=before.changelog_end,
            owner=owner,
            is_released=True,
            layouts=dict(successor.layouts),
        )
        changelog.send(partition, snapshot.changes_to(successor.pages), checkpoint)


def _stranger_to(bootstrap: str, group: str) -> GroupMetadata:
    query = OffsetQuery(bootstrap, group)
    metadata = query.metadata()
    query.close()
    return metadata


def _offsets(following: Sequence[Successor]) -> Offsets:
    found: Offsets = {}
    for partition, successor in enumerate(following):
        found |= places_of(partition, successor.offsets)
    return found

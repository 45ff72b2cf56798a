"""Reads whole batches from Kafka, as they wait there, grouped by topic and partition."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any, TypeAlias

import structlog
from confluent_kafka import Consumer as Client
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from headrace import limits
from headrace.errors import InvariantError, TransientError, UsageError
from headrace.kafka import config
from headrace.kafka.client_log import logged
from headrace.kafka.fetched import Fetched, Offsets, Place, RawPart
from headrace.kafka.outages import over_outages
from headrace.kafka.partition_queue import PartitionQueue

log = structlog.get_logger(__name__)

GroupMetadata: TypeAlias = Any
"""Who a member is, and since when: what a transaction shows to commit offsets."""


@dataclass(frozen=True, slots=True)
class Rebalance:
    """What a member does when partitions come and go; all are called from within a poll.

    `assigned`: they are paused until `Consumer.start` is called. `revoked`: nothing of them may be
    in flight when it returns. `lost`: they belong to somebody else already.
    """

    assigned: Callable[[Sequence[Place]], None]
    revoked: Callable[[Sequence[Place]], None]
    lost: Callable[[Sequence[Place]], None]


class Reader:
    """Reads partitions from where it is told to, without a group."""

    _unheard: frozenset[Place] = frozenset()

    def __init__(self, bootstrap: str, client_id: str) -> None:
        self._client = Client(config.reader(bootstrap, client_id) | logged())
        self._queue = PartitionQueue(self._client, client_id)

    def assign(self, starts: Mapping[Place, int]) -> None:
        """Read these partitions from these offsets, and no others."""
        self._queue.take_over(starts)
        self._client.assign([TopicPartition(t, p, offset) for (t, p), offset in starts.items()])
        self._unheard = frozenset(starts)

    def poll(self, records_max: int, timeout_s: float) -> Fetched:
        """Return what waits, at most so many records; waits only if there is nothing.

        Raises:  UsageError if a topic does not exist; InvariantError if the client is broken.
        """
        self._hear()
        if self._unheard:
            # The client ends the last reading of a partition later, and with it the forwarding of
            # its queue, though that is for the next: what comes would wait there for ever.
            self._queue.take_over(self._unheard)
        fetched, errors = self._queue.poll(records_max, timeout_s)
        for error in errors:
            _judge(error)
        if self._unheard:
            self._unheard -= fetched.read_to().keys()
        return fetched

    def _hear(self) -> None:
        """Have the client say what is no record: above all, partitions that come and go."""
        said = self._client.poll(0)
        if said is not None:
            if said.error() is None:
                raise InvariantError(
                    f"topic {said.topic()}, partition {said.partition()}: a record came past the "
                    "queue of its partition"
                )
            _judge(said.error())

    def read_through(
        self, starts: Mapping[Place, int], ends: Mapping[Place, int]
    ) -> Iterator[RawPart]:
        """Yield what lies between these offsets, in order within each partition.

        Raises:  TransientError if a partition gets no further for `REQUEST_TIMEOUT_S`.
        """
        missing = {place: end for place, end in ends.items() if starts[place] < end}
        self.assign({place: starts[place] for place in missing})
        heard_at = monotonic()
        while missing:
            fetched = self.poll(limits.BATCH_RECORDS_MAX, 0.5)
            for place, offset in fetched.read_to().items():
                heard_at = monotonic()
                if offset >= missing.get(place, offset + 1):
                    del missing[place]
            yield from fetched.parts
            if missing and monotonic() - heard_at > limits.REQUEST_TIMEOUT_S:
                (topic, partition), end = next(iter(missing.items()))
                raise TransientError(
                    f"topic {topic}, partition {partition}: not read to offset {end} within "
                    f"{limits.REQUEST_TIMEOUT_S} s; a transaction may be open there"
                )
        self.assign({})  # it would go on fetching

    @over_outages
    def bounds(self, topic: str, partition: int) -> tuple[int, int]:
        """Return the first offset and the one after the last that may be read: committed."""
        try:
            low, high = self._client.get_watermark_offsets(
                TopicPartition(topic, partition), timeout=limits.REQUEST_TIMEOUT_S
            )
        except KafkaException as error:
            raise TransientError(f"topic {topic}, partition {partition}: {error}") from error
        return low, high

    def close(self) -> None:
        """Stop reading."""
        self._queue.close()
        self._client.close()


class Consumer(Reader):
    """A member of a consumer group that is told from where to read and what to commit.

    Only the thread that polls may call its methods: during a rebalance the client answers no other.
    """

    def __init__(
        self,
        bootstrap: str,
        client_id: str,
        group: str,
        instance: str | None = None,
    ) -> None:
        """Be a member of `group`: a static one if `instance` names it."""
        settings = config.member(bootstrap, client_id, group, instance)
        self._client = Client(settings | logged() | {"on_commit": self._committed})
        self._queue = PartitionQueue(self._client, client_id)
        self.group = group
        self._refused: Offsets = {}

    def subscribe(self, topics: Sequence[str], rebalance: Rebalance) -> None:
        """Join the group."""

        def assigned(client: Client, partitions: list[TopicPartition]) -> None:
            self._take_over(_places(partitions))
            client.incremental_assign(partitions)
            if partitions:
                client.pause(partitions)
                rebalance.assigned(_places(partitions))

        def revoked(client: Client, partitions: list[TopicPartition]) -> None:
            if partitions:
                self._let_go(_places(partitions))
                rebalance.revoked(_places(partitions))
            client.incremental_unassign(partitions)

        def lost(client: Client, partitions: list[TopicPartition]) -> None:
            if partitions:
                self._let_go(_places(partitions))
                rebalance.lost(_places(partitions))
            client.incremental_unassign(partitions)

        self._client.subscribe(list(topics), on_assign=assigned, on_revoke=revoked, on_lost=lost)

    def _take_over(self, places: Sequence[Place]) -> None:
        """Have the records of these come here, before they are assigned."""
        self._queue.take_over(places)

    def _let_go(self, places: Sequence[Place]) -> None:
        """Give nothing more of these, before they go: for the rest the client sees to it."""
        self._unheard = self._unheard.difference(places)

    def start(self, starts: Offsets) -> bool:
        """Read these assigned partitions from these offsets, whatever was read of them before.

        Returns False if the client is not ready to: it may still look for where they begin. Poll,
        and call again.
        """
        for (topic, partition), offset in starts.items():
            try:
                self._client.seek(TopicPartition(topic, partition, offset))
            except KafkaException as error:
                if error.args[0].code() == KafkaError._STATE:  # noqa: SLF001  (the client's name)
                    return False
                raise TransientError(f"topic {topic}, partition {partition}: {error}") from error
        self.resume(list(starts))
        self._unheard |= starts.keys()
        return True

    def is_member(self) -> bool:
        """Say whether the group knows this consumer."""
        return bool(self._client.memberid())

    def metadata(self) -> GroupMetadata:
        """Return what the group knows this member by just now."""
        return self._client.consumer_group_metadata()

    def commit(self, offsets: Offsets) -> None:
        """Tell the group how far this member has come, without waiting for it.

        For whoever watches, and for a start without state: what was processed is known elsewhere.
        `take_refused` says later what the group did not take.
        """
        wanted = [TopicPartition(t, p, offset) for (t, p), offset in offsets.items()]
        try:
            self._client.commit(offsets=wanted, asynchronous=True)
        except KafkaException as error:
            log.warning("commit_refused", group=self.group, error=str(error))
            self._refused |= offsets

    def _committed(self, error: KafkaError | None, partitions: list[TopicPartition]) -> None:
        if error is not None:
            partition = [f"{p.topic}-{p.partition}" for p in partitions]
            log.warning("commit_failed", group=self.group, error=error.str(), partitions=partition)
            self._refused |= {(p.topic, p.partition): p.offset for p in partitions}

    def take_refused(self) -> Offsets:
        """Return the offsets that were committed in vain since this was last asked."""
        refused, self._refused = self._refused, {}
        return refused

    @over_outages
    def committed(self, partitions: Sequence[Place]) -> Offsets:
        """Return the group's committed offsets; partitions without one are left out."""
        wanted = [TopicPartition(t, p) for t, p in partitions]
        try:
            found = self._client.committed(wanted, timeout=limits.REQUEST_TIMEOUT_S)
        except KafkaException as error:
            raise TransientError(f"group {self.group}: {error}") from error
        return {(p.topic, p.partition): p.offset for p in found if p.offset >= 0}

    def lag(self, offsets: Offsets) -> int:
        """Return how many offsets lie behind these, as far as the client has heard."""
        total = 0
        for (topic, partition), offset in offsets.items():
            _, high = self._client.get_watermark_offsets(
                TopicPartition(topic, partition), cached=True
            )
            total += max(0, high - offset)
        return total

    def pause(self, partitions: Sequence[Place]) -> None:
        """Stop reading these partitions for now."""
        self._client.pause([TopicPartition(t, p) for t, p in partitions])

    def resume(self, partitions: Sequence[Place]) -> None:
        """Go on reading these partitions."""
        self._client.resume([TopicPartition(t, p) for t, p in partitions])


def _places(partitions: Sequence[TopicPartition]) -> list[Place]:
    return [(p.topic, p.partition) for p in partitions]


def _judge(error: KafkaError) -> None:
    """Go on after what passes by itself; stop at what does not."""
    if error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
        raise UsageError(f"{error.str()}; create it with: headrace topics TOPOLOGY --create")
    if error.fatal():
        raise InvariantError(f"the Kafka client is broken: {error.str()}")
    log.warning("kafka_consume", error=error.str())

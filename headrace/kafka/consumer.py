"""Reads from Kafka what waits there, alone or as a member of a group, by topic and partition."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from time import monotonic

import structlog
from confluent_kafka import Consumer as Client
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from headrace import limits
from headrace.errors import InvariantError, TransientError, UsageError
from headrace.kafka import config
from headrace.kafka.client_log import logged
from headrace.kafka.fetched import Fetched, Offsets, Place, RawPart
from headrace.kafka.fetcher import Fetcher
from headrace.kafka.offsets import GroupMetadata, in_log
from headrace.kafka.outages import over_outages

log = structlog.get_logger(__name__)


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

    def __init__(self, bootstrap: str, client_id: str) -> None:
        """Ask the cluster behind these addresses: `host:port`, several by commas."""
        self._client = Client(config.reader(bootstrap, client_id) | logged())
        self._fetcher = Fetcher(bootstrap, client_id)

    def assign(self, starts: Mapping[Place, int]) -> None:
        """Read these partitions from these offsets, and no others."""
        self._fetcher.assign(starts)

    def poll(self, records_max: int, timeout_s: float) -> Fetched:
        """Return what waits, at most so many records; waits only if there is nothing.

        Raises:  UsageError if a topic does not exist, or was read to behind its end; InvariantError
                 if the client is broken or a log is damaged.
        """
        self._hear()
        for place, offset in self._fetcher.out_of_range().items():
            low, high = self.bounds(*place)
            self._fetcher.start({place: in_log(place, offset, low, high)})
        return self._fetcher.take(records_max, timeout_s)

    def _hear(self) -> None:
        """Have the client say what is no record: above all, partitions that come and go."""
        said = self._client.poll(0)
        if said is not None:
            if said.error() is None:
                raise InvariantError(
                    f"topic {said.topic()}, partition {said.partition()}: the client fetched a "
                    "record, though its partitions are paused"
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
        """Stop reading; a member leaves its group."""
        self._fetcher.close()
        self._client.close()


class Consumer(Reader):
    """A member of a consumer group that is told from where to read and what to commit.

    Groups and commits are confluent_kafka's client's. Its partitions stay paused: they are read by
    the fetcher. Only the thread that polls may call its methods: during a rebalance the client
    answers no other.
    """

    def __init__(
        self,
        bootstrap: str,
        client_id: str,
        group: str,
        instance: str | None = None,
        *,
        first: Collection[str] = (),
    ) -> None:
        """Be a member of `group`: a static one if `instance` names it.

        Of what waits the records of the topics in `first` are given before all others.
        """
        settings = config.member(bootstrap, client_id, group, instance)
        self._client = Client(settings | logged() | {"on_commit": self._committed})
        self._fetcher = Fetcher(bootstrap, client_id, first)
        self.group = group
        self._refused: Offsets = {}

    def subscribe(self, topics: Sequence[str], rebalance: Rebalance) -> None:
        """Join the group."""

        def assigned(client: Client, partitions: list[TopicPartition]) -> None:
            client.incremental_assign(partitions)
            if partitions:
                client.pause(partitions)
                rebalance.assigned(_places(partitions))

        def revoked(client: Client, partitions: list[TopicPartition]) -> None:
            if partitions:
                self._fetcher.stop(_places(partitions))
                rebalance.revoked(_places(partitions))
            client.incremental_unassign(partitions)

        def lost(client: Client, partitions: list[TopicPartition]) -> None:
            if partitions:
                self._fetcher.stop(_places(partitions))
                rebalance.lost(_places(partitions))
            client.incremental_unassign(partitions)

        self._client.subscribe(list(topics), on_assign=assigned, on_revoke=revoked, on_lost=lost)

    def start(self, starts: Offsets) -> None:
        """Read these assigned partitions from these offsets, whatever was read of them before."""
        self._fetcher.start(starts)

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
        """Return how many offsets lie behind these, as far as this member has heard."""
        ends = self._fetcher.stable_ends()
        return sum(max(0, ends.get(place, 0) - offset) for place, offset in offsets.items())

    def pause(self, partitions: Sequence[Place]) -> None:
        """Stop reading these partitions for now."""
        self._fetcher.pause(partitions)

    def resume(self, partitions: Sequence[Place]) -> None:
        """Go on reading these partitions."""
        self._fetcher.resume(partitions)


def _places(partitions: Sequence[TopicPartition]) -> list[Place]:
    return [(p.topic, p.partition) for p in partitions]


def _judge(error: KafkaError) -> None:
    """Go on after what passes by itself; stop at what does not."""
    if error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
        raise UsageError(f"{error.str()}; create it with: headrace topics TOPOLOGY --create")
    if error.fatal():
        raise InvariantError(f"the Kafka client is broken: {error.str()}")
    log.warning("kafka_consume", error=error.str())

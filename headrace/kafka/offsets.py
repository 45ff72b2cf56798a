"""How long logs are and how far groups have come, asked by a consumer that reads nothing.

Not by the admin client: with requests under way, librdkafka 2.12's has ended the process it was in
when its broker came back (a segmentation fault, or `rd_kafka_enq_once_del_source_return`).
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import structlog
from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, KafkaException, TopicPartition
from confluent_kafka import Consumer as Client

from headrace import limits
from headrace.errors import TransientError, UsageError
from headrace.kafka import config
from headrace.kafka.client_log import logged
from headrace.kafka.fetched import Offsets, Place
from headrace.kafka.outages import over_outages

log = structlog.get_logger(__name__)

GroupMetadata: TypeAlias = Any
"""Who a member is, and since when: what a transaction shows to commit offsets."""


def in_log(place: Place, offset: int, low: int, high: int) -> int:
    """Return from where a partition can be read, when `offset` is wanted next.

    What has expired is left out, and the log says so.
    Raises:  UsageError if that lies behind its end.
    """
    topic, partition = place
    if offset > high:
        raise UsageError(
            f"topic {topic}, partition {partition}: it was read to offset {offset}, but the log "
            f"ends at {high}: the topic was made anew; remove the state that belongs to the old "
            "one (HEADRACE_HOME) and its changelog topics to start from an empty state"
        )
    if offset < low:
        log.error("records_expired", topic=topic, partition=partition, lost=low - offset)
    return max(offset, low)


class OffsetQuery:
    """Asks for offsets, of logs and of one group; joins no group.

    With `counts_open`, as things stand: ends count what open transactions have written, and what a
    group is about to commit in one is not known yet. Without: what is committed, which for a group
    means that its open transaction is waited for.
    """

    def __init__(
        self, bootstrap: str, group: str = "headrace-offsets", *, counts_open: bool = True
    ) -> None:
        isolation = "read_uncommitted" if counts_open else "read_committed"
        self._settings = config.reader(bootstrap, "headrace-offsets")
        self._settings |= {"group.id": group, "isolation.level": isolation}
        self._client = Client(self._settings | logged())

    def ends(self, places: Sequence[Place]) -> Offsets:
        """Return the end of each place."""
        return self._offsets(places, OFFSET_END)

    def ends_at_once(self, places: Sequence[Place]) -> Offsets:
        """Return the same, or raise TransientError within `OFFSETS_AT_ONCE_S`, without retrying."""
        return self._ask(places, OFFSET_END, limits.OFFSETS_AT_ONCE_S)

    def starts(self, places: Sequence[Place]) -> Offsets:
        """Return the first offset of each place."""
        return self._offsets(places, OFFSET_BEGINNING)

    def at_time(self, places: Sequence[Place], time_ms: int) -> Offsets:
        """Return of each place the first offset written at that time or later; its end if none."""
        found = self._offsets(places, time_ms)
        later = [place for place in places if found[place] < 0]
        return found | self.ends(later)

    @over_outages
    def committed(self, places: Sequence[Place]) -> Offsets:
        """Return the group's committed offsets; places without one are left out."""
        wanted = [TopicPartition(topic, partition) for topic, partition in places]
        try:
            found = self._client.committed(wanted, timeout=limits.REQUEST_TIMEOUT_S)
        except KafkaException as error:
            raise TransientError(f"committed offsets cannot be read: {error}") from error
        return {(p.topic, p.partition): p.offset for p in found if p.offset >= 0}

    def metadata(self) -> GroupMetadata:
        """Return what a stranger shows the group: no member, of no generation."""
        return self._client.consumer_group_metadata()

    def close(self) -> None:
        """Disconnect."""
        self._client.close()

    @over_outages
    def _offsets(self, places: Sequence[Place], which: int) -> Offsets:
        return self._ask(places, which, limits.REQUEST_TIMEOUT_S)

    def _ask(self, places: Sequence[Place], which: int, timeout_s: float) -> Offsets:
        if not places:
            return {}
        # A time of -1 or -2 stands for the end or the beginning, as in Kafka's own protocol.
        wanted = [TopicPartition(topic, partition, which) for topic, partition in places]
        try:
            found = self._client.offsets_for_times(wanted, timeout=timeout_s)
        except KafkaException as error:
            raise TransientError(f"offsets cannot be read: {error}") from error
        bad = [p for p in found if p.error is not None]
        if bad:
            # A client keeps the leader epochs it has once heard; a broker that was killed may have
            # gone back behind them, and would refuse it for ever.
            self._client.close()
            self._client = Client(self._settings | logged())
            raise TransientError(
                f"topic {bad[0].topic}, partition {bad[0].partition}: {bad[0].error.str()}"
            )
        return {(p.topic, p.partition): p.offset for p in found}


def places_of_topics(topics: Mapping[str, int]) -> list[Place]:
    """Return every partition of topics given with their partition counts."""
    return [(topic, partition) for topic, count in topics.items() for partition in range(count)]

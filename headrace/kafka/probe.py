"""Asks for offsets once, briefly: one who watches an outage must neither wait nor hide it."""

from collections.abc import Mapping

from confluent_kafka import (
    ConsumerGroupTopicPartitions,
    KafkaError,
    KafkaException,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, OffsetSpec

from headrace.errors import TransientError
from headrace.kafka import config
from headrace.kafka.client_log import logged
from headrace.kafka.fetched import Offsets

PROBE_TIMEOUT_S = 2.0
ANSWER_TIMEOUT_S = 3.0
"""Longer than the client's own timeout, so that it is the client that says what was wrong."""


class OffsetProbe:
    """Ends and committed offsets, from a broker that may be away."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap
        # One a broker's restart: a client keeps leader epochs that the restarted broker refuses.
        # The old ones are kept: to end one while its broker comes back has killed the process
        # (a segmentation fault in librdkafka 2.12).
        self._clients: list[AdminClient] = []
        self._connect()

    def _connect(self) -> None:
        settings = config.client(self._bootstrap, "headrace-probe")
        self._clients.append(AdminClient(settings | logged()))

    def ends(self, topics: Mapping[str, int]) -> Offsets:
        """Return the end of each partition.

        Raises:  TransientError if the broker does not answer at once.
        """
        wanted = {
            TopicPartition(topic, partition): OffsetSpec.latest()
            for topic, count in topics.items()
            for partition in range(count)
        }
        try:
            futures = self._clients[-1].list_offsets(wanted, request_timeout=PROBE_TIMEOUT_S)
            return {
                (place.topic, place.partition): future.result(ANSWER_TIMEOUT_S).offset
                for place, future in futures.items()
            }
        except (KafkaException, TimeoutError) as error:
            if _is_of_an_old_epoch(error):
                self._connect()
            raise TransientError(f"no ends: {error!r}") from error

    def committed(self, group: str) -> Offsets:
        """Return what a group has committed.

        Raises:  TransientError if the broker does not answer at once.
        """
        try:
            futures = self._clients[-1].list_consumer_group_offsets(
                [ConsumerGroupTopicPartitions(group)], request_timeout=PROBE_TIMEOUT_S
            )
            found = futures[group].result(ANSWER_TIMEOUT_S)
        except (KafkaException, TimeoutError) as error:
            raise TransientError(f"group {group}: {error!r}") from error
        return {(p.topic, p.partition): p.offset for p in found.topic_partitions if p.offset >= 0}


def _is_of_an_old_epoch(error: Exception) -> bool:
    old = {KafkaError.UNKNOWN_LEADER_EPOCH, KafkaError.FENCED_LEADER_EPOCH}
    return isinstance(error, KafkaException) and error.args[0].code() in old

"""Writes to Kafka so that records, state and offsets count together or not at all."""

from collections.abc import Callable, Sequence
from typing import Any

import structlog
from confluent_kafka import KafkaError, TopicPartition

from headrace import limits
from headrace.batch import Headers, IntArray
from headrace.errors import AbortedError, FencedError, HeadraceError, InvariantError, TransientError
from headrace.kafka import config
from headrace.kafka.calls import must_return
from headrace.kafka.fetched import Offsets
from headrace.kafka.offsets import GroupMetadata
from headrace.kafka.outages import over_outages
from headrace.kafka.producer import Producer

log = structlog.get_logger(__name__)

FENCED = frozenset(
    {
        KafkaError._FENCED,  # noqa: SLF001  (the client's name for it)
        KafkaError.PRODUCER_FENCED,
        KafkaError.INVALID_PRODUCER_EPOCH,
        KafkaError.INVALID_PRODUCER_ID_MAPPING,
    }
)


class TransactionalProducer(Producer):
    """Sends records that count when their transaction commits, and only then.

    `transactional_id` names the worker's lane over restarts: whoever opens the same name again ends
    what an earlier process left open, and fences that process.
    A transaction begins with the first record sent.
    """

    def __init__(self, bootstrap: str, client_id: str, transactional_id: str) -> None:
        self.transactional_id = transactional_id
        self._is_open = False
        self._connect(config.transactional(bootstrap, client_id, transactional_id))
        self._attempt("opening", self._client.init_transactions)

    def begin(self) -> None:
        """Open a transaction, if none is open."""
        if not self._is_open:
            with self._explained("a transaction cannot begin"):
                self._client.begin_transaction()
            self._is_open = True

    def send(
        self,
        topic: str,
        values: Sequence[bytes | None],
        keys: Sequence[bytes | None],
        *,
        partition: int | None = None,
        partitions: IntArray | Sequence[int] | None = None,
        headers: Sequence[Headers] | None = None,
    ) -> None:
        """Queue records in this order, as part of the open transaction.

        Raises:  AbortedError if the transaction failed meanwhile; FencedError.
        """
        self.begin()
        super().send(
            topic, values, keys, partition=partition, partitions=partitions, headers=headers
        )

    def commit(self, offsets: Offsets, group: GroupMetadata) -> None:
        """Make all that was sent count, with these next offsets of a group.

        Raises:  AbortedError if nothing of it counts, as when the member has lost a partition;
                 FencedError; TransientError if the outcome is unknown: only a restart tells.
        """
        self.add_offsets(offsets, group)
        self._attempt("commit", self._client.commit_transaction)
        self._is_open = False

    def add_offsets(self, offsets: Offsets, group: GroupMetadata) -> None:
        """Make next offsets of a group part of the open transaction; `commit` takes those of one.

        Raises:  as `commit` does.
        """
        self.begin()
        # Everything is in the log before the group is asked whether this member still owns the
        # partitions: whoever takes them afterwards finds the open transaction, and waits for it.
        self.flush()
        wanted = [TopicPartition(t, p, offset) for (t, p), offset in offsets.items()]
        if wanted:
            self._attempt(
                "offsets",
                lambda timeout_s: self._client.send_offsets_to_transaction(
                    wanted, group, timeout_s
                ),
            )

    def abort(self) -> None:
        """Let nothing that was sent since the last commit count."""
        if self._is_open:
            self._attempt("abort", self._client.abort_transaction)
            self._client.failed.clear()  # what was taken out of the queue
            self._is_open = False

    @over_outages
    def _attempt(self, what: str, call: Callable[[float], Any]) -> None:
        told = f"transaction of {self.transactional_id}, {what}"
        with self._explained(told), must_return(told, limits.REQUEST_TIMEOUT_S):
            call(limits.REQUEST_TIMEOUT_S)

    def _error(self, what: str, error: KafkaError) -> HeadraceError:
        text = f"{what}: {error.str()}"
        if error.code() in FENCED:
            return FencedError(f"{text}; another worker has taken over")
        if error.fatal():
            return InvariantError(text)
        if self._is_open and not error.retriable():
            log.warning("transaction_failed", transactional_id=self.transactional_id, error=text)
            self.abort()
            return AbortedError(text)
        return TransientError(text)


def fence(bootstrap: str, transactional_id: str) -> None:
    """End what a producer of this name has left open, and let it write no more."""
    log.warning("producer_fenced", transactional_id=transactional_id)
    TransactionalProducer(bootstrap, "headrace-fence", transactional_id)

"""Writes whole batches to Kafka: idempotent, bounded, and never silently short of a record."""

import time
from collections.abc import Sequence

import numpy as np

from headrace import limits
from headrace.batch import Headers, IntArray
from headrace.errors import HeadraceError, InvariantError, TransientError
from headrace.kafka.batch_writing import rows_of
from headrace.kafka.failure import Failure
from headrace.kafka.partitioner import partitions_of
from headrace.kafka.sender import Sender


class Producer:
    """Sends columns of bytes; `flush` says when all of them are safe."""

    def __init__(self, bootstrap: str, client_id: str) -> None:
        """Write to the cluster behind these addresses: `host:port`, several by commas."""
        self._sender = Sender(bootstrap, client_id, None, limits.DELIVERY_TIMEOUT_MS / 1_000)

    def send(
        self,
        topic: str,
        values: Sequence[bytes | None],
        keys: Sequence[bytes | None],
        *,
        partition: int | None = None,
        partitions: IntArray | Sequence[int] | None = None,
        headers: Sequence[Headers] | None = None,
        is_followed: bool = False,
    ) -> None:
        """Queue records in this order; waits while the queue is full.

        Where no partition is given it is that of the key, as Java's client has it. `is_followed`
        says that a `push` or a `flush` comes at once: until then nobody is woken for a few records.
        Raises:  TransientError if the broker does not take records in time.
        """
        if len(values) != len(keys):
            raise InvariantError(f"topic {topic}: {len(values)} values with {len(keys)} keys")
        if not len(values):
            return
        most = limits.PRODUCER_RECORDS_MAX
        if len(values) > most:
            # The queue would never have room for all of them.
            for piece in (slice(at, at + most) for at in range(0, len(values), most)):
                self.send(
                    topic,
                    values[piece],
                    keys[piece],
                    partition=partition,
                    partitions=None if partitions is None else partitions[piece],
                    headers=None if headers is None else headers[piece],
                    is_followed=is_followed,
                )
            return
        if not self._sender.wait_for_room(len(values), limits.FLUSH_TIMEOUT_S):
            raise TransientError(
                f"the producer's queue stayed full for {limits.FLUSH_TIMEOUT_S} s: "
                f"{self._sender.records} records wait for the broker"
            )
        self._check()
        if partitions is not None:
            chosen: IntArray | int = np.asarray(partitions, np.int64)
        elif partition is not None:
            chosen = partition
        else:
            chosen = self._by_keys(topic, keys)
        rows = rows_of(values, keys, time.time_ns() // 1_000_000, headers)
        self._sender.add(topic, rows, chosen, is_followed=is_followed)
        self._check()

    def push(self) -> None:
        """Have what was sent go out now, instead of when more has gathered."""
        self._sender.push()

    def flush(self, timeout_s: float = limits.FLUSH_TIMEOUT_S) -> None:
        """Wait until every record sent is acknowledged.

        Raises:  TransientError if one is not.
        """
        left = self._sender.flush(timeout_s)
        self._check()
        if left:
            raise TransientError(f"{left} records were not acknowledged within {timeout_s} s")

    def _by_keys(self, topic: str, keys: Sequence[bytes | None]) -> IntArray:
        count = self._sender.partition_count(topic)
        if count is None:
            raise TransientError(
                f"topic {topic}: the cluster does not know it, or does not answer; create it "
                "with: headrace topics TOPOLOGY --create"
            )
        return partitions_of(keys, count)

    def _check(self) -> None:
        failure = self._sender.take_failure()
        if failure is not None:
            raise self._error(failure)

    def _error(self, failure: Failure) -> HeadraceError:
        """Return what to raise when records are refused or lost."""
        return TransientError(str(failure))

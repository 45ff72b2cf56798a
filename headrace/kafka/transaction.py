"""Writes to Kafka so that records, state and offsets count together or not at all."""

import time
from collections.abc import Callable, Sequence
from typing import TypeVar

import structlog
from confluent_kafka import KafkaError

from headrace import limits
from headrace.batch import Headers, IntArray
from headrace.errors import AbortedError, FencedError, HeadraceError, InvariantError, TransientError
from headrace.kafka import produce_wire as wire
from headrace.kafka.coordinator import MOVED, Coordinator
from headrace.kafka.failure import PASSING, Failure
from headrace.kafka.fetched import Offsets
from headrace.kafka.offsets import GroupMetadata
from headrace.kafka.outages import over_outages
from headrace.kafka.producer import Producer
from headrace.kafka.protocol import Kind
from headrace.kafka.sender import Sender

log = structlog.get_logger(__name__)

Answer = TypeVar("Answer")

FENCED = frozenset(
    {
        KafkaError.PRODUCER_FENCED,
        KafkaError.INVALID_PRODUCER_EPOCH,
        KafkaError.INVALID_PRODUCER_ID_MAPPING,
    }
)
BUSY = KafkaError.CONCURRENT_TRANSACTIONS
BUSY_WAIT_S = 0.002
"""How soon a coordinator that still ends the last transaction is asked again."""


class TransactionalProducer(Producer):
    """Sends records that count when their transaction commits, and only then.

    `transactional_id` names the worker's lane over restarts: whoever opens the same name again ends
    what an earlier process left open, and fences that process.
    A transaction begins with the first record sent.
    """

    def __init__(self, bootstrap: str, client_id: str, transactional_id: str) -> None:
        """Get the name's next epoch.

        Raises:  UsageError if the cluster is too old.
        """
        self.transactional_id = transactional_id
        self._bootstrap = bootstrap
        self._client_id = client_id
        self._is_open = False
        self._has_offsets = False
        self._groups: dict[str, Coordinator] = {}
        timeout_s = limits.TRANSACTION_TIMEOUT_MS / 1_000
        self._sender = Sender(bootstrap, client_id, transactional_id, timeout_s)
        self._keeper = Coordinator(bootstrap, client_id, wire.TRANSACTION, transactional_id)
        self._open()

    def begin(self) -> None:
        """Open a transaction, if none is open."""
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
        is_followed: bool = False,
    ) -> None:
        """Queue records in this order, as part of the open transaction.

        Raises:  AbortedError if the transaction failed meanwhile; FencedError.
        """
        self.begin()
        super().send(
            topic,
            values,
            keys,
            partition=partition,
            partitions=partitions,
            headers=headers,
            is_followed=is_followed,
        )

    def commit(self, offsets: Offsets, group: GroupMetadata) -> None:
        """Make all that was sent count, with these next offsets of a group.

        Raises:  AbortedError if nothing of it counts, as when the member has lost a partition;
                 FencedError; TransientError if the outcome is unknown: only a restart tells.
        """
        self.add_offsets(offsets, group)
        if self._sender.has_sent or self._has_offsets:
            self._end(is_commit=True)
        self._is_open = False

    def add_offsets(self, offsets: Offsets, group: GroupMetadata) -> None:
        """Make next offsets of a group part of the open transaction; `commit` takes those of one.

        Raises:  as `commit` does.
        """
        self.begin()
        # Everything is in the log before the group is asked whether this member still owns the
        # partitions: whoever takes them afterwards finds the open transaction, and waits for it.
        self.flush()
        if offsets:
            self._commit_offsets(offsets, wire.member_of(group))

    def abort(self) -> None:
        """Let nothing that was sent since the last commit count."""
        if self._is_open:
            self._is_open = False  # what is refused from here on cannot be aborted once more
            self._sender.drop()
            if self._sender.has_sent or self._has_offsets:
                self._end(is_commit=False)

    # What coordinators are asked; all of it may be asked again.

    @over_outages
    def _open(self) -> None:
        self._keeper.must_know_epochs()
        self._begin(wire.INIT_PRODUCER, wire.init_body(self.transactional_id), "opening")

    @over_outages
    def _end(self, *, is_commit: bool) -> None:
        # Asked a second time, with the epoch of the first, the coordinator says what came of it.
        body = wire.end_body(self.transactional_id, self._producer, is_commit=is_commit)
        self._begin(wire.END_TRANSACTION, body, "commit" if is_commit else "abort")

    def _begin(self, kind: Kind, body: bytes, what: str) -> None:
        """Ask for what gives the next transaction its epoch."""
        error, producer = _once_free(
            lambda: self._keeper.ask(kind, body, wire.producer_in), lambda found: found[0] == BUSY
        )
        if error:
            raise self._refusal(error, what, self._keeper)
        self._producer = producer
        self._has_offsets = False
        self._sender.begin(producer)

    @over_outages
    def _commit_offsets(self, offsets: Offsets, member: wire.Member) -> None:
        keeper = self._groups.get(member.group)
        if keeper is None:
            keeper = Coordinator(self._bootstrap, self._client_id, wire.GROUP, member.group)
            self._groups[member.group] = keeper
        body = wire.offsets_body(self.transactional_id, self._producer, member, offsets)
        self._has_offsets = True
        errors = _once_free(
            lambda: keeper.ask(wire.COMMIT_OFFSETS, body, wire.errors_of_offsets),
            lambda found: BUSY in found.values(),
        )
        for place in offsets:
            if error := errors.get(place, KafkaError.NETWORK_EXCEPTION):
                raise self._refusal(error, f"offsets of group {member.group}", keeper)

    def _refusal(self, error: int, what: str, keeper: Coordinator) -> HeadraceError:
        if error in MOVED:
            keeper.forget()
        return self._judge(
            error, f"transaction of {self.transactional_id}, {what}: {KafkaError(error).str()}"
        )

    def _error(self, failure: Failure) -> HeadraceError:
        # What passes was waited for, and is given up: no other try will do.
        text = f"transaction of {self.transactional_id}, {failure}"
        return self._judge(failure.code, text, may_pass=False)

    def _judge(self, error: int, text: str, *, may_pass: bool = True) -> HeadraceError:
        """Return what to raise; a transaction that can only be aborted is."""
        if error in FENCED:
            return FencedError(f"{text}; another worker has taken over")
        if may_pass and error in PASSING:
            return TransientError(text)
        if not self._is_open or error == KafkaError.INVALID_TXN_STATE:
            return InvariantError(text)
        log.warning("transaction_failed", transactional_id=self.transactional_id, error=text)
        self.abort()
        return AbortedError(text)


def _once_free(ask: Callable[[], Answer], is_busy: Callable[[Answer], bool]) -> Answer:
    """Ask until the coordinator has ended the last transaction; return its answer, or the last."""
    deadline_s = time.monotonic() + limits.REQUEST_TIMEOUT_S
    while is_busy(found := ask()) and time.monotonic() <= deadline_s:
        time.sleep(BUSY_WAIT_S)
    return found


def fence(bootstrap: str, transactional_id: str) -> None:
    """End what a producer of this name has left open, and let it write no more."""
    log.warning("producer_fenced", transactional_id=transactional_id)
    TransactionalProducer(bootstrap, "headrace-fence", transactional_id)

"""Writes to partitions' leaders: one request a broker at a time, with a batch of each partition.

While a request is under way the next records gather. What is not acknowledged is sent again as it
was: the broker knows a batch by its producer and sequence, and takes it once.
"""

import random
from collections.abc import Callable
from threading import Condition, Lock, Thread
from time import monotonic

from confluent_kafka import KafkaError

from headrace import limits
from headrace.batch import IntArray
from headrace.errors import TransientError
from headrace.kafka import fetch_wire
from headrace.kafka import produce_wire as wire
from headrace.kafka.batch_writing import Rows, by_partition
from headrace.kafka.cluster import Cluster
from headrace.kafka.failure import IN_LOG, PASSING, Failure
from headrace.kafka.fetch_wire import NO_LEADERS, Address
from headrace.kafka.fetched import Place
from headrace.kafka.outgoing import Outgoing, Sent
from headrace.kafka.produce_wire import Producer

_RECONNECT_S_MIN = 0.005
_chance = random.Random()  # noqa: S311  (no secret; the shared one is for who seeds it)
_LOOK_S = 1.0
"""How often a thread that waits looks again."""

IDLE_S = 10.0
"""A thread that had nothing to send for so long ends; the next records start another."""

GATHER_S = 0.005
GATHER_BYTES = 2**18
"""How long the first record waits for others, and for how many, unless it is pushed."""


class Sender:
    """Sends what it is given; `flush` waits until all of it is acknowledged or has failed.

    Its methods are for one thread. After a failure everything that waited is dropped. What the
    thread that sends cannot go on from is raised by whatever waits for it.
    """

    def __init__(
        self, bootstrap: str, client_id: str, transactional_id: str | None, timeout_s: float
    ) -> None:
        """Send to the cluster behind these addresses; give a record up after `timeout_s`."""
        self._cluster = Cluster(bootstrap, client_id)
        self._client_id = client_id
        self._transactional_id = transactional_id
        self._timeout_s = timeout_s
        self._changed = Condition(Lock())
        self._outgoing = Outgoing()
        self._topics: dict[str, float] = {}
        self._unknown_since_s: dict[str, float] = {}
        self._leaders = NO_LEADERS
        self._is_lost = False
        self._producer: Producer | None = None
        self._thread: Thread | None = None
        self._is_flushing = False
        self._is_pushed = False
        self._is_asking = False
        self._failure: Failure | None = None
        self._crash: Exception | None = None
        self.has_sent = False
        """Whether anything was sent, or tried to be, since the producer began."""

    @property
    def records(self) -> int:
        """How many records are not acknowledged yet."""
        return self._outgoing.records

    def begin(self, producer: Producer) -> None:
        """Write from now on as this producer, which has written nothing yet."""
        with self._changed:
            self._producer = producer
            self._outgoing.begin()
            self._failure = None
            self.has_sent = False

    def add(
        self, topic: str, rows: Rows, partitions: IntArray | int, *, is_followed: bool = False
    ) -> None:
        """Have records written, each to a partition of its topic.

        `is_followed` says that others come at once, and a push or a flush behind them.

        After a failure they are dropped with the others: they must not overtake what failed.
        """
        if isinstance(partitions, int):
            runs = [(partitions, rows)]
        else:
            runs = by_partition(rows, partitions)
        now_s = monotonic()
        with self._changed:
            if self._failure is not None:
                return
            is_first = not self._outgoing.records
            self._topics.setdefault(topic, now_s)
            for partition, run in runs:
                self._outgoing.add((topic, partition), run, now_s)
            if self._must_go() or (is_first and not is_followed):  # or it waits for more already
                self._wake()

    def partition_count(self, topic: str) -> int | None:
        """Return how many partitions a topic has; None if the cluster does not say so in time."""
        with self._changed:
            asked_s = monotonic()
            while topic not in self._leaders.partitions:
                # A topic that was just made is not known everywhere; a broker may start again.
                now_s = monotonic()
                unknown_s = now_s - self._unknown_since_s.get(topic, now_s)
                if unknown_s > limits.REQUEST_TIMEOUT_S or now_s - asked_s > self._timeout_s:
                    return None
                self._topics.setdefault(topic, asked_s)
                self._wake()
                self._wait_for(lambda: topic in self._leaders.partitions, _LOOK_S)
            return self._leaders.partitions[topic]

    def wait_for_room(self, records: int, timeout_s: float) -> bool:
        """Wait until so many more may wait; say whether they may now."""

        def has_room() -> bool:
            waiting = self._outgoing
            return (
                waiting.records + records <= limits.PRODUCER_RECORDS_MAX
                and waiting.bytes < limits.PRODUCER_BYTES_MAX
            )

        if has_room() and self._crash is None:
            return True
        with self._changed:
            return self._wait_for(has_room, timeout_s)

    def push(self) -> None:
        """Have what was added go out now, instead of when more has gathered."""
        with self._changed:
            if self._outgoing.records:
                self._is_pushed = True
                self._wake()

    def flush(self, timeout_s: float) -> int:
        """Wait until all records are acknowledged or dropped; return how many are neither."""
        with self._changed:
            if not self._outgoing.records:
                return 0
            self._is_flushing = True
            self._wake()
            self._wait_for(lambda: not self._outgoing.records, timeout_s)
            self._is_flushing = False
            return self._outgoing.records

    def take_failure(self) -> Failure | None:
        """Return what went wrong since this was last asked.

        In a transaction it stays wrong until what was sent is dropped.
        """
        failure = self._failure
        if failure is not None and self._transactional_id is None:
            self._failure = None
        return failure

    def drop(self) -> None:
        """Send nothing more of what waits, and wait until nothing is on its way.

        Raises:  TransientError if a broker does not answer for too long.
        """
        with self._changed:
            self._outgoing.drop(list(self._outgoing.lines))
            if not self._wait_for(lambda: not self._is_asking, self._timeout_s):
                raise TransientError(f"no broker answered within {self._timeout_s} s")
            self._failure = None

    def _wait_for(self, is_so: Callable[[], bool], timeout_s: float) -> bool:
        """Wait until something is so; say whether it is.

        Raises:  what the thread that sends could not go on from.
        """
        self._changed.wait_for(lambda: self._crash is not None or is_so(), timeout_s)
        if self._crash is not None:
            raise self._crash
        return is_so()

    # The thread that sends.

    def _wake(self) -> None:
        if self._thread is None:
            thread = Thread(target=self._run, name=f"send-{self._client_id}", daemon=True)
            thread.start()
            self._thread = thread
        self._changed.notify_all()

    def _run(self) -> None:
        """Send until there is nothing to; what cannot be gone on from is raised by who waits."""
        try:
            self._rounds()
        except Exception as error:  # noqa: BLE001  (raised again)
            with self._changed:
                self._crash = error
                self._changed.notify_all()

    def _rounds(self) -> None:
        tries = 0
        while self._wait():
            tries = 0 if self._round() else tries + 1
            with self._changed:
                self._is_asking = False
                self._give_up_late()
                self._changed.notify_all()
                if tries:
                    wait_s = min(_RECONNECT_S_MIN * 2 ** min(tries, 10), limits.RECONNECT_S_MAX)
                    self._changed.wait_for(
                        lambda: False,
                        wait_s * _chance.uniform(0.5, 1.0),
                    )

    def _wait(self) -> bool:
        """Wait until there is something to do; say whether there was in time."""
        with self._changed:
            if not self._changed.wait_for(self._has_work, IDLE_S):
                self._thread = None
                self._cluster.hang_up()
                return False
            self._changed.wait_for(self._must_go, GATHER_S)
            self._is_pushed = False
            self._is_asking = True
            return True

    def _must_go(self) -> bool:
        return (
            self._is_pushed
            or self._is_flushing
            or self._outgoing.bytes >= GATHER_BYTES
            or self._must_find()
        )

    def _has_work(self) -> bool:
        return bool(self._outgoing.records) or self._must_find()

    def _must_find(self) -> bool:
        is_wanted = self._is_lost and bool(self._outgoing.records)
        return is_wanted or bool(self._topics.keys() - self._leaders.partitions.keys())

    def _round(self) -> bool:
        """Do once what there is to do; say whether nothing is left to be tried again."""
        if self._must_find() and not self._find_leaders():
            return False
        if self._producer is None and not self._find_producer():
            return False
        with self._changed:
            producer = self._producer
            wanted = self._fill()
        if producer is None:
            return False
        told = [
            (address, batches)
            for address, batches in wanted.items()
            if self._tell(address, batches, producer)
        ]
        heard = [self._hear(address, batches) for address, batches in told]
        return len(heard) == len(wanted) and all(heard) and not self._must_find()

    def _fill(self) -> dict[Address, dict[Place, Sent]]:
        """Return by broker what is to be sent to it."""
        wanted: dict[Address, dict[Place, Sent]] = {}
        room = limits.PRODUCE_BYTES_MAX
        for place in self._outgoing.busy():
            node = self._leaders.leader_by_place.get(place)
            if node is None:
                self._is_lost = True
                continue
            sent = self._outgoing.lines[place].fill() if room > 0 else None
            if sent is not None:
                wanted.setdefault(self._leaders.brokers[node], {})[place] = sent
                room -= sent.rows.bytes
        return wanted

    def _tell(self, address: Address, batches: dict[Place, Sent], producer: Producer) -> bool:
        """Send a broker its batches; say whether that went well."""
        is_transactional = self._transactional_id is not None
        sealed = {
            place: sent.seal(producer, is_transactional=is_transactional)
            for place, sent in batches.items()
        }
        self.has_sent = True
        try:
            body = wire.produce_body(self._transactional_id, sealed)
            self._cluster.broker(address).tell(wire.PRODUCE, body)
        except OSError as error:
            self._lose(address, error)
            return False
        return True

    def _hear(self, address: Address, batches: dict[Place, Sent]) -> bool:
        """Take what a broker says of each batch; say whether none is to be sent again."""
        try:
            answer = self._cluster.broker(address).hear(round(limits.REQUEST_TIMEOUT_S * 1_000))
            errors = wire.errors_of_produce(answer.content)
        except OSError as error:
            self._lose(address, error)
            return False
        is_whole = True
        now_s = monotonic()
        with self._changed:
            for place, sent in batches.items():
                code = errors.get(place, KafkaError.NETWORK_EXCEPTION)
                if code in IN_LOG:
                    self._outgoing.done(place, sent, now_s)
                elif code in PASSING:
                    self._is_lost |= code in fetch_wire.MOVED
                    is_whole = False
                elif self._outgoing.lines[place].sent is sent:  # or it was dropped meanwhile
                    self._fail(code, place)
        return is_whole

    def _give_up_late(self) -> None:
        """Give up what could not be written for too long."""
        now_s = monotonic()
        for place in self._outgoing.busy():
            if now_s - self._unknown_since_s.get(place[0], now_s) > limits.REQUEST_TIMEOUT_S:
                self._fail(KafkaError.UNKNOWN_TOPIC_OR_PART, place)
            elif now_s - self._outgoing.lines[place].since_s > self._timeout_s:
                self._fail(KafkaError.REQUEST_TIMED_OUT, place)

    def _fail(self, code: int, place: Place) -> None:
        """Drop everything: what comes later must not be written without what failed."""
        if not self._outgoing.records:
            return
        dropped = self._outgoing.drop(list(self._outgoing.lines))
        self._failure = self._failure or Failure(code, place, dropped)
        if self._transactional_id is None:
            # Whether the broker has it is not known: its sequence cannot be used again.
            self._producer = None

    def _find_leaders(self) -> bool:
        """Find out who leads what, as far as it is known; say whether somebody answered."""
        with self._changed:
            topics = sorted(self._topics)
        found = self._cluster.leaders(topics)
        if found is None:
            return False
        with self._changed:
            self._leaders, self._is_lost = found, False
            now_s = monotonic()
            self._unknown_since_s = {
                topic: self._unknown_since_s.get(topic, now_s) for topic in found.unknown
            }
            kept = {topic for topic, _ in self._outgoing.busy()} | found.partitions.keys()
            self._topics = {
                topic: since_s
                for topic, since_s in self._topics.items()
                if topic in kept or now_s - since_s < limits.REQUEST_TIMEOUT_S
            }
            self._changed.notify_all()
            return True

    def _find_producer(self) -> bool:
        """Get a number for who writes outside of transactions; say whether there is one."""
        producer = self._cluster.new_producer() if self._transactional_id is None else None
        if producer is None:
            return False
        with self._changed:
            self._producer = producer
            self._outgoing.begin()
        return True

    def _lose(self, address: Address, error: OSError) -> None:
        self._cluster.lose(address, error)
        with self._changed:
            self._is_lost = True

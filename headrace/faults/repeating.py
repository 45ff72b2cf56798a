"""Writes records of a topic into it again: at once, or late behind others of their key."""

import heapq
import threading
import time
from collections import Counter
from collections.abc import Mapping
from random import Random

import structlog

from headrace.errors import TransientError
from headrace.faults import limits
from headrace.kafka.consumer import Reader
from headrace.kafka.offsets import OffsetQuery, places_of_topics
from headrace.kafka.producer import Producer

log = structlog.get_logger(__name__)

POLL_S = 0.05
RECORDS_MAX = 500


class Repeater:
    """A thread that reads topics from their end and writes seeded copies while told to.

    Copies are the same bytes under the same key in the same partition. A copy is read back like any
    record, and may be copied again, as seldom as any.
    """

    def __init__(self, bootstrap: str, topics: Mapping[str, int], seed: int) -> None:
        self._bootstrap = bootstrap
        self._topics = dict(topics)
        self._random = Random(f"headrace repeats {seed}")  # noqa: S311  (a schedule, no secret)
        self._wanted: set[str] = set()
        self._due: list[tuple[float, int, str, int, bytes | None, bytes | None]] = []
        self._count = 0
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="repeat-records", daemon=True)
        self.sent: Counter[str] = Counter()

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def begin(self, topic: str) -> None:
        """Repeat records of a topic from now on."""
        self._wanted.add(topic)

    def end(self, topic: str) -> None:
        """Repeat no more of a topic; copies still due are sent."""
        self._wanted.discard(topic)

    @property
    def is_idle(self) -> bool:
        """Return whether nothing is due any more."""
        return not self._wanted and not self._due

    def stop(self) -> None:
        """End the thread."""
        self._ending.set()
        if self._thread.ident is not None:
            self._thread.join(limits.SERVER_TIMEOUT_S)

    def _run(self) -> None:
        reader = Reader(self._bootstrap, "headrace-repeats")
        producer = Producer(self._bootstrap, "headrace-repeats")
        query = OffsetQuery(self._bootstrap)
        reader.assign(query.ends(places_of_topics(self._topics)))
        query.close()
        while not self._ending.is_set():
            for part in reader.poll(RECORDS_MAX, POLL_S).parts:
                if part.topic in self._wanted:
                    for key, value in zip(part.keys, part.values, strict=True):
                        self._consider(part.topic, part.partition, key, value)
            self._send_due(producer)
        reader.close()

    def _consider(self, topic: str, partition: int, key: bytes | None, value: bytes | None) -> None:
        is_full = len(self._due) >= limits.REPEAT_RECORDS_MAX
        if is_full or self._random.random() > limits.REPEAT_CHANCE:
            return
        is_late = self._random.random() < limits.REPEAT_LATE_SHARE
        delay_s = self._random.random() * limits.REPEAT_DELAY_S_MAX if is_late else 0.0
        self._count += 1
        heapq.heappush(
            self._due, (time.monotonic() + delay_s, self._count, topic, partition, key, value)
        )

    def _send_due(self, producer: Producer) -> None:
        now = time.monotonic()
        while self._due and self._due[0][0] <= now:
            _, _, topic, partition, key, value = self._due[0]
            producer.send(topic, [value], [key], partition=partition)
            heapq.heappop(self._due)
            self.sent[topic] += 1
        try:
            producer.flush()
        except TransientError as error:
            log.warning("copies_lost", error=str(error))

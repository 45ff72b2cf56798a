"""The input and output of the takeover benchmark: touches go in, counts come out, each timed."""

import random
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from headrace.avro.registry import subject_of
from headrace.avro.schema import load_schema
from headrace.avro.wire import Decoder, encode
from headrace.kafka.consumer import Reader
from headrace.kafka.partitioner import partition_of
from headrace.kafka.producer import Producer
from headrace.kafka.schema_log import SchemaLog
from headrace.topology import Topic

TICK_S = 0.02
KEYS_A_TICK = 8
"""400 records a second: each of 8 partitions is sent one every 20 ms on average."""

POLL_S = 0.05
RECORDS_MAX = 1_000
STOP_TIMEOUT_S = 60.0


class Feed:
    """Writes touches of keys, each with the time it was sent at."""

    def __init__(self, bootstrap: str, topic: Topic, schemas: Path) -> None:
        registry = SchemaLog(bootstrap)
        self._schema = load_schema(schemas, topic.schema)
        self._schema_id = registry.register(subject_of(topic.name), self._schema)
        registry.close()
        self._topic = topic
        self._producer = Producer(bootstrap, "takeover-feed")
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None

    def send(self, keys: Sequence[str]) -> None:
        """Touch these keys now."""
        records = pa.record_batch({"key": keys, "sent_time_ns": [time.time_ns()] * len(keys)})
        names: list[bytes | None] = [key.encode() for key in keys]
        values = encode(records, self._schema, self._schema_id)
        self._producer.send(self._topic.name, values, names)

    def flush(self) -> None:
        """Wait until all that was sent is in the log."""
        self._producer.flush()

    def start(self, keys: Sequence[str]) -> None:
        """Touch keys drawn from these at a steady rate until `stop`."""
        self._thread = threading.Thread(target=self._run, args=(keys,), name="feed", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the steady touches."""
        self._ending.set()
        if self._thread is not None:
            self._thread.join(STOP_TIMEOUT_S)

    def _run(self, keys: Sequence[str]) -> None:
        draw = random.Random(1)  # noqa: S311  (which keys are touched is no secret)
        while not self._ending.wait(TICK_S):
            self.send(draw.choices(keys, k=KEYS_A_TICK))


class Outputs:
    """Follows the committed records of the output: when each partition gave the newest touch."""

    def __init__(self, bootstrap: str, topic: Topic, schemas: Path) -> None:
        self._registry = SchemaLog(bootstrap)
        self._decoder = Decoder(load_schema(schemas, topic.schema), self._registry.schema)
        self._reader = Reader(bootstrap, "takeover-outputs")
        places = [(topic.name, partition) for partition in range(topic.partitions)]
        self._reader.assign({place: self._reader.bounds(*place)[1] for place in places})

    def first_of(
        self, partitions: set[int], *, sent_after_ns: int, timeout_s: float
    ) -> dict[int, float]:
        """Return when (monotonic, s) each partition first gave a touch sent after a time.

        Partitions that give none in time are left out.
        """
        found: dict[int, float] = {}
        deadline = time.monotonic() + timeout_s
        while partitions - found.keys() and time.monotonic() < deadline:
            for part in self._reader.poll(RECORDS_MAX, POLL_S).parts:
                sent_ns = self._decoder.decode(part.values).records.column("sent_time_ns")
                if sent_ns[-1].as_py() > sent_after_ns:
                    found.setdefault(part.partition, time.monotonic())
        return {p: at_s for p, at_s in found.items() if p in partitions}

    def close(self) -> None:
        """Stop reading."""
        self._reader.close()
        self._registry.close()


def keys_a_partition(keys: Sequence[str], partitions: int) -> list[int]:
    """Return how many of these keys belong to each partition."""
    counts = [0] * partitions
    for key in keys:
        counts[partition_of(key.encode(), partitions)] += 1
    return counts

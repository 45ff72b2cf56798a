"""Ticks sent at a steady rate, and how old each is when it comes out: a process for each."""

import time
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from headrace.avro.registry import subject_of
from headrace.avro.schema import load_schema
from headrace.avro.wire import Decoder, encode
from headrace.batch import FloatArray
from headrace.byte_column import ByteColumn
from headrace.kafka.consumer import Reader
from headrace.kafka.producer import Producer
from headrace.kafka.schema_log import SchemaLog
from headrace.topology import Topic

TICK_S = 0.001
KEYS = 64
AT_ONCE_MAX = 6_400
"""Records of one tick: of a sender that was kept from the processor for a while."""

RECORDS_MAX = 8_192
POLL_S = 0.05
READY_S_MAX = 60.0
WARM_S = 3.0
END_S = 2.0
"""Of waiting for what is under way, once all is sent."""


@dataclass(frozen=True, slots=True)
class Route:
    """Where ticks go in and where they come out; `schemas` is the folder of their schema."""

    bootstrap: str
    enter: Topic
    leave: Topic
    schemas: Path


@dataclass(frozen=True, slots=True)
class Latency:
    """How old ticks were when they were read at the end, ms; how many were sent and came."""

    p50_ms: float
    p99_ms: float
    sent: int
    came: int


def measure(route: Route, rate_a_s: int, duration_s: float) -> Latency:
    """Send for so long, after a warm-up that does not count, and watch the end."""
    context = get_context("spawn")
    answers = context.SimpleQueue()
    ready = context.Event()
    receiver = context.Process(target=_receive, args=(route, duration_s, ready, answers))
    seconds = WARM_S + duration_s
    sender = context.Process(target=_send, args=(route, rate_a_s, seconds, ready, answers))
    for process in (receiver, sender):
        process.start()
    if not ready.wait(READY_S_MAX):
        for process in (receiver, sender):
            process.kill()
        raise TimeoutError(
            f"topic {route.leave.name}: the reader was not ready within {READY_S_MAX:g} s"
        )
    said = dict(answers.get() for _ in range(2))
    for process in (sender, receiver):
        process.join(READY_S_MAX)
    ages_ms = said["ages_ms"]
    p50_ms, p99_ms = np.quantile(ages_ms, [0.5, 0.99]).tolist() if len(ages_ms) else (0.0, 0.0)
    return Latency(p50_ms, p99_ms, said["sent"], len(ages_ms))


def _send(route: Route, rate_a_s: int, duration_s: float, ready: Any, answers: Any) -> None:
    registry = SchemaLog(route.bootstrap)
    schema = load_schema(route.schemas, route.enter.schema)
    schema_id = registry.register(subject_of(route.enter.name), schema)
    registry.close()
    producer = Producer(route.bootstrap, "latency-gauge")
    # More than once: so many from any of them on lie in one piece.
    names = pa.array([f"KEY{number:02d}" for number in range(KEYS)] * (1 + AT_ONCE_MAX // KEYS))
    ready.wait(READY_S_MAX)
    begun_s = time.monotonic()
    sent = counted = 0
    while (now_s := time.monotonic()) < begun_s + duration_s:
        due = min(int((now_s - begun_s) * rate_a_s) - sent, AT_ONCE_MAX)
        if due > 0:
            numbers = np.arange(sent, sent + due)
            records = pa.record_batch(
                {
                    "key": names.slice(sent % KEYS, due),
                    "sent_time_ns": np.full(due, time.time_ns()),
                    "price_ticks": numbers,
                    "size_lots": numbers,
                }
            )
            values = encode(records, schema, schema_id)
            producer.send(
                route.enter.name, values, ByteColumn(records.column("key").cast(pa.binary()))
            )
            producer.push()
            sent += due
            counted += due if now_s - begun_s >= WARM_S else 0
        time.sleep(TICK_S)
    producer.flush()
    answers.put(("sent", counted))


def _receive(route: Route, duration_s: float, ready: Any, answers: Any) -> None:
    registry = SchemaLog(route.bootstrap)
    decoder = Decoder(load_schema(route.schemas, route.leave.schema), registry.schema)
    reader = Reader(route.bootstrap, "latency-gauge-end")
    places = [(route.leave.name, partition) for partition in range(route.leave.partitions)]
    reader.assign({place: reader.bounds(*place)[1] for place in places})
    for _ in range(20):  # each partition has told its end once
        reader.poll(RECORDS_MAX, POLL_S)
    begun_ns = time.time_ns()
    ready.set()
    ages: list[FloatArray] = []
    first_ns = end_s = None
    while end_s is None or time.monotonic() < end_s:
        for part in reader.poll(RECORDS_MAX, POLL_S).parts:
            now_ns = time.time_ns()
            sent_ns = decoder.decode(part.values).records.column("sent_time_ns").to_numpy()
            # A way may still bring what an earlier one was sent.
            sent_ns = sent_ns[sent_ns >= begun_ns]
            if not len(sent_ns):
                continue
            if first_ns is None or end_s is None:
                first_ns = int(sent_ns[0])
                end_s = time.monotonic() + WARM_S + duration_s + END_S
            counts = sent_ns >= first_ns + int(WARM_S * 1e9)
            ages.append((now_ns - sent_ns[counts]) / 1e6)
    reader.close()
    registry.close()
    answers.put(("ages_ms", np.concatenate(ages) if ages else np.empty(0)))

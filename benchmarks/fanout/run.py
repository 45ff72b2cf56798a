"""One run of one way: paced ticks, and what each message took to the other end."""

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import redis
from pydantic import SecretStr

from benchmarks.fanout.messages import TICK_RECORDS, TICK_S, latencies_us, messages
from headrace import Part
from headrace.sinks import RedisSink
from schemas.topics import QUOTE

WARM_TICKS = 500
"""Left out of the figures: connections, caches and the subscriber's code are new at first."""

END_S_MAX = 60
RECEIVE_BYTES = 1 << 16
WAYS = {
    "socket": None,
    "headrace-plain": ("headrace", "plain"),
    "pipeline-plain": ("pipeline", "plain"),
    "headrace-redis-py": ("headrace", "redis-py"),
    "pipeline-redis-py": ("pipeline", "redis-py"),
}
"""Who publishes and who subscribes; nobody does at the bare socket."""

Latencies = npt.NDArray[np.float64]
Send = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Run:
    """What a run came to, in microseconds; `late_us` is how late a tick began at the median."""

    way: str
    p50_us: float
    p99_us: float
    late_us: float


def run_way(url: str, way: str, name: str, parts: Sequence[Part]) -> Run:
    """Return what one run came to; `name` keeps its channels and positions apart from others'."""
    who = WAYS[way]
    if who is None:
        taken_us, late_us = by_socket(parts)
    else:
        taken_us, late_us = by_redis(url, *who, name, parts)
    p50_us, p99_us = np.percentile(taken_us[WARM_TICKS * TICK_RECORDS :], [50, 99])
    return Run(way, float(p50_us), float(p99_us), late_us)


def by_redis(
    url: str, publisher: str, subscriber: str, name: str, parts: Sequence[Part]
) -> tuple[Latencies, float]:
    """Return what each message took from the publisher's call to the subscriber."""
    with tempfile.TemporaryDirectory() as folder, redis.Redis.from_url(url) as client:
        path = Path(folder) / "received.npy"
        pattern = f"{name}:{QUOTE.name}:*"
        count = str(len(parts) * TICK_RECORDS)
        module = "benchmarks.fanout.subscriber"
        with subprocess.Popen(
            (sys.executable, "-m", module, subscriber, pattern, count, str(path)),
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "BENCH_REDIS": url},
        ) as child:
            expect_line(child)
            send = {"headrace": our_send, "pipeline": pipeline_send}[publisher](url, name, parts)
            sent_ns, late_us = paced(send, len(parts))
            child.wait(END_S_MAX)
        sequences, received_ns = np.load(path)
        client.delete(f"{name}:{QUOTE.name}", f"{name}::position")
    order = np.argsort(sequences, kind="stable")
    return latencies_us(sent_ns, sequences, received_ns)[order], late_us


def our_send(url: str, name: str, parts: Sequence[Part]) -> Send:
    """Return how a tick is written by our sink: latest values, messages and position."""
    sink = RedisSink(SecretStr(url), "trading", [QUOTE], prefix=name)
    sink.open()
    return lambda tick: void(sink.write([parts[tick]]))


def pipeline_send(url: str, name: str, parts: Sequence[Part]) -> Send:
    """Return how a tick is published by redis-py alone, its messages made before."""
    client = redis.Redis.from_url(url)
    prefix = f"{name}:{QUOTE.name}:".encode()
    made = [
        [(prefix + (key or b""), text) for key, text in zip(part.keys, messages(part), strict=True)]
        for part in parts
    ]

    def send(tick: int) -> None:
        with client.pipeline(transaction=False) as pipeline:
            for channel, message in made[tick]:
                pipeline.publish(channel, message)
            pipeline.execute()

    return send


def by_socket(parts: Sequence[Part]) -> tuple[Latencies, float]:
    """Return what a tick's messages took to another process and back, over a bare socket."""
    module = "benchmarks.fanout.echo"
    made = [b"".join(messages(part)) for part in parts]
    back_ns: list[int] = []
    with subprocess.Popen(
        (sys.executable, "-m", module), stdout=subprocess.PIPE, text=True
    ) as child:
        port = int(expect_line(child))
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

            def send(tick: int) -> None:
                connection.sendall(made[tick])
                missing = len(made[tick])
                while missing:
                    missing -= len(connection.recv(RECEIVE_BYTES))
                back_ns.append(time.monotonic_ns())

            sent_ns, late_us = paced(send, len(parts))
        child.wait(END_S_MAX)
    taken_us = (np.array(back_ns) - np.array(sent_ns)) / 1_000.0
    return np.repeat(taken_us, TICK_RECORDS), late_us


def paced(send: Send, count: int) -> tuple[list[int], float]:
    """Send so many ticks at their times; return when each began, and how late at the median.

    A tick that is late begins at once: what it waited for the one before is not counted.
    """
    started = time.monotonic()
    sent_ns: list[int] = []
    late_s: list[float] = []
    for tick in range(count):
        due = started + tick * TICK_S
        wait_s = due - time.monotonic()
        if wait_s > 0:
            time.sleep(wait_s)
        late_s.append(time.monotonic() - due)
        sent_ns.append(time.monotonic_ns())
        send(tick)
    return sent_ns, float(np.median(late_s)) * 1e6


def expect_line(child: "subprocess.Popen[str]") -> str:
    """Return the first line a child says.

    Raises:  RuntimeError if it ended instead.
    """
    line = child.stdout.readline().strip() if child.stdout is not None else ""
    if not line:
        raise RuntimeError(f"{child.args!r}: expected a line, found its end")
    return line


def void(_: object) -> None:
    """Drop what is returned."""

"""Recorded frames as the batches that the engine would hand to the ingest agent."""

import gzip
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from headrace.batch import Batch, Part

SCHEMA = pa.schema(
    {
        "source": pa.string(),
        "venue": pa.string(),
        "sequence": pa.int64(),
        "receive_time_ns": pa.int64(),
        "time_shift_ns": pa.int64(),
        "pass_index": pa.int32(),
        "payload": pa.string(),
    }
)

_SESSION_LINE = re.compile(r"(\d+)(?:\.(\d+))?: (.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame of `market.frame.v1`."""

    payload: str
    sequence: int
    receive_time_ns: int = 0
    source: str = "test"
    venue: str = "binance"
    time_shift_ns: int = 0
    pass_index: int = 0


def binance_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield receive time and frame of a file of `RECV_NS JSON` lines."""
    with gzip.open(path, "rt") as lines:
        for line in lines:
            time, _, payload = line.rstrip("\n").partition(" ")
            yield int(time), payload


def session_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield receive time and frame of a session; what the client sent is passed over."""
    with gzip.open(path, "rt") as lines:
        for line in lines:
            match = _SESSION_LINE.fullmatch(line.rstrip("\n"))
            if match:
                seconds, fraction, payload = match.groups()
                yield int(seconds) * 10**9 + int((fraction or "").ljust(9, "0")), payload


def frames_of(
    lines: Iterable[tuple[int, str]], *, venue: str, source: str = "test", first: int = 1
) -> list[Frame]:
    """Return the frames of one source, numbered from `first`."""
    return [
        Frame(payload, sequence, time, source, venue)
        for sequence, (time, payload) in enumerate(lines, start=first)
    ]


def batch_of(frames: Sequence[Frame]) -> Batch:
    """Return the frames as one batch of `market.frame.v1`."""
    columns = {name: [getattr(frame, name) for frame in frames] for name in SCHEMA.names}
    records = pa.RecordBatch.from_pydict(columns, schema=SCHEMA)
    count = len(frames)
    return Batch.of(
        Part(
            topic="market.frame.v1",
            partition=0,
            records=records,
            values=[b""] * count,
            keys=[frame.source.encode() for frame in frames],
            offsets=np.arange(count, dtype=np.int64),
            timestamps_ms=np.zeros(count, np.int64),
        )
    )

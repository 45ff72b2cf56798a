"""Recorded frames as the batches that the engine would hand to the ingest agent."""

import gzip
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from agents.ingest_frames import MARKET_BY_SOURCE, ingest_frames
from agents.venues.source_state import SourceState
from headrace.batch import Batch, Output, Part
from headrace.state.tables import ObjectState

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


def numbered(payloads: Iterable[str], *, venue: str, source: str = "test") -> list[Frame]:
    """Return these payloads as frames of one source, a millisecond apart."""
    lines = ((index * 1_000_000, payload) for index, payload in enumerate(payloads, start=1))
    return frames_of(lines, venue=venue, source=source)


def ingest(frames: Sequence[Frame], state: ObjectState[SourceState] | None = None) -> Output:
    """Return what one batch of these frames becomes, in a new state unless one is given."""
    state = MARKET_BY_SOURCE.open() if state is None else state
    output = ingest_frames(batch_of(frames), state)
    outcomes = {name: count for name, count in output.counts.items() if name.startswith("frame_")}
    assert sum(outcomes.values()) == len(frames), outcomes
    return output


def rows_of(output: Output, topic: str) -> list[dict[str, Any]]:
    """Return the records of a topic as rows."""
    records = output.records.get(f"market.{topic}.v1")
    return [] if records is None else records.to_pylist()


def frame_counts(output: Output) -> dict[str, int]:
    """Return the outcomes of frames, without the other counts."""
    return {name: count for name, count in output.counts.items() if name.startswith("frame_")}

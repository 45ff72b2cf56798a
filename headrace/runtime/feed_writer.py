"""Writes a feed's frames to Kafka, and remembers how far each source has come."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from time import monotonic, sleep

import msgspec
import numpy as np
import pyarrow as pa
import structlog

from headrace import limits
from headrace.feed import Feed, FrameBlock
from headrace.kafka.producer import Producer
from headrace.kafka.read_all import read_all
from headrace.pace import paced
from headrace.runtime.emission import TopicCodec, encode_records
from headrace.runtime.topics import FEED_POSITIONS

log = structlog.get_logger(__name__)

COMMIT_S = 0.2
"""How often the positions of sources are written: frames after them are sent twice after a crash,
and dropped by whoever reads them, who knows their sequence."""

BACKLOG_CHECK_S = 0.25
STOP_CHECK_S = 0.1


@dataclass
class FeedProgress:
    """How far a feed has come in this run."""

    frames: int = 0
    lines_read: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    notes: dict[str, int] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    is_waiting: bool = False
    is_ended: bool = False


class FeedWriter:
    """Sends frames in order; waits while readers are too far behind."""

    def __init__(
        self,
        feed: Feed,
        codec: TopicCodec,
        bootstrap: str,
        *,
        speed: float | None = None,
        backlog: Callable[[], int] | None = None,
        backlog_max: int = limits.FEED_BACKLOG_RECORDS_MAX,
    ) -> None:
        """Write `feed` to the topic of `codec`, at `speed` times real time or as fast as it goes.

        `backlog` says how many records wait in the graph; above `backlog_max` the feed pauses.
        """
        self._feed = feed
        self._codec = codec
        self._bootstrap = bootstrap
        self._producer = Producer(bootstrap, "headrace-feed")
        self._speed = speed
        self._backlog = backlog
        self._backlog_max = backlog_max
        self._positions: dict[str, int] = {}
        self.progress = FeedProgress()

    def run(self, should_stop: Callable[[], bool]) -> FeedProgress:
        """Send every frame that is not in Kafka yet; return what was sent."""
        resume_after = read_positions(self._bootstrap, self._feed.identity)
        self._positions = dict(resume_after)
        committed_at = monotonic()
        rest = partial(rest_until, should_stop)
        for block in paced(self._feed.blocks(resume_after), self._speed, sleep=rest):
            if should_stop():
                break  # not due yet, if it was waited for
            self._send(block)
            if monotonic() - committed_at >= COMMIT_S:
                self._commit()
                self._wait_for_readers(should_stop)
                committed_at = monotonic()
        else:
            self.progress.is_ended = True
        self._commit()
        return self.progress

    def _send(self, block: FrameBlock) -> None:
        records = block_records(block, self._codec.schema.arrow)
        values, keys = encode_records(records, self._codec)
        self._producer.send(self._codec.topic.name, values, keys)
        self._producer.push()
        self.progress.frames += records.num_rows
        # Sequences grow within a source, so the last one in the block is its position.
        self._positions.update(zip(block.sources, block.sequences.tolist(), strict=True))

    def _commit(self) -> None:
        self._producer.flush()
        keys = [position_key(self._feed.identity, source) for source in self._positions]
        values: list[bytes | None] = [str(last).encode() for last in self._positions.values()]
        if keys:
            self._producer.send(FEED_POSITIONS, values, keys)
            self._producer.flush()
        tally = self._feed.tally
        self.progress.lines_read = tally.lines_read
        self.progress.dropped = dict(tally.dropped)
        self.progress.notes = dict(tally.notes)
        self.progress.faults = list(tally.faults)

    def _wait_for_readers(self, should_stop: Callable[[], bool]) -> None:
        if self._backlog is None:
            return
        while not should_stop() and self._backlog() > self._backlog_max:
            self.progress.is_waiting = True
            sleep(BACKLOG_CHECK_S)
        self.progress.is_waiting = False


def rest_until(should_stop: Callable[[], bool], seconds: float) -> None:
    """Sleep so long, or until there is reason to stop: a paced feed may wait for an hour."""
    end_s = monotonic() + seconds
    while not should_stop() and (left_s := end_s - monotonic()) > 0:
        sleep(min(left_s, STOP_CHECK_S))


def block_records(block: FrameBlock, schema: pa.Schema) -> pa.RecordBatch:
    """Return a block of frames as columns of the frame schema."""
    return pa.record_batch(
        [
            pa.array(block.sources, pa.string()),
            pa.array(block.venues, pa.string()),
            pa.array(block.sequences, pa.int64()),
            pa.array(block.receive_times_ns, pa.int64()),
            pa.array(block.time_shifts_ns, pa.int64()),
            pa.array(np.asarray(block.pass_indexes, np.int32), pa.int32()),
            pa.array(block.payloads, pa.string()),
        ],
        schema=schema,
    )


def position_key(identity: str, source: str) -> bytes:
    """Return the key under which a source's position is kept."""
    return json.dumps([identity, source]).encode()


def read_positions(bootstrap: str, identity: str) -> dict[str, int]:
    """Return by source the last sequence of a feed that is in Kafka."""
    found: dict[str, int] = {}
    for part in read_all(bootstrap, {FEED_POSITIONS: 1}):
        note_positions(part.keys, part.values, identity, found)
    return found


def note_positions(
    keys: Sequence[bytes | None],
    values: Sequence[bytes | None],
    identity: str,
    found: dict[str, int],
) -> None:
    """Note in `found` what these records say of the sources of a feed."""
    for key, value in zip(keys, values, strict=True):
        if key is not None and value is not None:
            try:
                owner, source = msgspec.json.decode(key, type=tuple[str, str])
                last = msgspec.json.decode(value, type=int)
            except msgspec.DecodeError as error:
                # What it would have told is sent again, and known by its sequence.
                log.warning("feed_position_unreadable", key=repr(key[:80]), error=str(error))
                continue
            if owner == identity:
                found[source] = last

"""A finite recording as a feed: numbered, resumed, merged and repeated, whatever its files hold."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from feeds import limits
from feeds.merge import Piece, merge
from headrace.batch import IntArray
from headrace.errors import FeedError
from headrace.feed import FeedTally, FrameBlock

_SECOND_NS = 1_000_000_000
_TIME_NS_MAX = 9 * 10**18
"""Where times near the end of 64 bits."""


@dataclass(frozen=True, slots=True)
class SourceFrames:
    """Frames of a source as they were read, in one dialect, in the order of its files.

    Shapes:  both columns have the same length, at least 1.
    """

    venue: str
    receive_times_ns: IntArray
    payloads: list[str]


class SourceReader(Protocol):
    """Reads one source from its beginning; counts in the tally every line that is no frame."""

    @property
    def name(self) -> str:
        """Return the name of the source."""

    def read(self, tally: FeedTally, threads: Executor) -> Iterator[SourceFrames]:
        """Yield the source's frames; the same ones at each call."""


@dataclass(slots=True)
class _Extent:
    """What the first pass learns: how many frames each source has, first and last time of all."""

    frames_by_source: Counter[str]
    first_ns: int | None = None
    last_ns: int | None = None

    def add(self, source: str, times_ns: IntArray) -> None:
        self.frames_by_source[source] += len(times_ns)
        first, last = int(times_ns.min()), int(times_ns.max())
        self.first_ns = first if self.first_ns is None else min(first, self.first_ns)
        self.last_ns = last if self.last_ns is None else max(last, self.last_ns)

    @property
    def span_ns(self) -> int:
        """Return how far passes are apart: the time covered, up to a whole second, and 1 s."""
        if self.first_ns is None or self.last_ns is None:
            return _SECOND_NS
        return (-((self.first_ns - self.last_ns) // _SECOND_NS) + 1) * _SECOND_NS


class RecordedFeed:
    """Sources merged in order of receipt, read `repeat` times; see `headrace.feed.Feed`."""

    def __init__(
        self, identity: str, readers: Sequence[SourceReader], *, repeat: int, tally: FeedTally
    ) -> None:
        self.identity = identity
        self.tally = tally
        self.counts: dict[str, int] = tally.dropped
        self._readers = readers
        self._repeat = repeat

    def blocks(self, resume_after: dict[str, int]) -> Iterator[FrameBlock]:
        """Yield the frames behind `resume_after`, pass after pass; ends after the last.

        Raises:  FeedError or OSError if a file cannot be read any more.
        """
        before = _copy(self.tally)
        extent = _Extent(Counter())
        with ThreadPoolExecutor(limits.DECOMPRESS_THREADS, "feed-ahead") as threads:
            yield from self._one_pass(0, extent, resume_after, threads)
            first_pass = _difference(self.tally, before)
            for pass_index in range(1, self._repeat):
                if self._is_ingested(pass_index, extent, resume_after):
                    _add_ingested_pass(self.tally, first_pass, extent)
                else:
                    yield from self._one_pass(pass_index, extent, resume_after, threads)

    def _one_pass(
        self, pass_index: int, extent: _Extent, resume_after: Mapping[str, int], threads: Executor
    ) -> Iterator[FrameBlock]:
        streams = [
            (reader.name, self._pieces(reader, pass_index, extent, resume_after, threads))
            for reader in self._readers
        ]
        shift_ns = pass_index * extent.span_ns if pass_index else 0
        if shift_ns + (extent.last_ns or 0) > _TIME_NS_MAX:
            raise FeedError(
                f"feed {self.identity}: expected a recording that stays before the year 2255 when "
                f"shifted {pass_index} times, found one that covers {extent.span_ns} ns; a line "
                "with a damaged time will do that: repeat it less often, or take the line out"
            )
        for frames in merge(streams):
            for block in frames.blocks(shift_ns, pass_index):
                self.tally.frames += len(block.payloads)
                yield block

    def _pieces(
        self,
        reader: SourceReader,
        pass_index: int,
        extent: _Extent,
        resume_after: Mapping[str, int],
        threads: Executor,
    ) -> Iterator[Piece]:
        """Yield a source's frames numbered and ordered, without those that are ingested already."""
        sequence = 1 + pass_index * extent.frames_by_source[reader.name]
        ingested_until = resume_after.get(reader.name, 0)
        highest_ns = np.iinfo(np.int64).min
        for frames in reader.read(self.tally, threads):
            times = frames.receive_times_ns
            order = np.maximum.accumulate(np.maximum(times, highest_ns))
            highest_ns = order[-1]
            backwards = int(np.count_nonzero(times < order))
            if backwards:
                self.tally.notes["receive_time_backwards"] += backwards
            if pass_index == 0:
                extent.add(reader.name, times)
            skip = min(max(ingested_until - sequence + 1, 0), len(times))
            if skip:
                self.tally.dropped["already_ingested"] += skip
            if skip < len(times):
                payloads = frames.payloads[skip:] if skip else frames.payloads
                yield Piece(frames.venue, order[skip:], times[skip:], sequence + skip, payloads)
            sequence += len(times)

    def _is_ingested(
        self, pass_index: int, extent: _Extent, resume_after: Mapping[str, int]
    ) -> bool:
        """Tell whether a whole pass is in Kafka: it need not be read again."""
        return all(
            resume_after.get(source, 0) >= (pass_index + 1) * frames
            for source, frames in extent.frames_by_source.items()
        )


def _copy(tally: FeedTally) -> FeedTally:
    return FeedTally(tally.lines_read, tally.frames, tally.dropped.copy(), tally.notes.copy())


def _difference(tally: FeedTally, before: FeedTally) -> FeedTally:
    return FeedTally(
        tally.lines_read - before.lines_read,
        tally.frames - before.frames,
        tally.dropped - before.dropped,
        tally.notes - before.notes,
    )


def _add_ingested_pass(tally: FeedTally, one_pass: FeedTally, extent: _Extent) -> None:
    tally.lines_read += one_pass.lines_read
    tally.dropped.update(one_pass.dropped)
    tally.dropped["already_ingested"] -= one_pass.dropped["already_ingested"]
    tally.dropped["already_ingested"] += extent.frames_by_source.total()
    tally.notes.update(one_pass.notes)

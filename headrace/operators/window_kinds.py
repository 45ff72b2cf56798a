"""How event time is divided into windows: tumbling, hopping, or by pauses."""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from headrace.batch import BoolArray, IntArray
from headrace.errors import UsageError
from headrace.operators.limits import SESSION_LENGTH_NS_MAX, WINDOWS_A_RECORD_MAX
from headrace.operators.rows import require_span


@dataclass(frozen=True, slots=True)
class Hopping:
    """Windows of one size that begin at every multiple of `hop_ns`: [start, start + size).

    A record is in every window that holds its time: size / hop of them.
    Raises:  UsageError unless 0 < hop <= size, and no record is in too many windows.
    Source:  "sliding windows" of Akidau et al. (2015), The Dataflow Model, VLDB 8(12), 1.3.1.
    """

    size_ns: int
    hop_ns: int

    def __post_init__(self) -> None:
        """Refuse windows that cannot be."""
        require_span("size_ns of a window", self.size_ns, least=1)
        require_span("hop_ns of a window", self.hop_ns, least=1)
        if self.hop_ns > self.size_ns:
            raise UsageError(
                f"operator, hopping windows: expected a hop of at most the size {self.size_ns} ns, "
                f"found {self.hop_ns}; records between two windows would be in none"
            )
        if self.windows_a_record > WINDOWS_A_RECORD_MAX:
            raise UsageError(
                f"operator, hopping windows: expected a record in at most {WINDOWS_A_RECORD_MAX} "
                f"windows, found {self.windows_a_record}; hop in larger steps"
            )

    @property
    def windows_a_record(self) -> int:
        """Return in how many windows a record can be."""
        return -(-self.size_ns // self.hop_ns)

    def open_at_once(self, lateness_ns: int) -> int:
        """Return how many windows of a key can be open: those between watermark and latest time."""
        return (lateness_ns + self.size_ns) // self.hop_ns + 1

    def last_end(self, time_ns: int) -> int:
        """Return when the last window ends that holds a time."""
        return time_ns // self.hop_ns * self.hop_ns + self.size_ns

    def ends(self, times_ns: IntArray) -> tuple[IntArray, BoolArray]:
        """Return the ends of the windows that may hold each time, and whether they do.

        Shapes:  (n,) in, (n, windows_a_record) out, earliest first.
        """
        latest = times_ns // self.hop_ns * self.hop_ns
        back = np.arange(self.windows_a_record - 1, -1, -1, dtype=np.int64) * self.hop_ns
        starts = latest[:, None] - back
        ends: IntArray = starts + self.size_ns
        return ends, ends > times_ns[:, None]


def tumbling(size_ns: int) -> Hopping:
    """Return windows that follow one another: each begins where the one before it ends."""
    return Hopping(size_ns, size_ns)


@dataclass(frozen=True, slots=True)
class Session:
    """Windows of records with pauses of less than `gap_ns` between them: [first, last + gap).

    Records that far apart or further are of different sessions, as if each record had a window
    [time, time + gap) and windows that overlap were one. (Flink merges windows that only touch,
    too; Beam does not.) No session reaches over a multiple of `length_ns_max`: there it is cut, by
    time and not by arrival, and ends at that multiple.
    Raises:  UsageError unless 0 < gap <= length.
    Source:  Akidau et al. (2015), The Dataflow Model, VLDB 8(12), 1.3.1 and 2.2.2.
    """

    gap_ns: int
    length_ns_max: int = SESSION_LENGTH_NS_MAX

    def __post_init__(self) -> None:
        """Refuse sessions that cannot be."""
        require_span("gap_ns of a session", self.gap_ns, least=1)
        require_span("length_ns_max of a session", self.length_ns_max, least=self.gap_ns)

    def open_at_once(self, lateness_ns: int) -> int:
        """Return how many sessions of a key can be open, between watermark and latest time."""
        cuts = 2 * (lateness_ns + self.gap_ns) // self.length_ns_max
        return lateness_ns // self.gap_ns + 2 + cuts

    def last_end(self, time_ns: int) -> int:
        """Return when the session of one record at a time ends."""
        cut_ns = (time_ns // self.length_ns_max + 1) * self.length_ns_max
        return min(time_ns + self.gap_ns, cut_ns)


WindowKind: TypeAlias = Hopping | Session

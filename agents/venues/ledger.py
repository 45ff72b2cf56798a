"""The frames of one source in one batch, and what became of each: exactly one outcome a frame."""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from agents.venues.outcome import DEAD_PREFIX, DUPLICATE
from headrace.batch import BoolArray, IntArray


@dataclass(frozen=True, slots=True)
class Frames:
    """Frames of one source as columns, in order; `rows` says where they stand in the batch.

    Shapes:  all (frames,).
    """

    rows: IntArray
    sequences: IntArray
    receive_times_ns: IntArray
    time_shifts_ns: IntArray
    pass_indexes: IntArray
    venues: list[str]
    payloads: list[bytes]


class Ledger:
    """Outcomes by the frame's position in its source's frames; `alive` are those not dead."""

    def __init__(self, count: int) -> None:
        self.outcomes = [DUPLICATE] * count
        self.alive: BoolArray = np.ones(count, np.bool_)
        self.dead: list[tuple[int, str, str]] = []
        self.counts: Counter[str] = Counter()

    def kill(self, position: int, cause: str, detail: str) -> None:
        """Give a frame up: nothing of it is used. The first cause stays."""
        if self.alive[position]:
            self.alive[position] = False
            self.outcomes[position] = DEAD_PREFIX + cause
            self.dead.append((position, cause, detail))

"""What `track_basis` remembers of each future against spot, and how it is written down."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec
import numpy as np

from agents.arbitrage.basis_kernels import MARKS, RING, Pair, new_pair
from headrace.errors import InvariantError

PAIRS_MAX = 1_024
"""Futures of a partition: 16 KiB each."""


class _Page(msgspec.Struct, array_like=True):
    name: str
    marks: bytes
    ring: bytes


@dataclass(slots=True)
class PairSamples:
    """Pairs by the future's stream, in the order they were first seen."""

    pairs: dict[str, Pair] = field(default_factory=dict)
    changed: set[str] = field(default_factory=set)

    def edit(self, name: str) -> Pair | None:
        """Return a pair for changing it, a new one if there is none; None beyond PAIRS_MAX."""
        if name not in self.pairs:
            if len(self.pairs) >= PAIRS_MAX:
                return None
            self.pairs[name] = new_pair()
        self.changed.add(name)
        return self.pairs[name]

    def dump(self) -> Mapping[int, bytes | None]:
        """Return a page for each pair that changed since the last call."""
        pages: dict[int, bytes | None] = {
            number: msgspec.msgpack.encode(_Page(name, pair.marks.tobytes(), pair.ring.tobytes()))
            for number, (name, pair) in enumerate(self.pairs.items())
            if name in self.changed
        }
        self.changed.clear()
        return pages


@dataclass(frozen=True, slots=True)
class Samples:
    """Keeps the samples of pairs in a step's table; see `headrace.operators.operator_table`."""

    @property
    def layout(self) -> str:
        """Return what tells this way of writing pairs from another."""
        return f"{MARKS} marks, {RING} samples"

    def new(self) -> PairSamples:
        """Return no pairs."""
        return PairSamples()

    def load(self, name: str, pages: Mapping[int, bytes]) -> PairSamples:
        """Return the pairs that these pages were dumped from.

        Raises:  InvariantError if a page is of another layout.
        """
        samples = PairSamples()
        for number in sorted(pages):
            page = msgspec.msgpack.decode(pages[number], type=_Page)
            marks = np.frombuffer(page.marks, np.int64).copy()
            ring = np.frombuffer(page.ring, np.int64).copy()
            if len(marks) != MARKS or len(ring) != 2 * RING:
                raise InvariantError(
                    f"{name}, pair {page.name[:100]!r}: expected {MARKS} marks and {2 * RING} "
                    f"numbers, found {len(marks)} and {len(ring)}; raise the table's version"
                )
            samples.pairs[page.name] = Pair(marks, ring.reshape(2, RING))
        return samples

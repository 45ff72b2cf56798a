"""Joins with the latest row of a key, as of arrival: of a stream with a table, of two tables."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa

from headrace.batch import IntArray
from headrace.operators.held_rows import LEFT, NONE, RIGHT
from headrace.operators.latest_rows import LatestRows, load_latest, take_latest
from headrace.operators.limits import KEYS_MAX
from headrace.operators.rows import KEY_REFUSED, TAKEN, LatePolicy, Rows
from headrace.operators.sides import (
    Call,
    Joined,
    Sides,
    UnmatchedPolicy,
    joined_records,
    require_most,
)


@dataclass(frozen=True, slots=True)
class _LatestJoin:
    """What both joins have: the right side is a table, and the left if `left_is_table`."""

    left: pa.Schema
    right: pa.Schema
    unmatched: UnmatchedPolicy = "null"
    left_out: LatePolicy = "drop"
    keys_max: int = KEYS_MAX
    left_is_table: ClassVar[bool]

    def __post_init__(self) -> None:
        """Refuse a join that cannot be."""
        require_most("keys_max", self.keys_max, KEYS_MAX, least=1)

    @property
    def layout(self) -> str:
        """Return what tells this way of writing rows from another."""
        return f"{type(self).__name__} {self.left.to_string()}|{self.right.to_string()}"

    def new(self) -> LatestRows:
        """Return a state without rows."""
        return LatestRows.empty(self.left, self.right)

    def load(self, name: str, pages: Mapping[int, bytes]) -> LatestRows:
        """Return the state that these pages were dumped from."""
        return load_latest(name, (self.left, self.right), pages)

    def add(self, state: LatestRows, rows: Rows, sides: Sides) -> Joined:
        """Add rows of both sides in one order; return what comes out by each of them.

        Raises:  InvariantError if there are not as many records as rows of a side.
        """
        call = Call.of(rows, sides, (self.left, self.right))
        if len(rows):
            codes = self._codes(state, call)
            self._take(state, call, codes)
        return call.joined(self.left_out)

    def _codes(self, state: LatestRows, call: Call) -> IntArray:
        """Return the code of each row's key, NONE without one; tell the rows of keys too many."""
        taken = call.fates == TAKEN
        kept = taken & (~call.is_left | self.left_is_table)
        codes = np.full(len(call.rows), NONE)
        # Rows that no table keeps give no key a code.
        for mine, most in ((kept, self.keys_max), (taken & ~kept, 0)):
            codes[mine] = state.codes_of(call.rows.keys.filter(pa.array(mine)), most=most)
        call.fates[kept & (codes == NONE)] = KEY_REFUSED
        return codes

    def _take(self, state: LatestRows, call: Call, codes: IntArray) -> None:
        """Let rows take their places in the tables, one after the other, and come out."""
        arrived = [call.arrivals((0, len(codes)), side, 0) for side in (LEFT, RIGHT)]
        pools = [held.with_later(new) for held, new in zip(state.sides, arrived, strict=True)]
        places = np.full(len(codes), NONE)
        for held, new in zip(state.sides, arrived, strict=True):
            places[new.numbers] = np.arange(len(held), len(held) + len(new))
        taken = np.flatnonzero(places != NONE)
        latest = state.places()
        found = take_latest(
            codes[taken], call.is_left[taken], places[taken], latest, self.left_is_table
        )
        for side in (LEFT, RIGHT) if self.left_is_table else (RIGHT,):
            changed = codes[arrived[side].numbers]
            if len(changed):
                state.replace(side, pools[side], latest[side], changed)
        said = np.ones(len(taken), np.bool_) if self.left_is_table else call.is_left[taken]
        alone = said & (found == NONE).any(axis=0)
        call.count("unmatched", int(alone.sum()))
        if self.unmatched == "drop":
            said &= ~alone
        if said.any():
            records = joined_records(pools, (found[LEFT][said], found[RIGHT][said]))
            call.found.append((records, taken[said]))


@dataclass(frozen=True, slots=True)
class StreamTableJoin(_LatestJoin):
    """Declares a join of each left row with the latest right row of its key, as of its arrival.

    Right rows are a table: each takes the place of the one before it of its key, and nothing comes
    out by it. Event times are handed on, and not looked at: there is no watermark and nothing is
    late, and a punctuation says nothing. A row of a table is never removed.
    **Order.** The result is a function of the order in which rows arrive. Rows of one topic, and
    topics that the step merges by sequence, arrive in one order in every run. Two topics read as
    they come do not: which of a left row and a new row of its key is first may be otherwise after
    a restart. `AsOfJoin` goes by event time, and waits for it.
    **Unmatched** left rows come out with nulls, or are dropped, as the policy says; counted.
    **Limits.** A right row of a key beyond `keys_max` is left out, and a dead letter if the policy
    `left_out` is `dead`.

    Raises:  UsageError if the join cannot be.
    Counts:  `unmatched`, `key_refused`, `time_out_of_range`.
    Source:  the KStream-KTable join of Kafka Streams without a grace period.
    """

    left_is_table: ClassVar[bool] = False


@dataclass(frozen=True, slots=True)
class TableTableJoin(_LatestJoin):
    """Declares a join of the latest rows of a key on two sides, that comes out on every change.

    Both sides are tables: each row takes the place of the one before it of its side and key, and
    what comes out is the latest of both. Event times are handed on, and not looked at, as by
    `StreamTableJoin`; a row of a table is never removed.
    **Order.** What a key has come to after all rows does not depend on how the sides' rows lie
    between one another; what came out on the way there does, and is the same in every run only if
    both sides are one topic, or the step merges them by sequence.
    **Unmatched**: while a key has a row on one side only, what comes out has nulls on the other, or
    is dropped, as the policy says; counted.
    **Limits.** A row of a key beyond `keys_max` is left out, and a dead letter if the policy
    `left_out` is `dead`.

    Raises:  UsageError if the join cannot be.
    Counts:  `unmatched`, `key_refused`, `time_out_of_range`.
    Source:  the KTable-KTable join of Kafka Streams, inner (`drop`) and outer (`null`).
    """

    left_is_table: ClassVar[bool] = True

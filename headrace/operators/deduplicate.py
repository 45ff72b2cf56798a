"""Leaves out records whose id was seen before, within a horizon of event time."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from headrace.batch import IntArray
from headrace.errors import InvariantError, UsageError
from headrace.operators.id_kernels import (
    ADDED,
    FORGOTTEN,
    HEAD,
    Hashes,
    Ids,
    hash_texts,
    new_ids,
    rebuild_index,
    take_ids,
)
from headrace.operators.limits import IDS_MAX
from headrace.operators.rows import (
    NO_TIME_NS,
    TAKEN,
    LatePolicy,
    LeftOut,
    Rows,
    latest_at,
    require_span,
)

CAPACITY_MIN = 1_024
PAGE_IDS = 4_096
"""Ids a page: 96 KiB; a commit writes the page again that is being filled, and those that were."""

HEADER_PAGE = 0
HEADER_INTS = 3
IDS_PAGE = 1
ROW_WORDS = 3


@dataclass(slots=True)
class IdState:
    """The ids of one partition; those before number `written` need no writing again.

    `stored` is the number of the first id on a page that stands in the store.
    """

    ids: Ids
    latest_ns: int = NO_TIME_NS
    written: int = 0
    stored: int = 0

    def make_room(self, count: int, most: int) -> None:
        """Grow so that so many more ids fit, up to the limit."""
        held = int(self.ids.marks[ADDED] - self.ids.marks[HEAD])
        wanted = max(CAPACITY_MIN, 1 << (min(held + count, most) - 1).bit_length())
        if wanted > len(self.ids.times):
            numbers = np.arange(self.ids.marks[HEAD], self.ids.marks[ADDED])
            old, capacity = self.ids, len(self.ids.times)
            self.ids = new_ids(wanted)
            self.ids.marks[:] = old.marks
            self.ids.hashes[:, numbers % wanted] = old.hashes[:, numbers % capacity]
            self.ids.times[numbers % wanted] = old.times[numbers % capacity]
            rebuild_index(self.ids)

    def dump(self) -> dict[int, bytes | None]:
        """Return the header, the pages with new ids, and None for those all of whose ids left."""
        head, added = int(self.ids.marks[HEAD]), int(self.ids.marks[ADDED])
        header = np.array([self.latest_ns, head, added], np.int64)
        pages: dict[int, bytes | None] = {HEADER_PAGE: header.tobytes()}
        stored_pages = range(self.stored // PAGE_IDS, -(-self.written // PAGE_IDS))
        pages |= {IDS_PAGE + page: None for page in stored_pages if (page + 1) * PAGE_IDS <= head}
        new = max(self.written, head)
        for page in range(new // PAGE_IDS, -(-added // PAGE_IDS)):
            start = max(page * PAGE_IDS, head)
            slots = np.arange(start, min((page + 1) * PAGE_IDS, added)) % len(self.ids.times)
            words = [*self.ids.hashes[:, slots], self.ids.times[slots]]
            pages[IDS_PAGE + page] = start.to_bytes(8, "little") + np.stack(words).tobytes()
        self.written, self.stored = added, head
        return pages


@dataclass(frozen=True, slots=True)
class Distinct:
    """The rows that are no repeats, ascending, and what was left out."""

    rows: IntArray
    left_out: LeftOut


@dataclass(frozen=True, slots=True)
class Deduplicate:
    """Declares that a record whose id was seen within `horizon_ns` before is left out.

    Before: an id is known from the first record that has it until the largest event time of the
    partition is `horizon_ns` past that record's time; then it is new again. A record that is itself
    so far behind cannot be judged: it is late, left out, and a dead letter if the policy is `dead`.
    A repeat is only counted.
    **Limits.** Beyond `ids_max` the id that came first is forgotten before its time, and counted.
    Ids are told apart by 128 bits of hash: of a million the chance that two are taken for one is
    below 10^-26, unless somebody makes them collide on purpose.

    Raises:  UsageError if the horizon or the limit cannot be.
    Counts:  `repeated`, `late`, `id_forgotten`, `time_out_of_range`.
    Source:  `dropDuplicatesWithinWatermark` of Spark Structured Streaming: the first record wins,
             and repeats do not make an id known for longer.
    """

    horizon_ns: int
    ids_max: int = IDS_MAX
    late: LatePolicy = "drop"

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        require_span("horizon_ns of ids", self.horizon_ns, least=1)
        if not 0 < self.ids_max <= IDS_MAX:
            raise UsageError(
                f"operator, ids: expected ids_max from 1 to {IDS_MAX}, found {self.ids_max}"
            )

    @property
    def layout(self) -> str:
        """Return what tells this way of writing ids from another."""
        return "ids"

    def new(self) -> IdState:
        """Return a state without ids."""
        return IdState(new_ids(CAPACITY_MIN))

    def load(self, name: str, pages: Mapping[int, bytes]) -> IdState:
        """Return the state that these pages were dumped from.

        Raises:  InvariantError if a page is missing or of another layout.
        """
        header = np.frombuffer(pages[HEADER_PAGE], np.int64)
        if len(header) != HEADER_INTS:
            raise InvariantError(f"ids {name}: expected {HEADER_INTS} numbers, found {len(header)}")
        latest_ns, head, added = header.tolist()
        state = IdState(new_ids(CAPACITY_MIN), latest_ns, added, head)
        state.make_room(added - head, IDS_MAX)
        ids = state.ids
        for page in range(head // PAGE_IDS, -(-added // PAGE_IDS)):
            value = pages[IDS_PAGE + page]
            start = int.from_bytes(value[:8], "little")
            words = np.frombuffer(value, np.int64, offset=8).reshape(ROW_WORDS, -1)
            first, end = max(page * PAGE_IDS, head), min((page + 1) * PAGE_IDS, added)
            if start > first or words.shape[1] < end - start:
                raise InvariantError(
                    f"ids {name}, page {page}: expected ids {first} to {end}, found "
                    f"{words.shape[1]} from {start}; the store is incomplete"
                )
            slots = np.arange(first, end) % len(ids.times)
            kept = words[:, first - start : end - start]
            ids.hashes[:, slots] = kept[:2]
            ids.times[slots] = kept[2]
        ids.marks[[HEAD, ADDED]] = head, added
        rebuild_index(ids)
        return state

    def add(self, state: IdState, rows: Rows) -> Distinct:
        """Return which rows are no repeats; the keys of `rows` are the ids."""
        fates = rows.fates()
        if len(rows):
            state.make_room(len(rows), self.ids_max)
            latest = latest_at(rows.times_ns, fates, state.latest_ns)
            moments = (rows.times_ns, latest)
            limits = (self.horizon_ns, self.ids_max)
            take_ids(state.ids, _hashes(rows.keys), moments, fates, limits)
            state.latest_ns = int(latest[-1])
        left_out = LeftOut(fates, self.late)
        if forgotten := int(state.ids.marks[FORGOTTEN]):
            left_out.counts["id_forgotten"] = forgotten
            state.ids.marks[FORGOTTEN] = 0
        return Distinct(left_out.rows(TAKEN), left_out)


def _hashes(texts: pa.Array) -> IntArray:
    whole = texts.cast(pa.string())
    _, offsets, data = whole.buffers()
    hashes: Hashes = np.zeros((2, len(whole)), np.uint64)
    starts = np.frombuffer(offsets, np.int32)[whole.offset : whole.offset + len(whole) + 1]
    # Without a byte in any text there may be no buffer of them.
    held = np.frombuffer(data, np.uint8) if data is not None else np.zeros(0, np.uint8)
    hash_texts(held, starts.astype(np.int64), hashes)
    return hashes.view(np.int64)

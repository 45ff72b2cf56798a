"""What a changelog or a disk gives back as state: restored as written, or refused by name."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache

import msgspec
import numpy as np

from agents.ingest_frames import MARKET_BY_SOURCE
from agents.venues import READERS
from headrace.errors import InvariantError, RecordError
from headrace.kafka.fetched import RawPart
from headrace.state.changelog import ChangelogTail
from headrace.state.pages import Changes, PageKey, page_bytes
from headrace.state.store import CHECKPOINT_KEY, Checkpoint
from headrace.state.tables import RowTable
from tests.fuzz.framing import pack, unpack
from tests.fuzz.mutation import BYTE_TOKEN, ODD_BYTES, Mutator
from tests.fuzz.target import Target, require
from tests.fuzz.targets.frame_samples import frames
from tests.fuzz.targets.frames import check_output, check_state, ingest

TABLE = MARKET_BY_SOURCE.name
ROWS = RowTable("fuzz.row_by_key.v1", np.dtype([("a", "<i8"), ("b", "<f8")]))


@dataclass
class Memory:
    """A store that keeps pages in memory; `ChangelogTail` asks for no more."""

    pages: dict[str, dict[PageKey, bytes]] = field(default_factory=dict)

    def checkpoint(self) -> None:
        """Return that there is no state yet."""

    def write(self, changes: Changes, checkpoint: Checkpoint) -> None:
        """Take changed pages."""
        require(all(offset >= 0 for offset in checkpoint.offsets.values()), "a negative offset")
        for table, changed in changes.items():
            held = self.pages.setdefault(table, {})
            for page, value in changed.items():
                if value is None:
                    held.pop(page, None)
                else:
                    held[page] = value


def _restore(records: Sequence[bytes]) -> None:
    """Each input is a whole changelog: keys and values by turns."""
    for record in records:
        fields = unpack(record)
        keys, values = fields[::2], fields[1::2]
        keys = keys[: len(values)]
        store = Memory()
        tail = ChangelogTail(store)  # type: ignore[arg-type]
        numbers = np.arange(len(keys))
        part = RawPart("changelog", 0, list(values), list(keys), numbers, numbers)
        try:
            tail.apply(part)
        except RecordError as error:
            require(len(str(error)) < 2_000, "an error without a limit")
            continue
        tail.flush()
        _take(store)


def _take(store: Memory) -> None:
    state, rows = MARKET_BY_SOURCE.open(), ROWS.open()
    try:
        state.restore(store.pages.get(TABLE, {}))
        rows.restore(store.pages.get(ROWS.name, {}))
    except InvariantError as error:
        require(len(str(error)) < 2_000, "an error without a limit")
        return
    for source in state:
        held = state.read(source)
        if held is not None:
            check_state(held)
    payloads, venues = _following()
    numbers = np.arange(2**40, 2**40 + len(payloads), dtype=np.int64)
    output = ingest(
        state,
        sources=["fuzz"] * len(payloads),
        venues=venues,
        sequences=numbers,
        receive_times=numbers,
        payloads=payloads,
    )
    check_output(output, len(payloads), on_wire=False)
    state.changes()


@cache
def _following() -> tuple[list[str], list[str]]:
    """Frames that go on where the samples' state ends: changes of every venue's books."""
    chosen = [(frame.decode(), venue) for venue in READERS for frame in frames(venue)[:16]]
    return [frame for frame, _ in chosen], [venue for _, venue in chosen]


@cache
def _seeds() -> tuple[bytes, ...]:
    made = []
    for venue in READERS:
        state, rows = MARKET_BY_SOURCE.open(), ROWS.open()
        chosen = [frame.decode() for frame in frames(venue)[:40]]
        numbers = np.arange(1, len(chosen) + 1, dtype=np.int64)
        ingest(
            state,
            sources=["fuzz"] * len(chosen),
            venues=[venue] * len(chosen),
            sequences=numbers,
            receive_times=numbers,
            payloads=chosen,
        )
        rows.rows[rows.index_of(["k"])] = (1, 2.0)
        fields = []
        for table, changes in ((TABLE, state.changes()), (ROWS.name, rows.changes())):
            for (key, page), value in changes.items():
                fields += [page_bytes(table, key, page), value or b""]
        checkpoint = Checkpoint(3, {"market.frame.v1": 7}, {"x": 5}, 9)
        fields += [CHECKPOINT_KEY, msgspec.json.encode(checkpoint)]
        made.append(pack(fields))
    return tuple(made)


TARGETS = [
    Target(
        name="state_pages",
        an_input="a changelog",
        open=lambda: _restore,
        seeds=_seeds,
        mutator=Mutator(BYTE_TOKEN, ODD_BYTES, ODD_BYTES),
        share=50,
        batch=32,
    )
]

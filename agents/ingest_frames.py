"""Frames as the venues wrote them, to trades, best quotes, books and instruments.

Every frame is counted under exactly one outcome: the table is in `agents/venues/outcome.py`.
"""

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

import msgspec
import numpy as np
import pyarrow as pa

from agents.venues import UNTOLD_LOSSES, outcome, read_frame_of
from agents.venues.depth import EVERY_BOOK
from agents.venues.ledger import Frames, Ledger
from agents.venues.market_records import market_records
from agents.venues.numbering import PASSES_MAX
from agents.venues.outcome import FrameError
from agents.venues.reading import Reading
from agents.venues.settlement import SourceRows, settle
from agents.venues.source_state import SourceCodec, SourceState
from headrace.batch import Batch, DeadRow, IntArray, Output
from headrace.state.tables import ObjectState, ObjectTable
from schemas.instruments import Instrument

MARKET_BY_SOURCE = ObjectTable("ingest_frames.market_by_source.v1", codec=SourceCodec())

SEARCHED_BYTES_MAX = 2**26
"""Bytes of a broken frame times books it may be of, some 10 ms: beyond it every book is lost, for
a search of each of thousands of names in a megabyte would hold the others up for seconds."""

TIME_SHIFT_NS_MAX = 10**18
"""31 years: the shift of any repeated capture, and a time shifted by it still fits 64 bits."""


def ingest_frames(batch: Batch, state: ObjectState[SourceState]) -> Output:
    """Return what the frames say: trades, quotes, books, and instruments seen for the first time.

    Frames that were seen before change nothing, so that a batch may come again after a crash.
    """
    counts: Counter[str] = Counter()
    dead: list[DeadRow] = []
    sources: list[tuple[str, SourceState, SourceRows]] = []
    new: list[tuple[int, Instrument]] = []
    for source, frames in _by_source(batch.records):
        held = state.edit(source)
        ledger = Ledger(len(frames.rows))
        reading = _read(held, frames, ledger, source)
        sources.append((source, held, settle(reading, frames, ledger)))
        new += [(int(frames.rows[at]), held.instruments[slot]) for at, slot in reading.new_slots]
        dead += [
            DeadRow(0, int(frames.rows[position]), cause, detail)
            for position, cause, detail in ledger.dead
        ]
        counts.update(ledger.outcomes)
        counts.update(ledger.counts)
    dead.sort(key=lambda row: row.row)
    if not sources:
        return Output()
    found = market_records(sources, new)
    return Output(found.records, dead, +counts, found.causes)


def _by_source(records: pa.RecordBatch) -> Iterator[tuple[str, Frames]]:
    """Yield the frames of each source, in order of first appearance."""
    encoded = records.column("source").dictionary_encode()
    codes = encoded.indices.to_numpy()
    rows_by_code = np.argsort(codes, kind="stable")
    ends = np.cumsum(np.bincount(codes, minlength=len(encoded.dictionary)))
    # As numpy objects: `to_pylist` takes ten times as long.
    payloads = records.column("payload").cast(pa.binary()).to_numpy(zero_copy_only=False)
    venues = records.column("venue").to_numpy(zero_copy_only=False)
    sequences, receive_times, time_shifts, pass_indexes = (
        records.column(name).to_numpy().astype(np.int64, copy=False)
        for name in ("sequence", "receive_time_ns", "time_shift_ns", "pass_index")
    )
    for source, (start, end) in zip(
        encoded.dictionary.to_pylist(), pairwise([0, *ends.tolist()]), strict=True
    ):
        rows = rows_by_code[start:end]
        yield (
            source,
            Frames(
                rows=rows,
                sequences=sequences[rows],
                receive_times_ns=receive_times[rows],
                time_shifts_ns=time_shifts[rows],
                pass_indexes=pass_indexes[rows],
                venues=venues[rows].tolist(),
                payloads=payloads[rows].tolist(),
            ),
        )


def _read(state: SourceState, frames: Frames, ledger: Ledger, source: str) -> Reading:
    """Read the frames that are new, pass by pass."""
    reading = Reading(state, source)
    for positions in _new_passes(state, frames, ledger):
        pass_index = int(frames.pass_indexes[positions[0]])
        if pass_index != state.pass_index:
            state.begin_pass(pass_index)
            reading.position = positions[0]
            reading.begin_pass()
        _read_positions(positions, frames, ledger, reading)
    return reading


def _new_passes(state: SourceState, frames: Frames, ledger: Ledger) -> Iterator[list[int]]:
    """Yield the positions of frames not seen before, one list for each run of the same pass."""
    sequences = frames.sequences
    before = np.maximum.accumulate(np.concatenate([[state.last_sequence], sequences]))
    fresh = np.flatnonzero(sequences > before[:-1])
    if not len(fresh):
        return
    steps = sequences[fresh] - before[fresh]
    # A source first seen in the middle has lost nothing that it was promised.
    missing = int((steps - 1)[before[fresh] > 0].sum())
    if missing:
        ledger.counts[outcome.SEQUENCES_MISSING] += missing
    state.last_sequence = int(before[-1])
    passes, shifts = frames.pass_indexes[fresh], frames.time_shifts_ns[fresh]
    # Both bounds: the absolute value of the least integer is itself.
    possible = (passes >= 0) & (passes <= PASSES_MAX) & (shifts >= -TIME_SHIFT_NS_MAX)
    possible &= shifts <= TIME_SHIFT_NS_MAX
    for position in fresh[~possible].tolist():
        detail = f"expected a pass from 0 to {PASSES_MAX} and a shift below {TIME_SHIFT_NS_MAX} ns"
        ledger.kill(position, outcome.MALFORMED, detail)
    fresh, passes = fresh[possible], passes[possible]
    borders: IntArray = np.flatnonzero(np.diff(passes)) + 1
    for start, end in pairwise([0, *borders.tolist(), len(fresh)]):
        if end > start:
            yield fresh[start:end].tolist()


def _read_positions(positions: list[int], frames: Frames, ledger: Ledger, reading: Reading) -> None:
    venues, payloads, outcomes = frames.venues, frames.payloads, ledger.outcomes
    for position in positions:
        reading.position = position
        venue = venues[position]
        try:
            outcomes[position] = read_frame_of(venue)(payloads[position], reading)
        except FrameError as error:
            ledger.kill(position, error.cause, str(error))
        except msgspec.ValidationError as error:
            # A root of the wrong type is no frame of this venue; further in, it is a bad field.
            root = payloads[position].lstrip().startswith(b"{") or "at `$" in str(error)
            cause = outcome.MALFORMED if root else outcome.UNKNOWN_FRAME
            ledger.kill(position, cause, str(error))
        except (msgspec.DecodeError, RecursionError) as error:
            ledger.kill(position, outcome.NOT_JSON, str(error))
            _lose_what_it_names(payloads[position], venue, reading)


def _lose_what_it_names(payload: bytes, venue: str, reading: Reading) -> None:
    """Trust no book whose change a broken frame may have been, where the venue would not tell."""
    if venue not in UNTOLD_LOSSES or not payload.startswith(b"{"):
        return
    instruments, slots = reading.state.instruments, reading.state.depth_slots
    searched = slots if len(slots) * len(payload) <= SEARCHED_BYTES_MAX else ()
    named = [slot for slot in searched if instruments[slot].symbol.encode() in payload]
    for slot in named or [EVERY_BOOK]:
        reading.lose_book(slot)

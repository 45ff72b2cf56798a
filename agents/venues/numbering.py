"""What a row gets from where it stands: shifted times and ids, its sequence, its receive time."""

from typing import Any

import numpy as np
from numba import njit

from agents.venues import outcome
from agents.venues.ledger import Frames, Ledger
from agents.venues.source_state import SourceState
from agents.venues.timestamps import ABSENT
from headrace.batch import IntArray

PASS_ID_STEP = 10**15
"""Added to ids for each pass of a repeated capture: wider than the ids of any one session reach
apart, and 4,000 passes of it beside ids up to 2**62 stay within 64 bits."""

PASSES_MAX = 4_000

COUNTED, UNCOUNTED = 1, 0

Columns = dict[str, IntArray]
"""Columns of equal length; always `row` (of the batch), `slot`, `id`, `event_time_ns` (absent:
-1), `receive_time_ns` and `sequence`."""


def shift_pass(columns: Columns, frames: Frames) -> None:
    """Add the pass's shift to times and ids, and say which rows of the batch they come from."""
    positions = columns["position"]
    times, ids = columns["event_time_ns"], columns["id"]
    columns["row"] = frames.rows[positions]
    shifted = times + frames.time_shifts_ns[positions]
    columns["event_time_ns"] = np.where(times == ABSENT, ABSENT, shifted)
    shifted = ids + frames.pass_indexes[positions] * PASS_ID_STEP
    columns["id"] = np.where(ids == ABSENT, ABSENT, shifted)


def give_sequences(
    parts: tuple[Columns, Columns, Columns], frames: Frames, state: SourceState, ledger: Ledger
) -> None:
    """Number the trades and quotes of an instrument jointly; let no receive time run backwards."""
    trades, quotes, books = parts
    lengths = [len(part["position"]) for part in parts]
    positions = np.concatenate([part["position"] for part in parts])
    slots = np.concatenate([part["slot"] for part in parts])
    counted = np.full(len(positions), COUNTED, np.uint8)
    counted[lengths[0] + lengths[1] :] = UNCOUNTED
    sequences = np.zeros(len(positions), np.int64)
    times = frames.receive_times_ns[positions]
    clamped = _number(
        np.argsort(positions, kind="stable"),
        slots,
        counted,
        state.sequences,
        state.receive_times,
        sequences,
        times,
    )
    if clamped:
        ledger.counts[outcome.TIMES_CLAMPED] += clamped
    start = 0
    for part, length in zip((trades, quotes, books), lengths, strict=True):
        part["sequence"] = sequences[start : start + length]
        part["receive_time_ns"] = times[start : start + length]
        part["source_sequence"] = frames.sequences[part["position"]]
        start += length


@njit(cache=True)
def _number(  # noqa: PLR0917 (a compiled loop takes its arrays one by one)
    order: Any,
    slots: Any,
    counted: Any,
    last_sequences: Any,
    last_times: Any,
    sequences: Any,
    times: Any,
) -> int:
    clamped = 0
    for index in order:
        slot = slots[index]
        if times[index] < last_times[slot]:
            times[index] = last_times[slot]
            clamped += 1
        else:
            last_times[slot] = times[index]
        if counted[index]:
            last_sequences[slot] += 1
            sequences[index] = last_sequences[slot]
    return clamped

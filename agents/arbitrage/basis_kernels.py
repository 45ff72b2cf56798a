"""The basis of futures against spot and its z-score over the minute before, as compiled loops."""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from headrace.batch import IntArray

WINDOW_NS = 60_000_000_000
SAMPLE_NS = 100_000_000
"""A sample at most each tenth of a second: a burst of quotes is not evidence of a minute."""
SAMPLES_MIN = 50
"""Fewer say nothing of how the basis spreads."""
RING = 1_024
"""Samples held: more than the 600 a minute can have."""
BASIS_LIMIT = 1 << 23
"""838 basis points: so far from spot a price is of something else; and all sums fit 64 bits."""
PRICE_SUM_LIMIT = 9 * 10**14
"""Bid and ask together in 1e-8: prices to 4.5 million, so that ten thousand times it fits."""
Z_LIMIT = 10**9

ADDED, OLDEST, SUM, SQUARES, LATEST, LAST_SAMPLE, POSITION = range(7)
"""What a pair remembers beside its ring of (time, basis)."""
MARKS = 7

# What became of a row, and what it makes one do.
TAKEN, OUT_OF_RANGE = range(2)
NOTHING, SELL, BUY, CLOSE = range(4)


class Pair(NamedTuple):
    """The samples of one future against spot; sample n is in slot n % RING.

    Shapes:  marks (MARKS,) int64, ring (2, RING) int64: times and basis.
    """

    marks: IntArray
    ring: IntArray


class Judged(NamedTuple):
    """What each row of a pair is found to be; written in place.

    Shapes:  basis, mean, z (n,) int64; known (n,): 0, 1 with a mean, 2 with a z-score as well;
             fates, actions (n,).
    """

    basis: IntArray
    mean: IntArray
    z: IntArray
    known: npt.NDArray[np.uint8]
    fates: npt.NDArray[np.uint8]
    actions: npt.NDArray[np.uint8]


class Legged(NamedTuple):
    """Bid plus ask of the future and of spot at each row, and the future's time.

    Shapes:  (n,) int64 each.
    """

    times: IntArray
    futures: IntArray
    spots: IntArray


def new_pair() -> Pair:
    """Return a pair without samples."""
    marks = np.zeros(MARKS, np.int64)
    marks[LAST_SAMPLE] = -WINDOW_NS
    return Pair(marks, np.zeros((2, RING), np.int64))


def new_judged(count: int) -> Judged:
    """Return that nothing is known of so many rows."""
    numbers, codes = np.zeros((3, count), np.int64), np.zeros((3, count), np.uint8)
    return Judged(numbers[0], numbers[1], numbers[2], codes[0], codes[1], codes[2])


@njit(cache=True, nogil=True)
def judge_rows(
    pair: Pair, rows: IntArray, legged: Legged, judged: Judged, thresholds: tuple[float, float]
) -> None:
    """Judge rows of one pair in order; `thresholds` are the z-scores to enter and to close at."""
    for row in rows:
        basis = basis_of(legged.futures[row], legged.spots[row])
        if not -BASIS_LIMIT < basis < BASIS_LIMIT:
            judged.fates[row] = OUT_OF_RANGE
            continue
        judged.basis[row] = basis
        time = legged.times[row]
        _forget(pair, time)
        _score(pair, row, basis, judged)
        if judged.known[row] > 1:
            judged.actions[row] = _act(pair, judged.z[row], thresholds)
        _sample(pair, time, basis)


@njit(cache=True, nogil=True)
def basis_of(future: int, spot: int) -> int:
    """Return (future / spot - 1) in 1e-4 basis points, to the nearest, by long division.

    BASIS_LIMIT where it cannot be told in 64 bits.
    """
    if not 0 < future < PRICE_SUM_LIMIT or not 0 < spot < PRICE_SUM_LIMIT:
        return BASIS_LIMIT
    difference = (future - spot) * 10_000
    high = difference // spot
    low = ((difference - high * spot) * 10_000 + spot // 2) // spot
    return high * 10_000 + low


@njit(cache=True, nogil=True)
def _forget(pair: Pair, time: int) -> None:
    marks, ring = pair
    marks[LATEST] = max(marks[LATEST], time)
    while marks[OLDEST] < marks[ADDED]:
        slot = marks[OLDEST] % RING
        if ring[0, slot] > marks[LATEST] - WINDOW_NS and marks[ADDED] - marks[OLDEST] < RING:
            break
        marks[SUM] -= ring[1, slot]
        marks[SQUARES] -= ring[1, slot] * ring[1, slot]
        marks[OLDEST] += 1


@njit(cache=True, nogil=True)
def _score(pair: Pair, row: int, basis: int, judged: Judged) -> None:
    marks = pair.marks
    count = marks[ADDED] - marks[OLDEST]
    if count < SAMPLES_MIN:
        return
    mean = (2 * marks[SUM] + count) // (2 * count)
    # Squares about the rounded mean, exact in 64 bits; what the rounding leaves is taken off.
    left = marks[SUM] - count * mean
    about = marks[SQUARES] - 2 * mean * marks[SUM] + count * mean * mean
    variance = (about - left * left / count) / (count - 1)
    judged.mean[row] = mean
    judged.known[row] = 1
    if variance > 0:
        z = 10_000 * (basis - mean - left / count) / math.sqrt(variance)
        judged.z[row] = math.floor(min(max(z, -Z_LIMIT), Z_LIMIT) + 0.5)
        judged.known[row] = 2


@njit(cache=True, nogil=True)
def _act(pair: Pair, z: int, thresholds: tuple[float, float]) -> int:
    enter, leave = thresholds
    held = pair.marks[POSITION]
    if held == 0 and abs(z) >= enter * 10_000:
        pair.marks[POSITION] = -1 if z > 0 else 1
        return SELL if z > 0 else BUY
    if held != 0 and -held * z <= leave * 10_000:
        pair.marks[POSITION] = 0
        return CLOSE
    return NOTHING


@njit(cache=True, nogil=True)
def _sample(pair: Pair, time: int, basis: int) -> None:
    marks, ring = pair
    if time - marks[LAST_SAMPLE] < SAMPLE_NS:
        return
    marks[LAST_SAMPLE] = time
    slot = marks[ADDED] % RING
    ring[0, slot], ring[1, slot] = time, basis
    marks[SUM] += basis
    marks[SQUARES] += basis * basis
    marks[ADDED] += 1

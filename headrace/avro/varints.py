"""Varints of an array passed over at once, compiled: a record may hold a million of them."""

from typing import Any

import numba
import numpy as np

VARINT_BYTES_MAX = 10


@numba.njit(cache=True, nogil=True)
def past_varints(body: Any, at: int, count: int, bits: int) -> int:
    """Return the place after so many varints of so many bits; -1 - its place for a bad one."""
    for _ in range(count):
        first = at
        zigzag = np.uint64(0)
        while True:
            if at >= len(body) or at - first >= VARINT_BYTES_MAX:
                return -1 - first
            byte = body[at]
            if at - first == VARINT_BYTES_MAX - 1 and byte > 1:
                return -1 - first
            zigzag |= np.uint64(byte & 0x7F) << np.uint64(7 * (at - first))
            at += 1
            if byte < 0x80:  # noqa: PLR2004  (the bit that says a byte follows)
                break
        if bits < 64 and zigzag >> np.uint64(bits):  # noqa: PLR2004  (all there are)
            return -1 - first
    return at

"""The dialects of the venues: one module each, from a frame's text to what it says."""

from collections.abc import Callable

from agents.venues import binance, bitstamp, bybit, coinbase, kraken, okx, plain
from agents.venues.outcome import UNKNOWN_VENUE, FrameError
from agents.venues.reading import Reading

ReadFrame = Callable[[bytes, Reading], str]
"""Reads a frame into the reading and returns its outcome.

Raises:  FrameError, or what msgspec raises for text that is not JSON or of another shape.
"""


def _read_unknown(payload: bytes, reading: Reading) -> str:  # noqa: ARG001 (a ReadFrame)
    raise FrameError(UNKNOWN_VENUE, f"expected a venue of {', '.join(READERS)}")


READERS: dict[str, ReadFrame] = {
    "binance": binance.read_frame,
    "bitstamp": bitstamp.read_frame,
    "bybit": bybit.read_frame,
    "coinbase": coinbase.read_frame,
    "kraken": kraken.read_frame,
    "okx": okx.read_frame,
    "plain": plain.read_frame,
}

UNTOLD_LOSSES = frozenset({"coinbase", "bitstamp"})
"""Venues whose changes carry neither numbers nor checksums: a lost one shows nowhere later."""


def read_frame_of(venue: str) -> ReadFrame:
    """Return the reader of a venue's dialect; for an unknown one, a reader that refuses."""
    return READERS.get(venue, _read_unknown)

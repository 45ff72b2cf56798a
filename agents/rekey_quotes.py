"""Quotes of instruments, as quotes of the assets they are prices of."""

import numpy as np
import pyarrow as pa

from agents.arbitrage.legs import Legs
from headrace import Batch, Output
from headrace.batch import BoolArray, IntArray
from schemas.instruments import instrument_of
from schemas.topics import ASSET_QUOTE

SCALE = 8
PRICE_TICKS_LIMIT = 10**16
"""Beyond it no price in 1e-8 is scaled up without overflow."""


def rekey_quotes(batch: Batch, legs: Legs) -> Output:
    """Return the quotes that are a leg of some asset, keyed by it, prices in 1e-8.

    Reads:   `market.quote.v1`.
    Counts:  `quote_not_paired`: of no leg; `quote_invalid`: without a bid or an ask, crossed, or of
             a price out of range.
    """
    quotes = batch.records
    encoded = quotes.column("instrument").dictionary_encode()
    names = encoded.dictionary.to_pylist()
    codes: IntArray = encoded.indices.to_numpy().astype(np.int64)
    found = [legs.get(name) for name in names]
    paired = np.array([leg is not None for leg in found], np.bool_)[codes]
    bids, asks = (quotes.column(f"{side}_price_ticks").to_numpy() for side in ("bid", "ask"))
    valid: BoolArray = (bids > 0) & (asks >= bids) & (asks < PRICE_TICKS_LIMIT)
    rows = np.flatnonzero(paired & valid)
    counts = {
        "quote_not_paired": int((~paired).sum()),
        "quote_invalid": int((paired & ~valid).sum()),
    }
    if not len(rows):
        return Output(counts=counts)
    # A leg's instrument names its market: the legs are written by us.
    scales = np.array(
        [
            instrument_of(name).price_scale if leg else SCALE
            for name, leg in zip(names, found, strict=True)
        ]
    )[codes[rows]]
    taken = pa.array(codes[rows])
    kept = quotes.take(pa.array(rows))
    records = pa.RecordBatch.from_pydict(
        {
            "asset": pa.array([leg.asset if leg else "" for leg in found]).take(taken),
            "leg": pa.array([leg.side if leg else "" for leg in found]).take(taken),
            "instrument": kept.column("instrument"),
            "source": kept.column("source"),
            "sequence": kept.column("sequence"),
            "bid_price_e8": pa.array(_in_e8(bids[rows], scales)),
            "ask_price_e8": pa.array(_in_e8(asks[rows], scales)),
            "receive_time_ns": kept.column("receive_time_ns"),
        }
    )
    return Output({ASSET_QUOTE.name: records}, (), counts, {ASSET_QUOTE.name: rows})


def _in_e8(ticks: IntArray, scales: IntArray) -> IntArray:
    """Return prices of these scales in 1e-8, finer ones cut."""
    up, down = np.maximum(SCALE - scales, 0), np.maximum(scales - SCALE, 0)
    prices: IntArray = ticks * 10**up // 10**down
    return prices

"""How far futures stand from spot, how unusual that is, and when it is worth a signal."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from agents.arbitrage import basis_kernels as k
from agents.arbitrage.pair_samples import Samples
from headrace import Batch, Output
from headrace.batch import IntArray
from headrace.operators import AsOfJoin, Rows, Sides, operator_table
from headrace.operators.rows import merged_counts
from headrace.state.tables import ObjectState
from schemas.streams import SEPARATOR
from schemas.topics import BASIS, BASIS_SIGNAL

LATENESS_NS = 500_000_000
"""How far quotes of the legs may lie behind one another: they pass through tasks of their own."""

STALE_NS = 2_000_000_000
"""A spot quote older than this says nothing of what spot is worth."""

PRICES = {"bid_price_e8": pa.int64(), "ask_price_e8": pa.int64()}
QUOTES = AsOfJoin(
    left=pa.schema(
        {"instrument": pa.string(), "source": pa.string(), "sequence": pa.int64(), **PRICES}
    ),
    right=pa.schema({"instrument": pa.string(), **PRICES}),
    tolerance_ns=STALE_NS,
    lateness_ns=LATENESS_NS,
    unmatched="drop",
    late="drop",
)
TABLE = operator_table("track_basis.quote_by_operator.v1", {"quotes": QUOTES, "pairs": Samples()})

FIELDS_OF_BOTH = ("asset", "future", "spot", "source", "sequence", "receive_time_ns")
ACTIONS = pa.array(["", "SELL_FUTURE", "BUY_FUTURE", "CLOSE"])
"""In the order of the kernel's numbers."""


@dataclass(frozen=True, slots=True)
class BasisRule:
    """The z-scores to act at: `enter` away from the mean, `leave` back near it."""

    enter: float = 3.0
    leave: float = 0.5


def track_basis(batch: Batch, state: ObjectState[Any], rule: BasisRule) -> Output:
    """Return the basis at each quote of a future against the last spot quote, and signals.

    Compared by when we received them: Binance's spot quotes have no time of their own.
    Reads:   `arbitrage.quote.v1`.
    Counts:  those of `AsOfJoin`; `basis_out_of_range`: beyond 838 basis points, or in no 64 bits;
             `pair_refused` beyond PAIRS_MAX.
    """
    quotes = batch.records
    joined = QUOTES.add(state.edit("quotes"), *_sides(quotes))
    count = joined.records.num_rows
    judged = k.new_judged(count)
    legged = _legged(joined.records)
    samples, refused = state.edit("pairs"), 0
    for name, rows in _by_pair(joined.records):
        pair = samples.edit(name)
        if pair is None:
            judged.fates[rows] = k.OUT_OF_RANGE
            refused += len(rows)
        else:
            k.judge_rows(pair, rows, legged, judged, (rule.enter, rule.leave))
    taken = np.flatnonzero(judged.fates == k.TAKEN)
    counts = {"basis_out_of_range": count - len(taken) - refused, "pair_refused": refused}
    basis = _basis(joined.records, judged)
    acted = taken[judged.actions[taken] != k.NOTHING]
    return Output(
        {
            BASIS.name: basis.take(pa.array(taken)),
            BASIS_SIGNAL.name: _signals(joined.records, basis, judged, acted),
        },
        (),
        merged_counts(joined.left_out.counts, {name: n for name, n in counts.items() if n}),
        {BASIS.name: joined.causes[taken], BASIS_SIGNAL.name: joined.causes[acted]},
    )


def _sides(quotes: pa.RecordBatch) -> tuple[Rows, Sides]:
    is_left = pc.equal(quotes.column("leg"), "FUTURE")
    rows = Rows(
        quotes.column("asset"),
        quotes.column("receive_time_ns").to_numpy(),
        quotes.column("sequence").to_numpy(),
    )
    left, right = quotes.filter(is_left), quotes.filter(pc.invert(is_left))
    return rows, Sides(is_left.to_numpy(zero_copy_only=False), left, right)


def _legged(joined: pa.RecordBatch) -> k.Legged:
    def both(prefix: str) -> IntArray:
        sides = (joined.column(f"{prefix}{side}_price_e8").to_numpy() for side in ("bid", "ask"))
        total: IntArray = sum(sides, start=np.zeros(joined.num_rows, np.int64))
        return total

    return k.Legged(joined.column("time_ns").to_numpy(), both(""), both("right_"))


def _by_pair(joined: pa.RecordBatch) -> Iterator[tuple[str, IntArray]]:
    """Yield the stream of each future with its rows, in order."""
    streams = pc.binary_join_element_wise(
        joined.column("instrument"), joined.column("source"), SEPARATOR
    ).dictionary_encode()
    codes = streams.indices.to_numpy()
    for code, name in enumerate(streams.dictionary.to_pylist()):
        yield name, np.flatnonzero(codes == code)


def _basis(joined: pa.RecordBatch, judged: k.Judged) -> pa.RecordBatch:
    return pa.RecordBatch.from_pydict(
        {
            "asset": joined.column("key"),
            "future": joined.column("instrument"),
            "spot": joined.column("right_instrument"),
            "source": joined.column("source"),
            "sequence": joined.column("sequence"),
            "receive_time_ns": joined.column("time_ns"),
            "spot_time_ns": joined.column("right_time_ns"),
            "basis_bps_e4": pa.array(judged.basis),
            "mean_bps_e4": pa.array(judged.mean, mask=judged.known < 1),
            "z_score_e4": pa.array(judged.z, mask=judged.known < 2),  # noqa: PLR2004 (with z)
        }
    )


def _signals(
    joined: pa.RecordBatch, basis: pa.RecordBatch, judged: k.Judged, acted: IntArray
) -> pa.RecordBatch:
    rows = pa.array(acted)
    told = dict(zip(basis.schema.names, basis.take(rows).columns, strict=True))
    columns = {name: told.pop(name) for name in FIELDS_OF_BOTH}
    columns["action"] = ACTIONS.take(pa.array(judged.actions[acted]))
    columns |= {name: told[name] for name in ("basis_bps_e4", "mean_bps_e4", "z_score_e4")}
    for prefix, leg in (("", "future"), ("right_", "spot")):
        for side in ("bid", "ask"):
            prices = joined.column(f"{prefix}{side}_price_e8")
            columns[f"{leg}_{side}_price_e8"] = prices.take(rows)
    return pa.RecordBatch.from_pydict(columns)

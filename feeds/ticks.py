"""Rows of a table as `plain` frames, every row that is no tick named and counted."""

from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from feeds.mapping import NS_BY_UNIT, TableMapping
from feeds.plain import VENUE, json_text, quote_frame, trade_frame
from feeds.recording import SourceFrames
from headrace.feed import FeedTally

_TIME_NS_MAX = 9 * 10**18
_NO_TEXT = "\ufffd"
"""Of a column whose type has no text: a list, a record."""

_PATTERNS = {
    "ts": r"^\d{1,18}$|^[1-8]\d{18}$",
    "symbol": r"^[!-~]+$",
    "number": r"^\d+(\.\d+)?$",
}
_SIDES = {"buy": "buy", "b": "buy", "bid": "buy", "sell": "sell", "s": "sell", "ask": "sell"}


def frames_of_rows(
    rows: Any, mapping: TableMapping, symbols: frozenset[str], tally: FeedTally
) -> SourceFrames:
    """Return the good rows of a RecordBatch as frames; receive time and event time are the row's.

    `symbols` (upper case) keeps these only, all if empty. Dropped rows are counted by reason.
    """
    texts = {name: _column(rows, mapping, name) for name in mapping.fields}
    reasons = _reasons(texts, mapping, _TIME_NS_MAX // _unit_ns(rows, mapping))
    if symbols:
        chosen = pc.is_in(pc.ascii_upper(texts["symbol"]), pa.array(sorted(symbols)))
        reasons[(reasons == "") & ~_mask(chosen)] = "not_selected"
    tally.lines_read += rows.num_rows
    good = reasons == ""
    if not good.all():
        tally.dropped.update(Counter(reasons[~good].tolist()))
    kept = {name: column.filter(pa.array(good)) for name, column in texts.items()}
    times = kept["ts"].cast(pa.int64()).to_numpy() * _unit_ns(rows, mapping)
    columns = {name: column.to_pylist() for name, column in kept.items() if name != "ts"}
    instruments = {
        symbol: json_text(f"{mapping.market}:{symbol}") for symbol in set(columns["symbol"])
    }
    names = [instruments[symbol] for symbol in columns["symbol"]]
    payloads = (_trades if mapping.is_trade else _quotes)(names, columns, times.tolist())
    return SourceFrames(VENUE, times, payloads)


def _unit_ns(rows: Any, mapping: TableMapping) -> int:
    """Return what one of the time column is worth: what Arrow says, else what the mapping does."""
    kind = rows.column(mapping.columns["ts"]).type
    return NS_BY_UNIT[kind.unit if pa.types.is_timestamp(kind) else mapping.ts_unit]


def _column(rows: Any, mapping: TableMapping, name: str) -> Any:
    """Return a field as texts: from a column of any type, or its constant."""
    if name not in mapping.columns:
        return pa.repeat(pa.scalar(mapping.constants.get(name, "")), rows.num_rows)
    column = rows.column(mapping.columns[name])
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.int64())
    try:
        texts = column.cast(pa.string())
        texts.validate(full=True)
    except (pa.ArrowNotImplementedError, pa.ArrowTypeError):
        return pa.repeat(pa.scalar(_NO_TEXT), rows.num_rows)
    except pa.ArrowInvalid:
        # Bytes that are no UTF-8 in some row: they become a mark that no pattern takes.
        found = column.cast(pa.binary()).to_pylist()
        texts = pa.array(
            [None if text is None else text.decode(errors="replace") for text in found]
        )
    return pc.fill_null(texts, "")


def _reasons(texts: dict[str, Any], mapping: TableMapping, time_max: int) -> Any:
    """Return for each row why it is dropped, "" if it is not; the first reason counts."""
    count = len(texts["ts"])
    reasons = np.full(count, "", dtype=object)
    needed = [name for name in mapping.fields if name != "side"]
    for name in needed:
        pattern = _PATTERNS.get(name, _PATTERNS["number"])
        bad = ~_mask(pc.match_substring_regex(texts[name], pattern)) & (reasons == "")
        if not bad.any():
            continue
        rows = np.flatnonzero(bad)
        found = pc.ascii_lower(pc.ascii_trim_whitespace(texts[name].take(pa.array(rows))))
        is_empty = _mask(pc.equal(found, ""))
        is_nan = _mask(pc.match_substring_regex(found, r"^[+-]?(nan|inf|infinity)$"))
        reasons[rows] = np.where(
            is_empty, "row_empty_value", np.where(is_nan, "row_not_a_number", "row_malformed")
        )
    digits = pa.array(np.where(reasons == "", texts["ts"].to_numpy(zero_copy_only=False), "0"))
    times = digits.cast(pa.int64()).to_numpy()
    beyond = times > time_max
    reasons[beyond] = "row_malformed"
    return reasons


def _mask(flags: Any) -> Any:
    return flags.to_numpy(zero_copy_only=False)


def _quotes(names: list[str], columns: dict[str, list[str]], times: list[int]) -> list[str]:
    bids = zip(columns["bid"], columns["bid_size"], strict=True)
    asks = zip(columns["ask"], columns["ask_size"], strict=True)
    return [
        quote_frame(name, bid, ask, None, time_ns)
        for name, bid, ask, time_ns in zip(names, bids, asks, times, strict=True)
    ]


def _trades(names: list[str], columns: dict[str, list[str]], times: list[int]) -> list[str]:
    sides = [_SIDES.get(side.lower()) for side in columns["side"]]
    return [
        trade_frame(name, price, size, side=side, trade_id=None, event_time_ns=time_ns)
        for name, price, size, side, time_ns in zip(
            names, columns["price"], columns["size"], sides, times, strict=True
        )
    ]

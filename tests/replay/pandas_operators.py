"""The same windows and joins in pandas, from their definitions, over rows all at hand."""

import numpy as np
import pandas as pd

from headrace.batch import IntArray

SORTED = ["time_ns", "order"]
PLACE = ["key", "window_start_ns"]


def hopping(ticks: pd.DataFrame, size_ns: int, hop_ns: int) -> pd.DataFrame:
    """Return the windows that begin at every multiple of the hop; the size is one of it."""
    ticks = ticks.sort_values(SORTED)
    latest = ticks["time_ns"] // hop_ns * hop_ns
    parts = [ticks.assign(window_start_ns=latest - back) for back in range(0, size_ns, hop_ns)]
    return candles(pd.concat(parts), size_ns)


def candles(placed: pd.DataFrame, size_ns: int) -> pd.DataFrame:
    """Return what windows say, by their start."""
    groups = placed.groupby(PLACE, sort=True)
    found = said(groups).reset_index()
    found.insert(2, "window_end_ns", found["window_start_ns"] + size_ns)
    return found


def sessions(ticks: pd.DataFrame, gap_ns: int, length_ns_max: int) -> pd.DataFrame:
    """Return the windows parted by pauses, and at every multiple of the length."""
    ticks = ticks.sort_values(["key", *SORTED])
    times, stretch = ticks["time_ns"], ticks["time_ns"] // length_ns_max
    begins = (ticks["key"] != ticks["key"].shift()) | (times.diff() >= gap_ns)
    begins |= stretch != stretch.shift()
    groups = ticks.groupby(begins.cumsum())
    found = said(groups)
    last, cut_ns = groups["time_ns"].last(), (groups["time_ns"].last() // length_ns_max + 1)
    ends = np.minimum(last + gap_ns, cut_ns * length_ns_max)
    found.insert(0, "key", groups["key"].first())
    found.insert(1, "window_start_ns", groups["time_ns"].first())
    found.insert(2, "window_end_ns", ends)
    return found.sort_values(PLACE).reset_index(drop=True)


def said(groups: "pd.api.typing.DataFrameGroupBy") -> pd.DataFrame:
    """Return the aggregates of groups whose rows are in order."""
    prices = groups["price"]
    return pd.DataFrame(
        {
            "first": prices.first(),
            "largest": prices.max(),
            "least": prices.min(),
            "last": prices.last(),
            "size": groups["size"].sum(),
            "count": groups.size(),
        }
    )


def sliding(ticks: pd.DataFrame, span_ns: int) -> pd.DataFrame:
    """Return of each row what its key did in the span that ends with it, by order."""
    ticks = ticks.sort_values(["key", *SORTED])
    indexed = ticks.set_index(pd.to_datetime(ticks["time_ns"]))
    rolled = indexed.groupby("key", sort=True)["price"].rolling(f"{span_ns}ns")
    found = pd.DataFrame({"order": ticks["order"].to_numpy()})
    # Prices are below 2^53, where pandas' floats are exact.
    found["largest"] = rolled.max().to_numpy().astype(np.int64)
    found["least"] = rolled.min().to_numpy().astype(np.int64)
    found["count"] = rolled.count().to_numpy().astype(np.int64)
    return found.sort_values("order").reset_index(drop=True)


def as_of(left: pd.DataFrame, right: pd.DataFrame, tolerance_ns: int) -> pd.DataFrame:
    """Return by the order of each left row that of the last right row, -1 for none."""
    found = pd.merge_asof(
        left.sort_values(SORTED)[["key", "time_ns", "order"]],
        right.sort_values(SORTED)[["key", "time_ns", "order"]],
        on="time_ns",
        by="key",
        tolerance=tolerance_ns,
        suffixes=("", "_right"),
    )
    return paired(found["order"].to_numpy(), found["order_right"].fillna(-1).to_numpy(np.int64))


def interval(left: pd.DataFrame, right: pd.DataFrame, lower_ns: int, upper_ns: int) -> pd.DataFrame:
    """Return the orders of all pairs, and -1 beside left rows without any."""
    found = []
    for key, lefts in left.groupby("key"):
        rights = right[right["key"] == key].sort_values(SORTED)
        times = rights["time_ns"].to_numpy()
        firsts = np.searchsorted(times, lefts["time_ns"].to_numpy() + lower_ns, side="left")
        ends = np.searchsorted(times, lefts["time_ns"].to_numpy() + upper_ns, side="right")
        counts = ends - firsts
        places = np.arange(counts.sum()) + np.repeat(firsts - np.cumsum(counts) + counts, counts)
        alone = lefts["order"].to_numpy()[counts == 0]
        lefts_paired = np.repeat(lefts["order"].to_numpy(), counts)
        found.append(paired(lefts_paired, rights["order"].to_numpy()[places]))
        found.append(paired(alone, np.full(len(alone), -1)))
    return pd.concat(found).sort_values(["left", "right"]).reset_index(drop=True)


def paired(left: IntArray, right: IntArray) -> pd.DataFrame:
    """Return pairs in order."""
    found = pd.DataFrame({"left": left, "right": right})
    return found.sort_values(["left", "right"]).reset_index(drop=True)

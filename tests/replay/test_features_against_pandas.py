"""Features of whole recorded files equal a plain pandas computation, straight from the formulas."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from agents.build_features import FIELDS_OF_FLOATS, WINDOWS_BY_STREAM, build_features
from tests.binance_records import Recording, read_binance, recording_of

FILES = [
    *("cm_btcusd_perp_20240808", "cm_btcusd_perp_20240809"),
    *("spot_btcusdt_20240808", "spot_btcusdt_20240809"),
    *("spot_ethusdt_20240808", "spot_ethusdt_20240809"),
    *("usdm_btcusdt_20240808", "usdm_ethusdt_20240808"),
]
RELATIVE = 1e-9
SECOND_NS = 10**9
E8 = 10**8


@pytest.mark.parametrize("name", FILES)
def test_features_of_a_whole_file_equal_pandas(name: str, shared_data: Path) -> None:
    recording = read_binance(shared_data / "binance" / f"{name}.gz")

    found = built(recording, size=1_009)

    assert_equal(found, expected(recording))


def test_ties_in_time_equal_pandas(shared_data: Path) -> None:
    """Receive times cut down to whole seconds: windows begin and end in the middle of ties."""
    recording = read_binance(shared_data / "binance" / "spot_btcusdt_20240808.gz")
    tied = Recording(
        with_whole_seconds(recording.trades),
        with_whole_seconds(recording.quotes),
        recording.is_trade,
    )

    found = built(tied, size=8_192)

    assert_equal(found, expected(tied))


def test_a_large_return_leaves_nothing_behind() -> None:
    """One jump of 100 times the price, then one-tick moves: what remains is 1e-15 of what left."""
    recording = jumping_prices(count=5_000)

    found = built(recording, size=777)

    assert_equal(found, expected(recording))


def built(recording: Recording, size: int) -> pd.DataFrame:
    state = WINDOWS_BY_STREAM.open()
    outputs = [build_features(batch, state) for batch in recording.every(size)]
    assert not any(output.dead or output.counts for output in outputs)
    vectors = [output.records["feature.vector.v1"] for output in outputs if output.records]
    return pa.Table.from_batches(vectors).to_pandas()


def expected(recording: Recording) -> pd.DataFrame:
    """Return the features by the formulas of the design, one line each, in exact integers."""
    trades, quotes = recording.trades.to_pandas(), recording.quotes.to_pandas()
    quotes["quote_time_ns"] = quotes["receive_time_ns"]
    at_trade = pd.merge_asof(  # the last quote received before the trade
        trades,
        quotes.drop(
            columns=["instrument", "source", "source_sequence", "event_time_ns", "receive_time_ns"]
        ),
        on="sequence",
        direction="backward",
    )
    bid, ask = exact(at_trade["bid_price_ticks"]), exact(at_trade["ask_price_ticks"])
    bid_size, ask_size = exact(at_trade["bid_size_lots"]), exact(at_trade["ask_size_lots"])
    valid = at_trade["bid_price_ticks"] <= at_trade["ask_price_ticks"]  # NaN, no quote: False

    sizes = (bid_size + ask_size).where(bid_size + ask_size > 0)  # NaN: no sizes are quoted
    mid = ((bid + ask) / 2).where(valid)

    features = pd.DataFrame(index=trades.index)
    features["quote_valid"] = valid
    features["mid"] = mid / E8
    features["spread_bps"] = 10_000 * (ask - bid) / mid
    features["queue_imbalance"] = ((bid_size - ask_size) / sizes).where(valid)
    weighted = bid * ask_size + ask * bid_size
    features["microprice"] = (weighted / sizes / E8).where(valid)

    price, size = exact(trades["price_ticks"]), exact(trades["size_lots"])
    last_change = np.sign(trades["price_ticks"].diff()).replace(0, np.nan).ffill().fillna(0)
    above_mid = np.sign((2 * price - bid - ask).where(valid, 0).astype(float))
    sign = above_mid.where(above_mid != 0, last_change).astype(int).astype(object)
    aggressor = trades["aggressor"].map({"BUY": 1, "SELL": -1, "UNKNOWN": 0}).astype(object)
    features["aggressor_sign"] = aggressor
    times = trades["receive_time_ns"].to_numpy()
    here = np.arange(len(trades))
    log_returns = np.log1p(ratio_minus_one(price, price.shift(1, fill_value=price.iloc[0])))
    squares = (log_returns**2).astype(float).tolist()
    for seconds in (1, 10, 60):
        first = np.searchsorted(times, times - seconds * SECOND_NS, side="right")
        volume = between(size, first, here + 1)
        features[f"vwap_{seconds}s"] = between(price * size, first, here + 1) / volume / E8
        features[f"trade_count_{seconds}s"] = here + 1 - first
        features[f"signed_volume_{seconds}s"] = between(sign * size, first, here + 1) / E8
        taken = between(aggressor * size, first, here + 1)
        features[f"trade_imbalance_{seconds}s"] = taken / volume
        move = np.log1p(ratio_minus_one(price, price.iloc[first]))
        features[f"return_bps_{seconds}s"] = 10_000 * move
        features[f"realized_vol_{seconds}s"] = [
            math.sqrt(math.fsum(squares[begin + 1 : end + 1]))
            for begin, end in zip(first.tolist(), here.tolist(), strict=True)
        ]

    flow = exact(order_flow(quotes))
    seen = np.searchsorted(quotes["sequence"], trades["sequence"])
    quote_times = quotes["receive_time_ns"].to_numpy()
    for seconds in (1, 10):
        first = np.searchsorted(quote_times, times - seconds * SECOND_NS, side="right")
        features[f"ofi_{seconds}s"] = between(flow, np.minimum(first, seen), seen) / E8
    return features


def order_flow(quotes: pd.DataFrame) -> pd.Series:
    """Return [b>=b']q_b - [b<=b']q_b' - [a<=a']q_a + [a>=a']q_a'; 0 for the first quote."""
    bid, bid_size = quotes["bid_price_ticks"], quotes["bid_size_lots"]
    ask, ask_size = quotes["ask_price_ticks"], quotes["ask_size_lots"]
    increments = (
        (bid >= bid.shift()) * bid_size
        - (bid <= bid.shift()) * bid_size.shift(fill_value=0)
        - (ask <= ask.shift()) * ask_size
        + (ask >= ask.shift()) * ask_size.shift(fill_value=0)
    )
    increments.iloc[:1] = 0
    return increments


def exact(integers: pd.Series) -> pd.Series:
    """Return the integers as Python's, which never round nor overflow; missing ones as 0."""
    return pd.Series([int(value) for value in integers.fillna(0)], integers.index, dtype=object)


def between(values: pd.Series, first: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Return the exact sums of values[first:end], row by row."""
    total = np.concatenate([np.array([0], dtype=object), values.cumsum().to_numpy()])
    return total[end] - total[first]


def ratio_minus_one(price: pd.Series, before: pd.Series) -> np.ndarray:
    """Return price / before - 1, from the exact difference."""
    return ((price.to_numpy() - before.to_numpy()) / before.to_numpy()).astype(float)


def assert_equal(found: pd.DataFrame, wanted: pd.DataFrame) -> None:
    assert len(found) == len(wanted)
    assert (found["quote_valid"] == wanted["quote_valid"]).all()
    for name in FIELDS_OF_FLOATS:
        left, right = found[name].to_numpy(float), wanted[name].to_numpy(float)
        np.testing.assert_allclose(left, right, rtol=RELATIVE, atol=0, err_msg=name)


def with_whole_seconds(records: pa.RecordBatch) -> pa.RecordBatch:
    index = records.schema.get_field_index("receive_time_ns")
    seconds = records.column(index).to_numpy() // SECOND_NS * SECOND_NS
    return records.set_column(index, records.schema.field(index), pa.array(seconds))


def jumping_prices(count: int) -> Recording:
    generator = np.random.default_rng(7)
    prices = 6_000_000_000_000 + generator.integers(-1, 2, count).cumsum()
    prices[::1_000] *= 100
    times = generator.integers(0, 2 * SECOND_NS, count).cumsum() // 10
    return recording_of(
        [
            {
                "instrument": "sim:X",
                "sequence": index + 1,
                "receive_time_ns": int(time),
                "price_ticks": int(price),
                "size_lots": int(size),
            }
            for index, (time, price, size) in enumerate(
                zip(times, prices, generator.integers(1, 10**14, count), strict=True)
            )
        ]
    )

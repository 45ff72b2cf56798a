"""Candles of recorded trades equal a plain pandas computation, also where they come shuffled."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from agents.build_candles import LATENESS_NS, SECOND_NS, TABLE, build_candles
from feeds import open_feed
from headrace import Batch
from headrace.feed import FeedOptions
from headrace.offline import offline_tables
from headrace.project import Project
from schemas.topics import CANDLE_MINUTE, CANDLE_SECOND, TRADE
from tests.binance_records import part_of, read_binance
from tests.repository_files import ROOT
from topologies.candles import TOPOLOGY

FILES = ["cm_btcusd_perp_20240808", "spot_ethusdt_20240808"]
ORDER = ["end_time_ns", "instrument", "source"]


@pytest.mark.parametrize("name", FILES)
def test_candles_of_shuffled_trades_equal_pandas(name: str, shared_data: Path) -> None:
    trades = read_binance(shared_data / "binance" / f"{name}.gz").trades
    generator = np.random.default_rng(11)
    delays = generator.uniform(0, LATENESS_NS, trades.num_rows)
    shuffled = trades.take(np.argsort(trades.column("event_time_ns").to_numpy() + delays))
    state = TABLE.open()

    outputs = [
        build_candles(Batch.of(part_of(TRADE.name, shuffled.slice(first, 613))), state)
        for first in range(0, shuffled.num_rows, 613)
    ]

    assert not any(output.dead or output.counts.get("late") for output in outputs)
    assert not shuffled.equals(trades)
    found = pa.Table.from_batches([o.records[CANDLE_SECOND.name] for o in outputs]).to_pandas()
    latest = trades.column("event_time_ns").to_numpy().max()
    wanted = candles_of(trades.to_pandas(), SECOND_NS)
    wanted = wanted[wanted["end_time_ns"] <= latest - LATENESS_NS]
    pd.testing.assert_frame_equal(found, wanted[found.columns].reset_index(drop=True))


def test_the_graph_writes_the_candles_of_a_recorded_file(shared_data: Path) -> None:
    path = shared_data / "binance" / "cm_btcusd_perp_20240809.gz"
    topics = [TRADE.name, CANDLE_SECOND.name, CANDLE_MINUTE.name]

    feed = open_feed(f"capture:{path}", FeedOptions())
    found = offline_tables(Project(ROOT), TOPOLOGY, feed, topics)

    trades, seconds, minutes = (found[topic].to_pandas() for topic in topics)
    assert len(seconds) > 100
    wanted = candles_of(trades, SECOND_NS).head(len(seconds))
    pd.testing.assert_frame_equal(seconds, wanted[seconds.columns])
    # A minute is the trades of its seconds; its VWAP is made of theirs, each to a tick.
    wanted = candles_of(trades, 60 * SECOND_NS).head(len(minutes))
    assert len(minutes) > 2
    assert (minutes["vwap_ticks"] - wanted["vwap_ticks"]).abs().max() <= 1
    exact = minutes.columns.drop("vwap_ticks")
    pd.testing.assert_frame_equal(minutes[exact], wanted[exact])


def candles_of(trades: pd.DataFrame, interval_ns: int) -> pd.DataFrame:
    """Return the candles of trades by the definition, in the order they close."""
    trades = trades.sort_values(["event_time_ns", "sequence"]).copy()
    trades["start"] = trades["event_time_ns"] // interval_ns * interval_ns
    turnover = trades["price_ticks"].astype(object) * trades["size_lots"].astype(object)
    trades["turnover"] = turnover  # Python's integers: exact
    groups = trades.groupby(["start", "instrument", "source"], sort=True)
    prices, sizes, sequences = groups["price_ticks"], groups["size_lots"], groups["sequence"]
    volume = sizes.sum()
    candles = pd.DataFrame(
        {
            "open_ticks": prices.first(),
            "high_ticks": prices.max(),
            "low_ticks": prices.min(),
            "close_ticks": prices.last(),
            "vwap_ticks": [
                (2 * int(turnover) + int(lots)) // (2 * int(lots))
                for turnover, lots in zip(groups["turnover"].sum(), volume, strict=True)
            ],
            "volume_lots": volume,
            "trade_count": groups.size(),
            "first_sequence": sequences.first(),
            "last_sequence": sequences.last(),
        }
    ).reset_index()
    candles["event_time_ns"] = candles.pop("start")
    candles["end_time_ns"] = candles["event_time_ns"] + interval_ns
    return candles.sort_values(ORDER).reset_index(drop=True)

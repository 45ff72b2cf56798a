"""The basis of recorded quotes equals pandas' as-of join, its z-score plain Python's."""

import math
from collections import deque
from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from agents.arbitrage.basis_kernels import SAMPLE_NS, SAMPLES_MIN, WINDOW_NS
from agents.track_basis import LATENESS_NS, STALE_NS, BasisRule
from feeds import open_feed
from headrace.feed import FeedOptions
from headrace.offline import offline_tables
from headrace.project import Project
from schemas.topics import ASSET_QUOTE, BASIS, BASIS_SIGNAL
from tests.repository_files import ROOT
from topologies.arbitrage import TOPOLOGY

FILES = ("spot_btcusdt_20240808", "cm_btcusd_perp_20240808")
TOPICS = (ASSET_QUOTE.name, BASIS.name, BASIS_SIGNAL.name)
PAIR = ["future", "source", "sequence"]


@pytest.fixture(scope="module")
def written(shared_data: Path) -> tuple[pd.DataFrame, ...]:
    paths = ",".join(str(shared_data / "binance" / f"{name}.gz") for name in FILES)
    feed = open_feed(f"capture:{paths}", FeedOptions())
    found = offline_tables(Project(ROOT), TOPOLOGY, feed, TOPICS)
    return tuple(found[topic].to_pandas() for topic in TOPICS)


def test_each_future_is_held_against_the_spot_quote_pandas_finds(
    written: tuple[pd.DataFrame, ...],
) -> None:
    quotes, basis, _ = written
    quotes = quotes.sort_values(["receive_time_ns", "sequence"])
    quotes["mid"] = quotes["bid_price_e8"] + quotes["ask_price_e8"]
    futures, spots = quotes[quotes["leg"] == "FUTURE"], quotes[quotes["leg"] == "SPOT"].copy()
    spots["spot_time_ns"] = spots["receive_time_ns"]

    joined = pd.merge_asof(
        futures,
        spots[["asset", "receive_time_ns", "spot_time_ns", "mid"]],
        on="receive_time_ns",
        by="asset",
        tolerance=STALE_NS,
        suffixes=("", "_spot"),
    ).dropna(subset=["spot_time_ns"])

    known = joined["receive_time_ns"] < spots["receive_time_ns"].max() - LATENESS_NS
    joined = joined[known].sort_values(["receive_time_ns", "sequence"])
    assert len(basis) == len(joined) > 10_000
    assert basis["sequence"].tolist() == joined["sequence"].tolist()
    assert basis["spot_time_ns"].tolist() == joined["spot_time_ns"].astype(np.int64).tolist()
    exact = [
        round((Fraction(int(future), int(spot)) - 1) * 10**8)
        for future, spot in zip(joined["mid"], joined["mid_spot"], strict=True)
    ]
    assert (basis["basis_bps_e4"] - np.array(exact)).abs().max() <= 1  # halves round to even there


def test_scores_and_signals_are_those_of_a_plain_computation(
    written: tuple[pd.DataFrame, ...],
) -> None:
    _, basis, signals = written

    scores = scores_of(basis["receive_time_ns"].tolist(), basis["basis_bps_e4"].tolist())

    found = basis["z_score_e4"].astype(float).to_numpy()
    np.testing.assert_allclose(found, scores, atol=0.51, rtol=0)
    rule, held, wanted = BasisRule(), 0, []
    for row, score in enumerate(found):
        if not held and abs(score) >= rule.enter * 10**4:
            held = -1 if score > 0 else 1
            wanted.append((row, "SELL_FUTURE" if score > 0 else "BUY_FUTURE"))
        elif held and -held * score <= rule.leave * 10**4:
            held = 0
            wanted.append((row, "CLOSE"))
    assert len(wanted) > 10
    assert signals["action"].tolist() == [action for _, action in wanted]
    rows = basis.iloc[[row for row, _ in wanted]]
    assert signals[PAIR].to_numpy().tolist() == rows[PAIR].to_numpy().tolist()


def scores_of(times: list[int], values: list[int]) -> list[float]:
    """Return the z-scores times 10^4 against samples of the minute before, by the definition."""
    samples: deque[tuple[int, int]] = deque()
    latest, last, scores = 0, -WINDOW_NS, []
    for time, value in zip(times, values, strict=True):
        latest = max(latest, time)
        while samples and samples[0][0] <= latest - WINDOW_NS:
            samples.popleft()
        score = math.nan
        if len(samples) >= SAMPLES_MIN:
            held = np.array([sample for _, sample in samples], np.float64)
            score = 10**4 * (value - held.mean()) / held.std(ddof=1)
        scores.append(score)
        if time - last >= SAMPLE_NS:
            samples.append((time, value))
            last = time
    return scores

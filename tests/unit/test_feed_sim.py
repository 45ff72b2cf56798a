"""The simulated market: the same seed the same frames, and a market that looks like one."""

import itertools
import json

import numpy as np
import pytest

from feeds import open_feed
from headrace.errors import FeedError
from headrace.feed import FeedOptions

TEXT = "sim:3?seed=7&events=6000&start=1700000000000000000"


def rows(text: str, resume_after: dict[str, int] | None = None) -> list[tuple[str, int, int, str]]:
    feed = open_feed(text, FeedOptions())
    found = [
        row
        for block in feed.blocks(resume_after or {})
        for row in zip(
            block.sources,
            block.sequences.tolist(),
            block.receive_times_ns.tolist(),
            block.payloads,
            strict=True,
        )
    ]
    assert feed.tally.lines_read == feed.tally.frames + sum(feed.counts.values())
    return found


def test_the_same_seed_gives_the_same_frames_another_seed_others() -> None:
    first = rows(TEXT)

    assert rows(TEXT) == first
    assert rows(TEXT.replace("seed=7", "seed=8")) != first
    assert len({source for source, *_ in first}) == 3


def test_receive_times_rise_and_sequences_have_no_gaps() -> None:
    found = rows(TEXT)

    times = [row[2] for row in found]
    assert times == sorted(times)
    assert times[0] >= 1_700_000_000_000_000_000
    for source in {row[0] for row in found}:
        sequences = [row[1] for row in found if row[0] == source]
        assert sequences == list(range(1, len(sequences) + 1))


def test_a_resumed_market_goes_on_where_it_broke_off() -> None:
    whole = rows(TEXT)
    done = {row[0]: row[1] for row in whole[:1234]}

    assert rows(TEXT, done) == whole[1234:]


def test_the_book_is_never_crossed_and_quotes_are_its_top() -> None:
    best: dict[str, tuple[list[str], list[str]]] = {}
    kinds = set()
    for _, _, _, payload in rows(TEXT):
        frame = json.loads(payload)
        kinds.add(frame["type"])
        if frame["type"] == "quote":
            assert 0 < float(frame["bid"]) < float(frame["ask"])
            bid, ask = ([frame[side], frame[f"{side}_size"]] for side in ("bid", "ask"))
            assert best.get(frame["instrument"]) != (bid, ask)
            best[frame["instrument"]] = (bid, ask)
        elif frame["type"] == "book":
            assert (frame["bids"][0], frame["asks"][0]) == best[frame["instrument"]]
            bids, asks = ([float(price) for price, _ in frame[side]] for side in ("bids", "asks"))
            assert bids == sorted(bids, reverse=True)
            assert asks == sorted(asks)
            assert len(bids) <= 10
        else:
            assert float(frame["size"]) > 0
    assert kinds == {"trade", "quote", "book"}


def test_arrivals_cluster_and_imbalance_tells_of_the_next_move() -> None:
    frames = [json.loads(row[3]) for row in rows("sim:1?seed=11&events=30000&start=0")]
    quotes = np.array(
        [
            [float(frame[key]) for key in ("bid", "bid_size", "ask", "ask_size", "event_time_ns")]
            for frame in frames
            if frame["type"] == "quote"
        ]
    )
    middle = quotes[:, 0] + quotes[:, 2]
    imbalance = (quotes[:, 1] - quotes[:, 3]) / (quotes[:, 1] + quotes[:, 3])
    moves = np.flatnonzero(np.diff(middle))
    before_move = imbalance[moves]
    rises = np.diff(middle)[moves] > 0
    times_s = np.array([frame["event_time_ns"] for frame in frames]) // 10**9
    counts = np.bincount(times_s)[:-1]

    assert len(moves) > 500
    # chance that a rise had the higher imbalance: 0.5 if it told nothing
    pairs = itertools.product(before_move[rises][:300], before_move[~rises][:300])
    assert np.mean([up > down for up, down in pairs]) > 0.6
    # counts of a Poisson process have a variance equal to their mean
    assert counts.var() / counts.mean() > 2


def test_symbols_choose_instruments_and_endless_feeds_do_not_repeat() -> None:
    feed = open_feed("sim:3?events=100&start=0", FeedOptions(symbols=frozenset(["sim02"])))

    assert {source for block in feed.blocks({}) for source in block.sources} == {"sim-1-0-40:SIM02"}
    with pytest.raises(FeedError, match="SIM99"):
        open_feed("sim:3", FeedOptions(symbols=frozenset(["SIM99"])))
    with pytest.raises(FeedError, match="found an endless feed"):
        open_feed("sim", FeedOptions(repeat=2))


def test_a_market_without_a_start_goes_on_where_the_last_run_ended() -> None:
    first = open_feed("sim:1?events=50", FeedOptions(), now_ns=lambda: 10**18)
    sent = sum(len(block.payloads) for block in first.blocks({}))
    second = open_feed("sim:1?events=50", FeedOptions(), now_ns=lambda: 2 * 10**18)
    (source,) = {source for block in second.blocks({}) for source in block.sources}

    again = next(iter(second.blocks({source: sent})))

    assert second.identity == first.identity
    assert again.sequences[0] == sent + 1
    assert again.receive_times_ns[0] >= 2 * 10**18


@pytest.mark.parametrize(
    "text",
    ["sim:0", "sim:65", "sim:x", "sim?seed=-1", "sim?events=0", "sim?rate=0", "sim?colour=red",
     "sim?seed=1&seed=2", "sim?start=1.5"],
)  # fmt: skip
def test_a_market_that_cannot_be_says_so(text: str) -> None:
    with pytest.raises(FeedError, match="expected"):
        open_feed(text, FeedOptions())

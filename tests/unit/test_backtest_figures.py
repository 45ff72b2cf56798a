"""Figures of a backtest: bounded, exact where they say so, and the same however a stream is cut."""

from collections.abc import Iterator
from datetime import UTC, datetime
from xml.etree import ElementTree as ET

import numpy as np
import pyarrow as pa
import pytest

from headrace.backtest.figures import Curve, Digests, Distribution, numbers_in
from headrace.backtest.hits import Hits
from headrace.backtest.plots import bars, curve, falls
from headrace.backtest.window import WindowedFeed, parse_time
from headrace.byte_column import ByteColumn
from headrace.errors import UsageError
from headrace.feed import FeedTally, FrameBlock
from headrace.ledger import QUOTES

SECOND_NS = 1_000_000_000


def test_a_distribution_keeps_a_bounded_sample_and_exact_bounds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("headrace.limits.BACKTEST_SAMPLE", 8)
    values = np.arange(1_000.0)
    whole, cut = Distribution(), Distribution()

    whole.add(values)
    for part in np.split(values, [1, 10, 333, 334]):
        cut.add(part)

    assert whole.sample.tolist() == cut.sample.tolist()
    assert 8 < len(whole.sample) <= 16
    found = whole.as_json()
    assert (found["count"], found["min"], found["max"], found["mean"]) == (1_000, 0, 999, 499.5)
    assert abs(found["quantiles"]["0.5"] - 500) < 100
    assert sum(found["histogram"]["counts"]) == len(whole.sample)


def test_values_that_are_no_numbers_are_only_counted() -> None:
    found = Distribution()

    found.add(np.array([np.nan, 1.0, np.inf]))

    assert (found.count, found.not_finite, found.most) == (1, 2, 1.0)
    assert Distribution().as_json() == {"count": 0, "not_finite": 0}


def test_a_curve_knows_its_deepest_fall_though_it_keeps_few_points(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("headrace.limits.BACKTEST_CURVE_POINTS", 4)
    found = Curve()

    for time_ns, value in enumerate([0, 5, 3, 9, -2, 4, 4, 4, 4, 4, 7]):
        found.add(time_ns, float(value))

    assert (found.highest, found.drawdown) == (9.0, 11.0)
    assert len(found.points) <= 8
    assert found.all_points()[-1] == (10, 7.0)


def test_a_loss_from_the_start_is_a_fall_from_zero() -> None:
    found = Curve()

    found.add(1, -3.0)

    assert found.drawdown == 3.0
    assert falls([(1, -3.0), (2, 1.0), (3, 0.5)]) == [(1, -3.0), (2, 0.0), (3, -0.5)]


def test_a_digest_depends_on_bytes_and_partitions_not_on_cuts() -> None:
    def digest(*appended: tuple[int, list[bytes]]) -> str:
        found = Digests()
        for partition, values in appended:
            array = pa.array([b"x", *values], pa.binary())[1:]
            found.add("t", partition, ByteColumn(array))
        return found.by_topic()["t"]

    whole = digest((0, [b"a", b"bc"]), (1, [b"d"]))

    assert digest((0, [b"a"]), (1, [b"d"]), (0, [b"bc"])) == whole
    assert digest((0, [b"a", b"bd"]), (1, [b"d"])) != whole
    assert digest((1, [b"a", b"bc"]), (0, [b"d"])) != whole


def test_only_what_measures_something_has_a_distribution() -> None:
    records = pa.record_batch(
        {
            "price_ticks": [1, None],
            "spread_bps": [0.5, 1.5],
            "event_time_ns": [1, 2],
            "sequence": [1, 2],
            "side": ["BUY", "SELL"],
        }
    )

    assert {name: v.tolist() for name, v in numbers_in(records).items()} == {
        "price_ticks": [1.0],
        "spread_bps": [0.5, 1.5],
    }


def quotes(*rows: tuple[str, float, float]) -> pa.RecordBatch:
    """Return entries of (stream, time in s, mid)."""
    columns = {
        "stream": [row[0] for row in rows],
        "time_ns": [int(row[1] * SECOND_NS) for row in rows],
        "mid": [row[2] for row in rows],
    }
    return pa.RecordBatch.from_pydict(columns, schema=QUOTES)


def test_a_fill_is_a_hit_if_mid_moved_its_way_within_the_horizon() -> None:
    found = Hits(SECOND_NS)
    found.add_quotes(quotes(("a", 1, 10), ("b", 1, 50), ("a", 1.5, 11), ("b", 9, 50)))
    found.add_quotes(quotes(("a", 5, 8), ("a", 9, 8)))

    found.add_fill("a", int(1.2 * SECOND_NS), 1)  # 10, then 11: a hit
    found.add_fill("a", int(1.2 * SECOND_NS), -1)  # a miss
    found.add_fill("a", int(4.5 * SECOND_NS), -1)  # 11, then 8: a hit
    found.add_fill("b", 2 * SECOND_NS, 1)  # unmoved
    found.add_fill("a", int(8.5 * SECOND_NS), 1)  # ends behind the last quote
    found.add_fill("c", 2 * SECOND_NS, 1)  # no quotes at all
    found.judge(None)

    assert (found.hits, found.misses, found.unmoved, found.unknown) == (2, 1, 1, 2)
    assert found.rate() == 2 / 3


def test_fills_are_judged_once_their_horizon_is_settled_and_old_quotes_forgotten() -> None:
    found = Hits(SECOND_NS)
    for second in range(200):
        found.add_quotes(quotes(("a", second, float(second))))
        if second == 100:
            found.add_fill("a", 99 * SECOND_NS, 1)
        found.judge(second * SECOND_NS)

    assert (found.hits, found.unknown) == (1, 0)
    assert found._streams["a"].quotes < 70
    assert Hits(SECOND_NS).rate() is None


def test_plots_are_well_formed_and_say_their_title() -> None:
    drawn = [
        curve("PnL <USDT>", [(0, 1.0), (SECOND_NS, -2.0)]),
        curve("one point", [(0, 1.0)]),
        curve("centuries ahead", [(0, 0.0), (2**62, 1.0)]),
        bars("p & q", [0.0, 0.5, 1.0], [3, 0]),
    ]

    titles = [ET.fromstring(each).findtext("{*}title") for each in drawn]  # noqa: S314  (our own)
    assert titles == ["PnL <USDT>", "one point", "centuries ahead", "p & q"]
    assert curve("nothing", []) == ""


class FiveFrames:
    """A frame a second, in blocks of two."""

    identity = "five"

    def __init__(self) -> None:
        self.tally = FeedTally()
        self.counts = self.tally.dropped
        self.read = 0

    def blocks(self, resume_after: dict[str, int]) -> Iterator[FrameBlock]:
        assert not resume_after
        for first in (1, 3, 5):
            numbers = np.arange(first, min(first + 2, 6))
            self.read += len(numbers)
            zeros = np.zeros(len(numbers), np.int64)
            texts = [str(n) for n in numbers]
            names = ["s"] * len(numbers)
            yield FrameBlock(names, names, numbers, numbers * SECOND_NS, zeros, zeros, texts)


def test_a_window_has_the_frames_received_in_it() -> None:
    feed = FiveFrames()

    found = list(WindowedFeed(feed, 2 * SECOND_NS, 5 * SECOND_NS).blocks({}))

    assert [text for block in found for text in block.payloads] == ["2", "3", "4"]
    assert [n for block in found for n in block.sequences] == [2, 3, 4]
    every = WindowedFeed(FiveFrames(), None, None).blocks({})
    assert sum(len(block.payloads) for block in every) == 5


def test_a_time_is_iso_8601_in_utc_or_nanoseconds() -> None:
    expected = int(datetime(2024, 8, 8, 21, 35, tzinfo=UTC).timestamp()) * SECOND_NS

    assert parse_time("2024-08-08T21:35:00", "--from") == expected
    assert parse_time("2024-08-08T23:35:00+02:00", "--from") == expected
    assert parse_time(str(expected), "--from") == expected
    with pytest.raises(UsageError, match=r"--to 'noon': expected a time as 2024"):
        parse_time("noon", "--to")

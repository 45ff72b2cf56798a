"""Tables of ticks: mappings, exact decimals, bad rows counted."""

import gzip
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pa_parquet
import pytest
import zstandard

from feeds import open_feed
from headrace.errors import FeedError
from headrace.feed import Feed, FeedOptions

HEADER = "ts_utc_us,symbol,bid,ask\n"
GOOD = "1398920401787000,EURUSD,1.38720,1.38729\n"


def frames_of(feed: Feed) -> list[dict[str, Any]]:
    frames = [json.loads(payload) for block in feed.blocks({}) for payload in block.payloads]
    assert feed.tally.lines_read == feed.tally.frames + sum(feed.counts.values())
    return frames


def test_quotes_keep_their_decimals_and_take_constant_sizes(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text(HEADER + GOOD)

    feed = open_feed(f"table:{tmp_path}", FeedOptions())

    assert frames_of(feed) == [
        {
            "type": "quote",
            "instrument": "table:EURUSD",
            "bid": "1.38720",
            "bid_size": "1",
            "ask": "1.38729",
            "ask_size": "1",
            "update_id": None,
            "event_time_ns": 1398920401787000000,
        }
    ]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("1398920401787000,EURUSD,,1.3", "row_empty_value"),
        ("1398920401787000,,1.2,1.3", "row_empty_value"),
        (",EURUSD,1.2,1.3", "row_empty_value"),
        ("1398920401787000,EURUSD,NaN,1.3", "row_not_a_number"),
        ("1398920401787000,EURUSD,1.2,-inf", "row_not_a_number"),
        ("1398920401787000,EURUSD,1.2", "row_fields_mismatch"),
        ("1398920401787000,EURUSD,1.2,1.3,1.4", "row_fields_mismatch"),
        ("yesterday,EURUSD,1.2,1.3", "row_malformed"),
        ("9998920401787000000,EURUSD,1.2,1.3", "row_malformed"),
        ("1398920401787000,EURUSD,-1.2,1.3", "row_malformed"),
        ("1398920401787000,EURUSD,1.2e5,1.3", "row_malformed"),
        ("1398920401787000,EUR USD,1.2,1.3", "row_malformed"),
        ("1398920401787000,\xff\xfe,1.2,1.3", "row_malformed"),
    ],
)
def test_a_bad_row_is_dropped_by_reason(tmp_path: Path, row: str, reason: str) -> None:
    (tmp_path / "x.csv").write_bytes(f"{HEADER}{GOOD}{row}\n{GOOD}".encode("latin-1"))

    feed = open_feed(f"table:{tmp_path}", FeedOptions())

    assert len(frames_of(feed)) == 2
    assert feed.counts == {reason: 1}


def test_a_mapping_turns_any_columns_into_trades(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text(
        "when;no,px,vol,taker\n".replace(";", "_") + "5,100.50,3,B\n6,1,2,?\n"
    )
    mapping = tmp_path / "map.toml"
    mapping.write_text(
        'market = "table"\nts_unit = "ms"\n[constants]\nsymbol = "ABC"\n'
        '[columns]\nts = "when_no"\nprice = "px"\nsize = "vol"\nside = "taker"\n'
    )

    feed = open_feed(f"table:{tmp_path}?map={mapping}", FeedOptions())

    assert frames_of(feed) == [
        {"type": "trade", "instrument": "table:ABC", "price": "100.50", "size": "3",
         "side": "buy", "trade_id": None, "event_time_ns": 5_000_000},
        {"type": "trade", "instrument": "table:ABC", "price": "1", "size": "2",
         "side": None, "trade_id": None, "event_time_ns": 6_000_000},
    ]  # fmt: skip


def test_parquet_keeps_decimals_too(tmp_path: Path) -> None:
    table = pa.table(
        {
            "ts_ns": pa.array([7], pa.int64()),
            "symbol": ["X"],
            "bid": pa.array([Decimal("1.2300")], pa.decimal128(10, 4)),
            "ask": ["1.2301"],
            "bid_size": ["2"],
            "ask_size": ["3"],
        }
    )
    pa_parquet.write_table(table, tmp_path / "x.parquet")

    (frame,) = frames_of(open_feed(f"table:{tmp_path}", FeedOptions()))

    assert (frame["bid"], frame["bid_size"], frame["ask_size"]) == ("1.2300", "2", "3")


def test_compressed_tables_are_told_by_their_bytes(tmp_path: Path) -> None:
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress((HEADER + GOOD).encode()))
    (tmp_path / "b.csv.zst").write_bytes(zstandard.compress((HEADER + GOOD).encode()))
    (tmp_path / "c.csv.zst").write_text(HEADER + GOOD)

    assert len(frames_of(open_feed(f"table:{tmp_path}", FeedOptions()))) == 3


def test_a_truncated_table_gives_what_came_before(tmp_path: Path) -> None:
    rows = "".join(f"{1398920401787000 + i * i},EURUSD,1.{i:05d},1.9\n" for i in range(50_000))
    packed = gzip.compress((HEADER + rows).encode())
    (tmp_path / "x.csv.gz").write_bytes(packed[: len(packed) // 2])

    feed = open_feed(f"table:{tmp_path}", FeedOptions())

    assert 1_000 < len(frames_of(feed)) < 50_000
    assert feed.tally.notes == {"file_cut": 1}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a,b,c\n1,2,3\n", "expected the columns ts_utc_us"),
        ("", "expected a CSV or Parquet table"),
    ],
)
def test_a_table_that_does_not_fit_says_so(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "x.csv").write_text(content)

    with pytest.raises(FeedError, match=message):
        open_feed(f"table:{tmp_path}", FeedOptions())


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ("[columns", "expected TOML"),
        ('colums = "x"', "found colums"),
        ('[columns]\nts = "t"\nbid = "b"', r"expected all of .* found no \['symbol', 'ask'\]"),
        ('ts_unit = "h"\n[columns]\nts="t"\nsymbol="s"\nprice="p"', "expected ts_unit of"),
        ('[columns]\nts="t"\nsymbol="s"\nprice="p"', "expected the column p, s, t of the mapping"),
    ],
)
def test_a_mapping_that_does_not_fit_says_so(tmp_path: Path, mapping: str, message: str) -> None:
    (tmp_path / "x.csv").write_text(HEADER + GOOD)
    (tmp_path / "map.toml").write_text(mapping)

    with pytest.raises(FeedError, match=message):
        open_feed(f"table:{tmp_path}?map={tmp_path / 'map.toml'}", FeedOptions())


def test_an_unknown_option_says_so(tmp_path: Path) -> None:
    with pytest.raises(FeedError, match="option 'mapp': expected each of map"):
        open_feed(f"table:{tmp_path}?mapp=x", FeedOptions())

"""Bybit's dialect: update ids that rise by one, restarts, markets told by the source."""

import json
from typing import Any

import pytest

from tests.replay.frame_batches import frame_counts, ingest, numbered, rows_of

S = 10**8


def book(kind: str, update_id: int, depth: int = 50, **sides: Any) -> str:
    data = {"s": "BTCUSDT", "b": [["10", "1"]], "a": [["11", "2"]], "u": update_id, "seq": 9}
    return json.dumps({"topic": f"orderbook.{depth}.BTCUSDT", "type": kind,
                       "ts": 1_672_304_484_978, "cts": 1_672_304_484_976,
                       "data": data | sides})  # fmt: skip


def trades(*ids: str, **fields: Any) -> str:
    rows = [
        {"T": 1_672_304_486_865, "s": "BTCUSDT", "S": "Buy", "v": "0.001", "p": "16578.50",
         "L": "PlusTick", "i": trade_id, "BT": False} | fields
        for trade_id in ids
    ]  # fmt: skip
    return json.dumps({"topic": "publicTrade.BTCUSDT", "type": "snapshot", "ts": 1, "data": rows})


def test_ids_rise_by_one_or_the_book_is_gapped_until_its_snapshot() -> None:
    payloads = [
        book("delta", 4), book("snapshot", 5), book("delta", 6, b=[["10", "0"], ["9", "4"]]),
        book("delta", 6), book("delta", 8), book("delta", 9), book("snapshot", 10),
        book("delta", 1),
    ]  # fmt: skip

    output = ingest(numbered(payloads, venue="bybit"))

    rows = rows_of(output, "book")
    assert [row["integrity"] for row in rows] == [
        "AWAITING_SNAPSHOT", "VALID", "VALID", "GAPPED", "GAPPED", "VALID", "VALID",
    ]  # fmt: skip
    assert rows[2]["bid_price_ticks"] == [9 * S]
    assert rows[2]["event_time_ns"] == 1_672_304_484_976_000_000
    assert frame_counts(output) == {"frame_depth": 4, "frame_snapshot": 3, "frame_depth_stale": 1}


def test_second_depth_of_the_same_book_is_ignored() -> None:
    output = ingest(numbered([book("snapshot", 5), book("snapshot", 1, 1)], venue="bybit"))

    assert frame_counts(output) == {"frame_snapshot": 1, "frame_ignored_type": 1}


@pytest.mark.parametrize(
    ("source", "instrument"),
    [
        ("capture/bybit", "bybit-spot:BTCUSDT"),
        ("wss://stream.bybit.com/v5/public/linear", "bybit-linear:BTCUSDT"),
        ("wss://stream.bybit.com/v5/public/inverse", "bybit-inverse:BTCUSDT"),
    ],
)
def test_source_tells_the_market(source: str, instrument: str) -> None:
    frames = numbered([trades("20f43950-d8dd", "7")], venue="bybit", source=source)

    rows = rows_of(ingest(frames), "trade")

    assert [row["instrument"] for row in rows] == [instrument, instrument]
    assert [row["trade_id"] for row in rows] == [None, 7]


@pytest.mark.parametrize(
    ("payload", "outcome"),
    [
        ('{"success":true,"ret_msg":"","op":"subscribe","conn_id":"x"}', "frame_control"),
        ('{"op":"pong","args":["1"]}', "frame_control"),
        ('{"topic":"tickers.BTCUSDT","type":"delta","data":{}}', "frame_ignored_type"),
        ('{"topic":"strange.BTCUSDT","data":{}}', "frame_dead_unknown_frame"),
        ("{}", "frame_dead_unknown_frame"),
        ('{"topic":"orderbook.50.X","type":"delta"}', "frame_dead_malformed"),
        ('{"topic":"orderbook.50.X","type":"delta","data":{"s":"X","u":"7"}}',
         "frame_dead_malformed"),
        (trades("1", p="1e"), "frame_dead_bad_decimal"),
        (trades("1", v="0"), "frame_trade_zero_size"),
    ],
)  # fmt: skip
def test_odd_frames_have_one_outcome(payload: str, outcome: str) -> None:
    assert frame_counts(ingest(numbered([payload], venue="bybit"))) == {outcome: 1}

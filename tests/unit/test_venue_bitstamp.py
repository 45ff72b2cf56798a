"""Bitstamp's dialect: microtimestamps order all, snapshots come by REST or as whole books."""

import json
from typing import Any

import pytest

from tests.replay.frame_batches import frame_counts, ingest, numbered, rows_of

S = 10**8
START = 1_641_343_691_000_000


def book(micros: int, channel: str = "diff_order_book", **sides: Any) -> str:
    data = {"microtimestamp": str(START + micros), "timestamp": "1641343691",
            "bids": [["10", "1"]], "asks": [["11", "2"]]}  # fmt: skip
    return json.dumps({"data": data | sides, "channel": f"{channel}_ethusd", "event": "data"})


def rest(micros: int) -> str:
    return json.dumps(json.loads(book(micros))["data"])


def test_changes_await_a_snapshot_and_older_ones_are_left_out() -> None:
    payloads = [
        book(1, bids=[["9", "1"]]), book(3, bids=[["8", "1"]]), rest(2), book(2), book(4),
    ]  # fmt: skip

    output = ingest(numbered(payloads, venue="bitstamp"))

    rows = rows_of(output, "book")
    assert [row["integrity"] for row in rows] == [
        "AWAITING_SNAPSHOT", "AWAITING_SNAPSHOT", "VALID", "VALID",
    ]  # fmt: skip
    assert rows[2]["bid_price_ticks"] == [10 * S, 8 * S]
    assert frame_counts(output)["frame_depth_stale"] == 1
    assert rows[3]["update_id"] == START + 4
    assert rows[3]["event_time_ns"] == (START + 4) * 1_000


def test_whole_books_are_snapshots_and_give_quotes() -> None:
    output = ingest(numbered([book(1, "order_book"), book(2, "order_book")], venue="bitstamp"))

    assert frame_counts(output) == {"frame_snapshot": 2}
    assert rows_of(output, "quote")[0]["bid_size_lots"] == 1 * S


def test_broken_frame_that_names_nobody_gaps_every_book() -> None:
    payloads = [book(1, "order_book"), book(2)[:40], book(3)]

    output = ingest(numbered(payloads, venue="bitstamp"))

    assert [row["integrity"] for row in rows_of(output, "book")] == ["VALID", "GAPPED"]


def test_text_that_never_was_a_frame_gaps_none() -> None:
    payloads = [book(1, "order_book"), "<html>502</html>", book(3)]

    output = ingest(numbered(payloads, venue="bitstamp"))

    assert [row["integrity"] for row in rows_of(output, "book")] == ["VALID", "VALID"]


def test_trades_are_read_from_their_text() -> None:
    data = {"id": 216000477, "amount": 0.0792, "amount_str": "0.07920000", "price": 3805.44,
            "price_str": "3805.44", "type": 1, "microtimestamp": str(START)}  # fmt: skip
    payload = json.dumps({"data": data, "channel": "live_trades_ethusd", "event": "trade"})

    (row,) = rows_of(ingest(numbered([payload], venue="bitstamp")), "trade")

    assert row["instrument"] == "bitstamp:ethusd"
    assert (row["price_ticks"], row["size_lots"]) == (380_544_000_000, 7_920_000)
    assert (row["aggressor"], row["trade_id"]) == ("SELL", 216000477)


@pytest.mark.parametrize(
    ("payload", "outcome"),
    [
        ('{"event":"bts:subscription_succeeded","channel":"live_trades_x","data":{}}',
         "frame_control"),
        ('{"event":"bts:request_reconnect","channel":"","data":""}', "frame_control"),
        ('{"event":"order_created","channel":"live_orders_x","data":{}}', "frame_ignored_type"),
        ('{"event":"data","channel":"strange_x","data":{}}', "frame_dead_unknown_frame"),
        ("{}", "frame_dead_unknown_frame"),
        ('{"event":"data","channel":"order_book_x","data":{}}', "frame_dead_malformed"),
        ('{"event":"data","channel":"order_book_x","data":[]}', "frame_dead_malformed"),
        (book(1, bids=[["-1", "1"]]), "frame_dead_malformed"),
        (rest(1), "frame_dead_snapshot_without_instrument"),
    ],
)  # fmt: skip
def test_odd_frames_have_one_outcome(payload: str, outcome: str) -> None:
    assert frame_counts(ingest(numbered([payload], venue="bitstamp"))) == {outcome: 1}

"""Coinbase's dialects: Exchange and Advanced Trade."""

import json
from typing import Any

import pytest

from tests.replay.frame_batches import frame_counts, ingest, numbered, rows_of

S = 10**8
TIME = "2021-04-17T16:43:37.075687Z"
TIME_NS = 1_618_677_817_075_687_000


def snapshot(product: str = "BTC-USD") -> str:
    return json.dumps({"type": "snapshot", "product_id": product,
                       "bids": [["10", "1"], ["9", "2"]], "asks": [["11", "3"]]})  # fmt: skip


def update(*changes: list[str], product: str = "BTC-USD") -> str:
    return json.dumps({"type": "l2update", "product_id": product, "changes": changes, "time": TIME})


def match(trade_id: int, kind: str = "match", **fields: Any) -> str:
    message = {"type": kind, "trade_id": trade_id, "side": "sell", "size": "0.5", "price": "10",
               "product_id": "BTC-USD", "sequence": 1, "time": TIME}  # fmt: skip
    return json.dumps(message | fields)


def advanced(sequence: int, channel: str, events: list[dict[str, Any]]) -> str:
    message = {"channel": channel, "client_id": "", "sequence_num": sequence, "events": events}
    return json.dumps(message | {"timestamp": "2023-02-09T20:32:50.714964855Z"})


def levels(kind: str, *changes: tuple[str, str, str]) -> dict[str, Any]:
    updates = [
        {"side": side, "event_time": TIME, "price_level": price, "new_quantity": size}
        for side, price, size in changes
    ]
    return {"type": kind, "product_id": "BTC-USD", "updates": updates}


BOOK = levels("snapshot", ("bid", "10", "1"), ("offer", "11", "2"))


def test_changes_after_a_snapshot_keep_the_book_and_give_quotes_when_the_top_moves() -> None:
    payloads = [snapshot(), update(["buy", "9", "5"]), update(["sell", "10.5", "0.25"])]

    output = ingest(numbered(payloads, venue="coinbase"))

    assert [row["bid_size_lots"] for row in rows_of(output, "book")][1] == [1 * S, 5 * S]
    assert [(row["ask_price_ticks"], row["sequence"]) for row in rows_of(output, "quote")] == [
        (11 * S, 1), (1_050_000_000, 2),
    ]  # fmt: skip
    assert rows_of(output, "quote")[1]["event_time_ns"] == TIME_NS
    assert rows_of(output, "book")[0]["update_id"] is None


def test_change_before_any_snapshot_awaits_it() -> None:
    output = ingest(numbered([update(["buy", "9", "5"])], venue="coinbase"))

    assert rows_of(output, "book")[0]["integrity"] == "AWAITING_SNAPSHOT"
    assert not rows_of(output, "quote")


def test_match_gives_the_taker_not_the_maker() -> None:
    (row,) = rows_of(ingest(numbered([match(5)], venue="coinbase")), "trade")

    assert (row["aggressor"], row["trade_id"], row["event_time_ns"]) == ("BUY", 5, TIME_NS)


def test_last_match_is_news_only_if_it_was_not_seen() -> None:
    payloads = [match(5, "last_match"), match(6), match(6, "last_match"), match(8, "last_match")]

    output = ingest(numbered(payloads, venue="coinbase"))

    assert frame_counts(output) == {"frame_trade": 3, "frame_trade_repeated": 1}
    assert [row["trade_id"] for row in rows_of(output, "trade")] == [5, 6, 8]


def test_advanced_book_is_kept_while_the_connection_counts_on() -> None:
    payloads = [
        advanced(0, "subscriptions", []),
        advanced(1, "l2_data", [BOOK]),
        advanced(2, "heartbeats", [{"current_time": "now", "heartbeat_counter": 1}]),
        advanced(3, "l2_data", [levels("update", ("bid", "10", "7"))]),
    ]

    output = ingest(numbered(payloads, venue="coinbase"))

    assert frame_counts(output) == {"frame_control": 2, "frame_snapshot": 1, "frame_depth": 1}
    assert rows_of(output, "book")[1]["bid_size_lots"] == [7 * S]
    assert rows_of(output, "book")[1]["event_time_ns"] == 1_675_974_770_714_964_855


def test_frame_lost_on_any_channel_gaps_every_book_until_its_snapshot() -> None:
    payloads = [
        advanced(0, "l2_data", [BOOK]),
        advanced(2, "ticker", []),
        advanced(3, "l2_data", [levels("update", ("bid", "10", "7"))]),
        advanced(4, "l2_data", [BOOK]),
    ]

    output = ingest(numbered(payloads, venue="coinbase"))

    assert [row["integrity"] for row in rows_of(output, "book")] == ["VALID", "GAPPED", "VALID"]


def test_advanced_trades_come_oldest_first_and_history_once() -> None:
    def trades(kind: str, *ids: int) -> dict[str, Any]:
        rows = [
            {"trade_id": str(trade_id), "product_id": "BTC-USD", "price": "10", "size": "1",
             "side": "SELL", "time": TIME}
            for trade_id in ids
        ]  # fmt: skip
        return {"type": kind, "trades": rows}

    payloads = [
        advanced(0, "market_trades", [trades("snapshot", 3, 2, 1)]),
        advanced(1, "market_trades", [trades("update", 5, 4)]),
        advanced(2, "market_trades", [trades("snapshot", 5, 4, 3)]),
    ]

    output = ingest(numbered(payloads, venue="coinbase"))

    assert [row["trade_id"] for row in rows_of(output, "trade")] == [1, 2, 3, 4, 5]
    assert frame_counts(output) == {"frame_trade": 2, "frame_trade_repeated": 1}


def test_broken_frame_gaps_the_book_it_names() -> None:
    payloads = [
        snapshot(), snapshot("ETH-USD"), update(["buy", "9", "5"])[:60],
        update(["buy", "9", "5"]), update(["buy", "9", "5"], product="ETH-USD"),
    ]  # fmt: skip

    output = ingest(numbered(payloads, venue="coinbase"))

    assert [row["integrity"] for row in rows_of(output, "book")] == [
        "VALID", "VALID", "GAPPED", "VALID",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("payload", "outcome"),
    [
        ('{"type":"subscriptions","channels":[]}', "frame_control"),
        ('{"type":"heartbeat","sequence":1,"product_id":"X"}', "frame_control"),
        ('{"type":"error","message":"no"}', "frame_control"),
        ('{"type":"ticker","product_id":"BTC-USD","price":"1"}', "frame_ignored_type"),
        ('{"type":"strange"}', "frame_dead_unknown_frame"),
        ('{"type":"l2update","product_id":"BTC-USD"}', "frame_dead_malformed"),
        (update(["hold", "9", "5"]), "frame_dead_malformed"),
        (update(["buy", "9"]), "frame_dead_malformed"),
        (match(5, time="yesterday"), "frame_dead_malformed"),
        (match(5, product_id=""), "frame_dead_malformed"),
        (update(["buy", "9.123456789", "5"]), "frame_dead_bad_decimal"),
        (update(["buy", "0", "5"]), "frame_dead_malformed"),
        ('{"type":"snapshot","product_id":"BTC-USD","bids":[["1"]],"asks":[]}',
         "frame_dead_malformed"),
    ],
)  # fmt: skip
def test_odd_frames_have_one_outcome(payload: str, outcome: str) -> None:
    assert frame_counts(ingest(numbered([payload], venue="coinbase"))) == {outcome: 1}

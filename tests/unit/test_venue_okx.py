"""OKX's dialect: ids that chain, checksums over the text, channels that repeat each other."""

import json
from typing import Any
from zlib import crc32

import pytest

from tests.replay.frame_batches import frame_counts, ingest, numbered, rows_of

S = 10**8


def book(action: str | None, channel: str = "books", **fields: Any) -> str:
    data = {"asks": [["11", "3", "0", "1"]], "bids": [["10", "1", "0", "1"]],
            "ts": "1652459225393"}  # fmt: skip
    message = {"arg": {"channel": channel, "instId": "BTC-USDT"}, "data": [data | fields]}
    return json.dumps(message | ({"action": action} if action else {}))


def integrities(payloads: list[str]) -> list[str]:
    output = ingest(numbered(payloads, venue="okx"))
    return [row["integrity"] for row in rows_of(output, "book")]


def test_changes_name_the_id_they_follow() -> None:
    payloads = [
        book("snapshot", seqId=100, prevSeqId=-1),
        book("update", seqId=115, prevSeqId=100),
        book("update", seqId=115, prevSeqId=115),
        book("update", seqId=3, prevSeqId=115),
        book("update", seqId=9, prevSeqId=4),
        book("snapshot", seqId=20, prevSeqId=-1),
    ]

    assert integrities(payloads) == ["VALID", "VALID", "VALID", "VALID", "GAPPED", "VALID"]


def test_change_seen_before_is_stale() -> None:
    payloads = [
        book("snapshot", seqId=100, prevSeqId=-1),
        book("update", seqId=115, prevSeqId=100),
        book("update", seqId=115, prevSeqId=100),
    ]

    output = ingest(numbered(payloads, venue="okx"))

    assert frame_counts(output) == {"frame_snapshot": 1, "frame_depth": 1, "frame_depth_stale": 1}


def test_checksum_is_over_the_text_as_written_and_0_is_none() -> None:
    bids, asks = [["10.50", "1", "0", "1"], ["0.9", "2", "0", "1"]], [["11", "0.30", "0", "1"]]
    signed = crc32(b"10.50:1:11:0.30:0.9:2")
    signed -= (signed >> 31) << 32

    payloads = [
        book("snapshot", bids=bids, asks=asks, checksum=signed),
        book("update", bids=[], asks=[], checksum=0),
        book("update", bids=[], asks=[], checksum=signed + 1),
    ]

    assert integrities(payloads) == ["VALID", "VALID", "CHECKSUM_FAILED"]


def test_second_channel_of_the_same_book_is_ignored() -> None:
    payloads = [book("snapshot"), book(None, "books5"), book("update", "books-l2-tbt")]

    output = ingest(numbered(payloads, venue="okx"))

    assert frame_counts(output) == {"frame_snapshot": 1, "frame_ignored_type": 2}


def test_small_books_are_whole_and_best_quotes_are_quotes() -> None:
    small = ingest(numbered([book(None, "books5", seqId=1)], venue="okx"))
    best = ingest(numbered([book(None, "bbo-tbt", seqId=1)], venue="okx"))

    assert frame_counts(small) == {"frame_snapshot": 1}
    assert frame_counts(best) == {"frame_quote": 1}
    assert rows_of(best, "quote")[0]["ask_size_lots"] == 3 * S


@pytest.mark.parametrize(
    ("name", "instrument", "kind"),
    [
        ("BTC-USDT", "okx:BTC-USDT", "SPOT"),
        ("BTC-USDT-SWAP", "okx-linear:BTC-USDT-SWAP", "LINEAR"),
        ("BTC-USD-220527", "okx-inverse:BTC-USD-220527", "INVERSE"),
    ],
)
def test_trades_name_their_market(name: str, instrument: str, kind: str) -> None:
    trade = {"instId": name, "tradeId": "7849", "px": "30218.8", "sz": "1", "side": "buy",
             "ts": "1652459199958"}  # fmt: skip
    message = {"arg": {"channel": "trades", "instId": name}, "data": [trade, trade | {"sz": "0"}]}

    output = ingest(numbered([json.dumps(message)], venue="okx"))

    (row,) = rows_of(output, "trade")
    assert (row["instrument"], row["aggressor"], row["trade_id"]) == (instrument, "BUY", 7849)
    assert rows_of(output, "instrument")[0]["kind"] == kind
    assert output.counts["trade_zero_size"] == 1


@pytest.mark.parametrize(
    ("payload", "outcome"),
    [
        ("pong", "frame_control"),
        ('{"event":"subscribe","arg":{"channel":"books","instId":"X"}}', "frame_control"),
        ('{"arg":{"channel":"tickers","instId":"X"},"data":[{}]}', "frame_ignored_type"),
        ("{}", "frame_dead_unknown_frame"),
        ("ping pong", "frame_dead_not_json"),
        ('{"arg":{"channel":"books"},"data":[]}', "frame_dead_malformed"),
        ('{"arg":{"channel":"bbo-tbt","instId":"A-B"},"data":[{"asks":[],"bids":[]}]}',
         "frame_dead_malformed"),
        ('{"arg":{"channel":"trades","instId":"A-B-C-D-P"},"data":[]}',
         "frame_dead_unknown_instrument"),
        (book("snapshot", ts="soon"), "frame_dead_malformed"),
        (book("snapshot", bids=[["1", None]]), "frame_dead_bad_decimal"),
        (book("snapshot", bids=None), "frame_dead_malformed"),
    ],
)  # fmt: skip
def test_odd_frames_have_one_outcome(payload: str, outcome: str) -> None:
    assert frame_counts(ingest(numbered([payload], venue="okx"))) == {outcome: 1}

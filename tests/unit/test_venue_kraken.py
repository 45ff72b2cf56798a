"""Kraken's dialects: version 1 arrays and version 2 objects, checksums over the written text."""

import json
from typing import Any
from zlib import crc32

import pytest

from tests.replay.frame_batches import frame_counts, ingest, numbered, rows_of

ASKS = [["0.05005", "0.00000500"], ["0.05010", "0.00000500"], ["0.05015", "0.00000500"],
        ["0.05020", "0.00000500"], ["0.05025", "0.00000500"], ["0.05030", "0.00000500"],
        ["0.05035", "0.00000500"], ["0.05040", "0.00000500"], ["0.05045", "0.00000500"],
        ["0.05050", "0.00000500"]]  # fmt: skip
BIDS = [["0.05000", "0.00000500"], ["0.04995", "0.00000500"], ["0.04990", "0.00000500"],
        ["0.04980", "0.00000500"], ["0.04975", "0.00000500"], ["0.04970", "0.00000500"],
        ["0.04965", "0.00000500"], ["0.04960", "0.00000500"], ["0.04955", "0.00000500"],
        ["0.04950", "0.00000500"]]  # fmt: skip
DOCUMENTED_CHECKSUM = 974947235
"""Of the two sides above: the example on the venue's page about version 1."""


def digest(bids: list[list[str]], asks: list[list[str]]) -> int:
    """Return the checksum straight from the text, in the words of the venue's page."""
    levels = [*asks[:10], *bids[:10]]
    return crc32("".join(t.replace(".", "").lstrip("0") for row in levels for t in row).encode())


def timed(rows: list[list[str]]) -> list[list[str]]:
    return [[*row, "1582905486.493008"] for row in rows]


def snapshot_v1(pair: str = "ETH/XBT", depth: int = 10) -> str:
    return json.dumps([0, {"as": timed(ASKS), "bs": timed(BIDS)}, f"book-{depth}", pair])


def update_v1(checksum: int, *parts: dict[str, Any], depth: int = 10) -> str:
    return json.dumps(
        [0, *parts[:-1], parts[-1] | {"c": str(checksum)}, f"book-{depth}", "ETH/XBT"]
    )


def book_v2(kind: str, bids: list[list[str]], asks: list[list[str]], checksum: int) -> str:
    """Return a frame whose numbers are written just so, zeros and all."""
    sides = [
        ",".join(f'{{"price":{price},"qty":{size}}}' for price, size in rows)
        for rows in (bids, asks)
    ]
    return (
        f'{{"channel":"book","type":"{kind}","data":[{{"symbol":"ETH/BTC","bids":[{sides[0]}],'
        f'"asks":[{sides[1]}],"checksum":{checksum},"timestamp":"2023-10-06T17:35:55.440295Z"}}]}}'
    )


def integrities(payloads: list[str]) -> list[str]:
    output = ingest(numbered(payloads, venue="kraken"))
    return [row["integrity"] for row in rows_of(output, "book")]


def test_documented_checksum_is_ours() -> None:
    same = {"a": timed(ASKS[:1])}

    assert digest(BIDS, ASKS) == DOCUMENTED_CHECKSUM
    assert integrities([snapshot_v1(), update_v1(DOCUMENTED_CHECKSUM, same)]) == ["VALID", "VALID"]


def test_wrong_checksum_fails_the_book_until_its_next_snapshot() -> None:
    change = {"b": timed([["0.05000", "0.00000501"]])}
    wrong = update_v1(DOCUMENTED_CHECKSUM, change)

    assert integrities([snapshot_v1(), wrong, wrong, snapshot_v1()]) == [
        "VALID", "CHECKSUM_FAILED", "CHECKSUM_FAILED", "VALID",
    ]  # fmt: skip


def test_both_sides_in_one_frame_are_applied_before_the_checksum() -> None:
    asks = [["0.05002", "1.00000000"], *ASKS[1:]]
    bids = [*BIDS[:9], ["0.04945", "0.00000500"]]
    check = digest(bids, asks)
    parts = (
        {"a": timed([["0.05005", "0.00000000"], ["0.05002", "1.00000000"]])},
        {"b": timed([["0.04950", "0.00000000"], ["0.04945", "0.00000500"]])},
    )

    output = ingest(numbered([snapshot_v1(), update_v1(check, *parts)], venue="kraken"))

    assert rows_of(output, "book")[1]["integrity"] == "VALID"
    assert rows_of(output, "book")[1]["event_time_ns"] == 1_582_905_486_493_008_000
    assert rows_of(output, "quote")[1]["ask_price_ticks"] == 500_200_000


def test_book_is_cut_to_its_depth_after_the_message() -> None:
    better = {"b": timed([["0.05001", "0.00000500"]])}
    gone = {"b": timed([["0.05001", "0.00000000"]])}
    nine = BIDS[:9]

    payloads = [
        snapshot_v1(),
        update_v1(digest([["0.05001", "0.00000500"], *BIDS], ASKS), better),
        update_v1(digest(nine, ASKS), gone),
    ]

    output = ingest(numbered(payloads, venue="kraken"))
    assert [row["integrity"] for row in rows_of(output, "book")] == ["VALID"] * 3
    assert [row["bid_levels"] for row in rows_of(output, "book")] == [10, 10, 9]


def test_v2_numbers_keep_their_zeros_for_the_checksum() -> None:
    changed = [["0.05000", "0.10000000"], *BIDS[1:]]
    payloads = [
        book_v2("snapshot", BIDS, ASKS, DOCUMENTED_CHECKSUM),
        book_v2("update", changed[:1], [], digest(changed, ASKS)),
        book_v2("update", BIDS[:1], [], digest(changed, ASKS)),
    ]

    assert integrities(payloads) == ["VALID", "VALID", "CHECKSUM_FAILED"]


def test_v2_depth_is_the_subscribed_one_or_what_the_snapshot_shows() -> None:
    answer = {"method": "subscribe", "success": True,
              "result": {"channel": "book", "symbol": "ETH/BTC", "depth": 25}}  # fmt: skip
    payloads = [
        book_v2("snapshot", BIDS, ASKS, DOCUMENTED_CHECKSUM),
        book_v2("update", [["0.05001", "1"]], [], digest([["0.05001", "1"], *BIDS], ASKS)),
    ]

    shown = ingest(numbered(payloads, venue="kraken"))
    subscribed = ingest(numbered([json.dumps(answer), *payloads], venue="kraken"))

    assert rows_of(shown, "book")[1]["bid_levels"] == 10
    assert rows_of(subscribed, "book")[1]["bid_levels"] == 11


def test_trades_of_both_versions() -> None:
    first = json.dumps([0, [["5541.2", "0.15", "1534614057.321597", "s", "l", ""],
                            ["5541.3", "0.25", "1534614057.324998", "b", "l", ""]],
                        "trade", "XBT/USD"])  # fmt: skip
    second = (
        '{"channel":"trade","type":"update","data":[{"symbol":"BTC/USD","side":"buy",'
        '"price":5541.2,"qty":0.10000000,"trade_id":7,"timestamp":"2023-09-25T07:49:37.708706Z"}]}'
    )

    output = ingest(numbered([first, second], venue="kraken"))

    rows = rows_of(output, "trade")
    assert frame_counts(output) == {"frame_trade": 2}
    assert [(row["aggressor"], row["trade_id"]) for row in rows] == [
        ("SELL", None), ("BUY", None), ("BUY", 7),
    ]  # fmt: skip
    assert rows[0]["event_time_ns"] == 1_534_614_057_321_597_000
    assert rows[2]["size_lots"] == 10_000_000


def test_ask_priced_past_all_integers_is_left_out_and_counted() -> None:
    far = json.dumps([0, {"as": timed([["11.0", "1.0"], ["9999999997.00000", "0.1"]]),
                          "bs": timed([["10.0", "1.0"]])}, "book-10", "XBT/CHF"])  # fmt: skip
    high = json.dumps([0, {"as": [], "bs": timed([["9999999997.0", "1.0"]])}, "book-10", "XBT/CHF"])

    output = ingest(numbered([far], venue="kraken"))

    assert rows_of(output, "book")[0]["ask_levels"] == 1
    assert output.counts["book_levels_dropped"] == 1
    assert frame_counts(ingest(numbered([high], venue="kraken"))) == {"frame_dead_bad_decimal": 1}


@pytest.mark.parametrize(
    ("payload", "outcome"),
    [
        ('{"event":"heartbeat"}', "frame_control"),
        ('{"channel":"heartbeat"}', "frame_control"),
        ('{"channel":"status","type":"update","data":[{"system":"online"}]}', "frame_control"),
        ('{"event":"subscriptionStatus","pair":"X","status":"subscribed"}', "frame_control"),
        ('{"method":"pong","req_id":1}', "frame_control"),
        ('{"channel":"ticker","type":"update","data":[]}', "frame_ignored_type"),
        ('[1,["1","2","3","4","5"],"spread","XBT/USD"]', "frame_ignored_type"),
        ('[1,{},"ohlc-5","XBT/USD"]', "frame_ignored_type"),
        ("{}", "frame_dead_unknown_frame"),
        ("[]", "frame_dead_unknown_frame"),
        ('[1,{},"strange","XBT/USD"]', "frame_dead_unknown_frame"),
        ('[1,[["1"]],"trade","XBT/USD"]', "frame_dead_malformed"),
        ('[1,{"b":[["1","1","x"]],"c":"1"},"book-10","XBT/USD"]', "frame_dead_malformed"),
        ('[1,{"b":[["1","1","1.0"]],"c":"-1"},"book-10","XBT/USD"]', "frame_dead_malformed"),
        ('[1,{"b":[["1"', "frame_dead_not_json"),
    ],
)
def test_odd_frames_have_one_outcome(payload: str, outcome: str) -> None:
    assert frame_counts(ingest(numbered([payload], venue="kraken"))) == {outcome: 1}

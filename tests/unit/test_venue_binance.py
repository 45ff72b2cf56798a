"""Binance's dialect: markets told apart, update-id rules, snapshots, what is ignored."""

import json
from typing import Any

import pytest

from agents.ingest_frames import MARKET_BY_SOURCE
from tests.replay.frame_batches import Frame, frame_counts, ingest, numbered, rows_of

S = 10**8


def quote(symbol: str = "BTCUSDT", update_id: int = 7, **fields: Any) -> str:
    data = {"u": update_id, "s": symbol, "b": "10.5", "B": "2", "a": "10.6", "A": "3.25"}
    return json.dumps({"stream": f"{symbol.lower()}@bookTicker", "data": data | fields})


def trade(symbol: str = "BTCUSDT", **fields: Any) -> str:
    data = {"e": "trade", "E": 1_700, "s": symbol, "t": 5, "p": "10.5", "q": "0.00000001",
            "T": 1_699, "m": True, "M": True}  # fmt: skip
    return json.dumps({"stream": f"{symbol.lower()}@trade", "data": data | fields})


def spot_depth(first: int, last: int, bids: list[list[str]], asks: list[list[str]]) -> str:
    data = {"e": "depthUpdate", "E": 2_000, "s": "BTCUSDT", "U": first, "u": last,
            "b": bids, "a": asks}  # fmt: skip
    return json.dumps({"stream": "btcusdt@depth@100ms", "data": data})


def futures_depth(first: int, last: int, previous: int, bids: list[list[str]]) -> str:
    data = {"e": "depthUpdate", "E": 2_000, "T": 1_990, "s": "BTCUSDT", "U": first, "u": last,
            "pu": previous, "b": bids, "a": []}  # fmt: skip
    return json.dumps({"stream": "btcusdt@depth@0ms", "data": data})


def snapshot(last: int, **fields: Any) -> str:
    sides = {"bids": [["10", "1"], ["9", "2"]], "asks": [["11", "1"], ["12", "2"]]}
    return json.dumps({"lastUpdateId": last} | fields | sides)


FUTURES_TIMES = {"E": 2_000, "T": 1_990}


def test_spot_quote_without_kind_or_time_is_read() -> None:
    output = ingest(numbered([quote()], venue="binance"))

    assert rows_of(output, "quote") == [
        {
            "instrument": "binance-spot:BTCUSDT", "source": "test", "sequence": 1,
            "update_id": 7, "bid_price_ticks": 1_050_000_000, "bid_size_lots": 2 * S,
            "ask_price_ticks": 1_060_000_000, "ask_size_lots": 325_000_000,
            "event_time_ns": None, "receive_time_ns": 1_000_000, "source_sequence": 1,
        }
    ]  # fmt: skip
    assert rows_of(output, "instrument") == [
        {
            "instrument": "binance-spot:BTCUSDT", "venue": "binance", "symbol": "BTCUSDT",
            "price_scale": 8, "size_scale": 8, "kind": "SPOT", "contract_value_e8": 0,
        }
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("payload", "instrument"),
    [
        (quote(e="bookTicker", T=1, E=2), "binance-usdm:BTCUSDT"),
        (quote("BTCUSDT_240927", e="bookTicker", T=1), "binance-usdm:BTCUSDT_240927"),
        (quote("BTCUSD_PERP", e="bookTicker", ps="BTCUSD", T=1), "binance-coinm:BTCUSD_PERP"),
        (quote("BTCUSD_240927", e="bookTicker", T=1), "binance-coinm:BTCUSD_240927"),
    ],
)
def test_futures_markets_are_told_apart_by_frame_and_symbol(payload: str, instrument: str) -> None:
    (row,) = rows_of(ingest(numbered([payload], venue="binance")), "quote")

    assert row["instrument"] == instrument
    assert row["event_time_ns"] == 1_000_000


def test_trades_carry_id_time_and_the_side_that_took_liquidity() -> None:
    payloads = [trade(), trade(t=6, m=False), json.dumps(json.loads(trade(t=7))["data"])]

    rows = rows_of(ingest(numbered(payloads, venue="binance")), "trade")

    assert [row["aggressor"] for row in rows] == ["SELL", "BUY", "SELL"]
    assert [row["trade_id"] for row in rows] == [5, 6, 7]
    assert [row["sequence"] for row in rows] == [1, 2, 3]
    assert rows[0]["event_time_ns"] == 1_699_000_000
    assert (rows[0]["price_ticks"], rows[0]["size_lots"]) == (1_050_000_000, 1)


def test_futures_trade_is_told_by_the_field_it_lacks() -> None:
    data = json.loads(trade("BTCUSD_PERP"))["data"]
    del data["M"]

    (row,) = rows_of(ingest(numbered([json.dumps(data)], venue="binance")), "trade")

    assert row["instrument"] == "binance-coinm:BTCUSD_PERP"


def test_aggregate_trades_are_read_unless_single_trades_come_too() -> None:
    aggregate = trade(e="aggTrade", a=99)

    alone = ingest(numbered([aggregate], venue="binance"))
    beside = ingest(numbered([trade(), aggregate], venue="binance"))

    assert rows_of(alone, "trade")[0]["trade_id"] == 99
    assert frame_counts(beside) == {"frame_trade": 1, "frame_ignored_type": 1}


def test_trades_and_quotes_of_an_instrument_are_numbered_jointly() -> None:
    output = ingest(numbered([quote(), trade(), quote(update_id=8), trade(t=6)], venue="binance"))

    assert [row["sequence"] for row in rows_of(output, "quote")] == [1, 3]
    assert [row["sequence"] for row in rows_of(output, "trade")] == [2, 4]


def test_trade_of_size_0_is_dropped_whatever_its_price_and_leaves_no_gap() -> None:
    output = ingest(numbered([trade(), trade(q="0", p="0"), trade(t=6)], venue="binance"))

    assert frame_counts(output) == {"frame_trade": 2, "frame_trade_zero_size": 1}
    assert [row["sequence"] for row in rows_of(output, "trade")] == [1, 2]


def test_changes_before_the_snapshot_are_held_and_replayed() -> None:
    payloads = [
        spot_depth(90, 95, [["8", "5"]], []),
        spot_depth(96, 104, [["9", "0"]], [["11", "7"]]),
        snapshot(100),
        spot_depth(105, 110, [["10", "4"]], []),
    ]

    rows = rows_of(ingest(numbered(payloads, venue="binance")), "book")

    assert [row["integrity"] for row in rows] == [
        "AWAITING_SNAPSHOT", "AWAITING_SNAPSHOT", "VALID", "VALID",
    ]  # fmt: skip
    assert rows[0]["bid_price_ticks"] == []
    assert [row["update_id"] for row in rows] == [95, 104, 104, 110]
    assert rows[2]["bid_price_ticks"] == [10 * S]
    assert rows[2]["ask_size_lots"] == [7 * S, 2 * S]
    assert rows[3]["bid_size_lots"] == [4 * S]


def test_change_older_than_the_book_is_stale() -> None:
    payloads = [spot_depth(1, 2, [], []), snapshot(100), spot_depth(90, 100, [["10", "9"]], [])]

    output = ingest(numbered(payloads, venue="binance"))

    assert frame_counts(output) == {"frame_depth": 1, "frame_snapshot": 1, "frame_depth_stale": 1}
    assert rows_of(output, "book")[-1]["bid_size_lots"] == [1 * S, 2 * S]


def test_gap_makes_the_book_invalid_until_a_snapshot_that_covers_it() -> None:
    payloads = [
        spot_depth(1, 2, [], []),
        snapshot(100),
        spot_depth(101, 102, [], []),
        spot_depth(104, 105, [["9", "5"]], []),
        spot_depth(106, 107, [], []),
        snapshot(102),
        snapshot(105),
    ]

    output = ingest(numbered(payloads, venue="binance"))

    assert [row["integrity"] for row in rows_of(output, "book")] == [
        "AWAITING_SNAPSHOT", "VALID", "VALID", "GAPPED", "GAPPED", "GAPPED", "VALID",
    ]  # fmt: skip
    assert rows_of(output, "book")[-1]["update_id"] == 107
    assert output.counts["book_gapped"] == 1


def test_trades_say_whether_their_book_had_a_gap_however_batches_are_cut() -> None:
    payloads = [
        trade(),
        spot_depth(1, 2, [], []),
        trade(),
        snapshot(100),
        trade(),
        spot_depth(101, 102, [], []),
        spot_depth(104, 105, [["9", "5"]], []),
        trade(),
        trade("ETHUSDT"),
        snapshot(105),
        trade(),
    ]
    frames = numbered(payloads, venue="binance")
    expected = [True, True, True, False, True, True]

    whole = ingest(frames)

    assert [row["book_valid"] for row in rows_of(whole, "trade")] == expected
    for cut in range(1, len(frames)):
        state = MARKET_BY_SOURCE.open()
        parts = [ingest(frames[:cut], state), ingest(frames[cut:], state)]
        found = [row["book_valid"] for part in parts for row in rows_of(part, "trade")]
        assert found == expected


def test_late_snapshot_does_not_take_a_valid_book_back() -> None:
    payloads = [
        spot_depth(1, 2, [], []),
        snapshot(100),
        spot_depth(101, 105, [], []),
        snapshot(103),
    ]

    output = ingest(numbered(payloads, venue="binance"))

    assert frame_counts(output)["frame_depth_stale"] == 1
    assert rows_of(output, "book")[-1]["update_id"] == 105


def test_futures_follow_the_id_before() -> None:
    payloads = [
        futures_depth(90, 95, 80, []),
        futures_depth(98, 104, 95, [["9", "7"]]),
        snapshot(100, **FUTURES_TIMES),
        futures_depth(110, 112, 104, [["9", "8"]]),
        futures_depth(120, 121, 113, []),
    ]

    rows = rows_of(ingest(numbered(payloads, venue="binance")), "book")

    assert [row["integrity"] for row in rows[2:]] == ["VALID", "VALID", "GAPPED"]
    assert rows[2]["bid_size_lots"] == [1 * S, 7 * S]
    assert rows[3]["bid_size_lots"] == [1 * S, 8 * S]


def test_snapshot_belongs_to_the_only_book_of_its_market_or_is_dead() -> None:
    alone = ingest(numbered([snapshot(5)], venue="binance"))
    other_market = ingest(
        numbered([futures_depth(1, 2, 0, []), snapshot(5)], venue="binance"),
    )
    after_quotes = ingest(numbered([quote(), snapshot(5)], venue="binance"))

    assert frame_counts(alone) == {"frame_dead_snapshot_without_instrument": 1}
    assert frame_counts(other_market)["frame_dead_snapshot_without_instrument"] == 1
    assert rows_of(after_quotes, "book")[0]["instrument"] == "binance-spot:BTCUSDT"


def test_partial_depth_is_a_whole_book_each_time() -> None:
    spot = json.dumps({"stream": "btcusdt@depth20@100ms", "data": json.loads(snapshot(9))})
    data = json.loads(futures_depth(1, 2, 0, [["9", "1"]]))["data"]
    futures = json.dumps({"stream": "btcusdt@depth5", "data": data})

    output = ingest(numbered([spot, futures], venue="binance"))

    assert frame_counts(output) == {"frame_snapshot": 2}
    assert [row["integrity"] for row in rows_of(output, "book")] == ["VALID", "VALID"]


@pytest.mark.parametrize(
    ("payload", "outcome"),
    [
        ('{"result":null,"id":1}', "frame_control"),
        ('{"e":"serverShutdown","E":1}', "frame_control"),
        ('{"stream":"x@kline_1m","data":{"e":"kline","E":1,"s":"X","k":{}}}', "frame_ignored_type"),
        ('{"stream":"!ticker@arr","data":[{"e":"24hrTicker"}]}', "frame_ignored_type"),
        ("{}", "frame_dead_unknown_frame"),
        ("[]", "frame_dead_unknown_frame"),
        ("7", "frame_dead_unknown_frame"),
        ("", "frame_dead_not_json"),
        ('{"stream":"btcusdt@trade","data":{"e":"tra', "frame_dead_not_json"),
        ('{"a":' * 5_000, "frame_dead_not_json"),
        (trade(t="x"), "frame_dead_malformed"),
        (trade(t=10**30), "frame_dead_malformed"),
        (trade(s=""), "frame_dead_malformed"),
        (trade(p="-1"), "frame_dead_malformed"),
        (trade(p="0"), "frame_dead_malformed"),
        (trade(p="1.123456789"), "frame_dead_bad_decimal"),
        (trade(p="1e400"), "frame_dead_bad_decimal"),
        (trade(p="99999999999"), "frame_dead_bad_decimal"),
        (trade(p="NaN"), "frame_dead_bad_decimal"),
        (trade(p=None), "frame_dead_bad_decimal"),
        (trade(T=10**17), "frame_dead_malformed"),
        (trade(s="A B"), "frame_dead_unknown_instrument"),
        (quote(B="-1"), "frame_dead_malformed"),
        (json.dumps({"u": 1, "s": "X", "A": "1"}), "frame_dead_malformed"),
    ],
)
def test_odd_frames_have_one_outcome_and_a_dead_letter_says_why(payload: str, outcome: str) -> None:
    output = ingest(numbered([payload], venue="binance"))

    assert frame_counts(output) == {outcome: 1}
    causes = [dead.cause for dead in output.dead]
    assert causes == ([outcome.removeprefix("frame_dead_")] if "dead" in outcome else [])


def test_dead_frame_leaves_its_neighbours_alone() -> None:
    output = ingest(numbered([trade(), trade(p="x"), trade(t=6)], venue="binance"))

    assert [row["sequence"] for row in rows_of(output, "trade")] == [1, 2]
    assert [(dead.row, dead.cause) for dead in output.dead] == [(1, "bad_decimal")]
    assert output.causes["market.trade.v1"].tolist() == [0, 2]


def test_dead_change_gaps_its_book() -> None:
    payloads = [
        spot_depth(1, 2, [], []), snapshot(100), spot_depth(101, 102, [["x", "1"]], []),
        spot_depth(101, 103, [], []),
    ]  # fmt: skip

    output = ingest(numbered(payloads, venue="binance"))

    assert rows_of(output, "book")[-1]["integrity"] == "GAPPED"


def test_frames_that_come_again_change_nothing() -> None:
    state = MARKET_BY_SOURCE.open()
    frames = numbered([quote(), trade(), quote(update_id=8)], venue="binance")
    ingest(frames, state)

    again = ingest([*frames, Frame(trade(t=6), 4, 9_000_000)], state)

    assert frame_counts(again) == {"frame_duplicate": 3, "frame_trade": 1}
    assert rows_of(again, "trade")[0]["sequence"] == 4
    assert not rows_of(again, "instrument")


def test_receive_time_never_runs_backwards_within_an_instrument() -> None:
    frames = [
        Frame(quote(), 1, 100), Frame(trade(), 2, 40),
        Frame(quote("ETHUSDT"), 3, 50), Frame(trade(t=6), 4, 120),
    ]  # fmt: skip

    output = ingest(frames)

    assert [row["receive_time_ns"] for row in rows_of(output, "trade")] == [100, 120]
    assert [row["receive_time_ns"] for row in rows_of(output, "quote")] == [100, 50]
    assert output.counts["receive_time_clamped"] == 1


def test_a_new_pass_shifts_times_and_ids_and_gaps_the_book() -> None:
    first = [spot_depth(1, 2, [], []), snapshot(100), spot_depth(101, 102, [], [])]
    shift = 10**12
    frames = numbered(first, venue="binance") + [
        Frame(payload, index, shift + index, time_shift_ns=shift, pass_index=1)
        for index, payload in enumerate([trade(), *first], start=4)
    ]

    output = ingest(frames)

    (row,) = rows_of(output, "trade")
    assert row["book_valid"] is False
    assert row["trade_id"] == 5 + 10**15
    assert row["event_time_ns"] == 1_699_000_000 + shift
    assert [row["integrity"] for row in rows_of(output, "book")] == [
        "AWAITING_SNAPSHOT", "VALID", "VALID", "GAPPED", "VALID", "VALID",
    ]  # fmt: skip
    assert rows_of(output, "book")[-1]["update_id"] == 102 + 10**15


def test_unknown_venue_is_a_dead_letter() -> None:
    output = ingest(numbered([quote()], venue="unknown"))

    assert frame_counts(output) == {"frame_dead_unknown_venue": 1}


def test_missing_frames_of_a_source_are_counted() -> None:
    output = ingest([Frame(quote(), 5), Frame(quote(), 6), Frame(quote(), 9)])

    assert output.counts["source_sequence_missing"] == 2

"""Features at a trade, case by case."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agents.build_features import FEATURE_VECTOR, WINDOWS_BY_STREAM, build_features
from agents.market.window_kernels import run_instrument
from agents.market.window_layout import (
    QUOTES_HELD_MAX,
    TRADES_HELD_MAX,
)
from headrace import Output
from headrace.avro.schema import load_schema
from headrace.errors import InvariantError
from schemas.streams import stream_of
from tests.binance_records import SCHEMAS, part_of, recording_of

E8 = 10**8
SECOND = 10**9


def trade(time: float, price: float, size: float = 1.0, **fields: Any) -> dict[str, Any]:
    return {
        "instrument": "binance-spot:BTCUSDT",
        "sequence": 1,
        "receive_time_ns": round(time * SECOND),
        "price_ticks": round(price * E8),
        "size_lots": round(size * E8),
    } | fields


def quote(
    time: float, bid: float, bid_size: float, ask: float, ask_size: float, **fields: Any
) -> dict[str, Any]:
    return {
        "instrument": "binance-spot:BTCUSDT",
        "sequence": 1,
        "receive_time_ns": round(time * SECOND),
        "bid_price_ticks": round(bid * E8),
        "bid_size_lots": round(bid_size * E8),
        "ask_price_ticks": round(ask * E8),
        "ask_size_lots": round(ask_size * E8),
    } | fields


def run(*records: dict[str, Any]) -> Output:
    (batch,) = recording_of(records).batches([])
    return build_features(batch, WINDOWS_BY_STREAM.open())


def vectors(*records: dict[str, Any]) -> list[dict[str, Any]]:
    return run(*records).records["feature.vector.v1"].to_pylist()


def test_columns_are_those_of_the_schema() -> None:
    assert load_schema(SCHEMAS, "feature_vector.v1").arrow == FEATURE_VECTOR


def test_features_are_of_the_quote_before_the_trade() -> None:
    (vector,) = vectors(
        quote(1.0, 100, 3, 102, 1), trade(1.5, 102, 2, sequence=9), quote(1.6, 90, 1, 91, 1)
    )

    assert vector["sequence"] == 9
    assert vector["mid"] == 101
    assert vector["spread_bps"] == pytest.approx(1e4 * 2 / 101, rel=1e-15)
    assert vector["queue_imbalance"] == 0.5
    assert vector["microprice"] == (100 * 1 + 102 * 3) / 4
    assert vector["quote_time_ns"] == SECOND
    assert vector["ask_size_lots"] == E8
    assert vector["quote_valid"] is True


def test_a_trade_before_any_quote_has_no_quote_features() -> None:
    (vector,) = vectors(trade(1.0, 100))

    names = ("mid", "spread_bps", "queue_imbalance", "microprice")
    assert vector["quote_valid"] is False
    assert all(math.isnan(vector[name]) for name in names)
    assert vector["bid_price_ticks"] == vector["ask_size_lots"] == vector["quote_time_ns"] == 0
    assert vector["vwap_60s"] == 100
    assert vector["signed_volume_1s"] == vector["ofi_1s"] == 0


@pytest.mark.parametrize(
    ("bid", "ask", "valid"),
    [(100, 101, True), (100, 100, True), (101, 100, False), (0, 100, False), (0, 0, False)],
)
def test_a_crossed_or_one_sided_quote_is_not_valid(bid: float, ask: float, *, valid: bool) -> None:
    (vector,) = vectors(quote(1, bid, 1, ask, 1), trade(1, 100))

    assert vector["quote_valid"] is valid
    assert math.isnan(vector["mid"]) is not valid
    assert vector["bid_price_ticks"] == bid * E8


def test_a_quote_without_sizes_is_valid_but_has_no_imbalance() -> None:
    (vector,) = vectors(quote(1, 100, 0, 101, 0), trade(1, 100))

    assert vector["quote_valid"] is True
    assert vector["mid"] == 100.5
    assert math.isnan(vector["queue_imbalance"])
    assert math.isnan(vector["microprice"])


def test_sign_is_of_the_side_of_mid_then_of_the_last_price_change() -> None:
    found = vectors(
        quote(0.0, 99, 1, 101, 1),
        trade(0.1, 100),  # at mid, before any change: 0
        trade(0.2, 99.5),  # below
        trade(0.3, 100),  # at mid, after a rise
        trade(0.4, 101),  # above
        trade(0.5, 100),  # at mid, after a fall
        quote(0.6, 102, 1, 101, 1),  # crossed
        trade(0.7, 100),  # the last change was a fall
        trade(0.8, 100.5),
    )

    volumes = [vector["signed_volume_10s"] for vector in found]
    assert np.diff([0, *volumes]).tolist() == [0, -1, 1, 1, -1, -1, 1]


def test_the_aggressor_is_the_venues_word_whatever_the_side_of_mid() -> None:
    found = vectors(
        quote(0.0, 99, 1, 101, 1),
        trade(0.1, 99, 3, aggressor="BUY"),  # the quote had run ahead of the trade
        trade(0.2, 101, 1, aggressor="SELL"),
        trade(0.3, 101, 4, aggressor="UNKNOWN"),
        trade(1.2, 101, 1, aggressor="BUY"),  # two have left the second
    )

    assert [vector["aggressor_sign"] for vector in found] == [1, -1, 0, 1]
    assert [vector["trade_imbalance_1s"] for vector in found] == [1, 0.5, 0.25, 0.2]
    assert [vector["trade_imbalance_10s"] for vector in found] == [1, 0.5, 0.25, 3 / 9]
    assert found[-1]["trade_imbalance_60s"] == found[-1]["trade_imbalance_10s"]


def test_a_window_is_open_at_its_start_and_holds_ties_at_its_end() -> None:
    found = vectors(
        trade(1.0, 100), trade(1.5, 110), trade(1.5, 121), trade(2.0, 121), trade(2.5, 121)
    )

    assert [vector["trade_count_1s"] for vector in found] == [1, 2, 3, 3, 2]
    assert [vector["trade_count_10s"] for vector in found] == [1, 2, 3, 4, 5]
    assert found[3]["return_bps_1s"] == pytest.approx(1e4 * math.log(1.1), rel=1e-14)
    assert found[3]["realized_vol_1s"] == pytest.approx(math.log(1.1), rel=1e-14)
    assert found[3]["realized_vol_10s"] == pytest.approx(math.sqrt(2) * math.log(1.1), rel=1e-14)
    assert found[4]["realized_vol_1s"] == 0


def test_vwap_weighs_by_size() -> None:
    found = vectors(trade(1.0, 100, 1), trade(1.1, 200, 3))

    assert found[-1]["vwap_1s"] == 175


def test_order_flow_follows_the_formula_and_its_window() -> None:
    found = vectors(
        quote(0.0, 100, 5, 102, 5),  # the first: none
        quote(0.1, 100, 7, 102, 4),  # +7 - 5 - 4 + 5 = 3
        trade(0.2, 101),
        quote(0.3, 101, 2, 103, 9),  # +2 + 4 = 6
        trade(0.4, 101),
        quote(0.5, 99, 1, 102, 3),  # -2 - 3 = -5
        trade(1.1, 101),
        trade(1.4, 101),
    )

    assert [vector["ofi_1s"] for vector in found] == [3, 9, 1, -5]
    assert [vector["ofi_10s"] for vector in found] == [3, 9, 4, 4]


def test_instruments_do_not_mix_and_keep_the_order_of_the_batch() -> None:
    eth: dict[str, Any] = {"instrument": "binance-spot:ETHUSDT"}

    found = vectors(
        quote(0, 10, 1, 12, 1, **eth),
        trade(0.1, 100),
        trade(0.2, 11, **eth),
        trade(0.3, 102),
    )

    assert [vector["price_ticks"] / E8 for vector in found] == [100, 11, 102]
    assert [vector["quote_valid"] for vector in found] == [False, True, False]
    assert [vector["trade_count_60s"] for vector in found] == [1, 1, 2]


def test_a_trade_without_size_is_dropped_and_counted() -> None:
    output = run(trade(1, 100), trade(1, 500, 0), trade(1, 100))

    found = output.records["feature.vector.v1"].to_pylist()
    assert output.counts == {"trade_without_size": 1}
    assert found[-1]["trade_count_1s"] == 2
    assert found[-1]["realized_vol_1s"] == 0
    assert output.causes["feature.vector.v1"].tolist() == [0, 2]


def test_an_unknown_instrument_is_dead_and_its_neighbours_live() -> None:
    output = run(
        trade(1, 100),
        trade(1, 100, instrument="nowhere:X"),
        quote(1, 1, 1, 2, 1, instrument="nowhere:X"),
        trade(1, 100),
    )

    assert [(row.part, row.row, row.cause) for row in output.dead] == [
        (0, 1, "unknown_instrument"),
        (1, 0, "unknown_instrument"),
    ]
    assert "nowhere:X" in output.dead[0].detail
    assert output.records["feature.vector.v1"].num_rows == 2


@pytest.mark.parametrize(
    "bad",
    [
        trade(1, 0),
        trade(1, -1),
        trade(1, 1, -1),
        trade(1, 1, price_ticks=1 << 62),
        quote(1, -1, 1, 1, 1),
        quote(1, 1, 1, 1, 1, ask_size_lots=1 << 62),
    ],
)
def test_a_number_out_of_range_is_dead(bad: dict[str, Any]) -> None:
    output = run(bad)

    assert [row.cause for row in output.dead] == ["out_of_range"]
    assert not output.records


def test_a_time_that_runs_backwards_is_taken_for_the_latest() -> None:
    found = vectors(trade(100.0, 100), trade(1.0, 101), trade(100.5, 102))

    assert [vector["trade_count_1s"] for vector in found] == [1, 2, 3]
    assert found[1]["receive_time_ns"] == SECOND


def test_an_empty_batch_gives_nothing() -> None:
    assert run() == Output(dead=[])


def test_quotes_alone_give_nothing() -> None:
    output = run(quote(1, 1, 1, 2, 1))

    assert not output.records
    assert not output.counts


def test_huge_sums_are_exact() -> None:
    """Sums of 2^61 lots pass 64 bits; what cancels must cancel to the last lot."""
    huge = {"size_lots": (1 << 61) + 1}
    found = vectors(
        quote(0, 99, 1, 101, 1),
        *[trade(1, 101, **huge, aggressor="BUY")] * 9,
        *[trade(1, 99, **huge, aggressor="SELL")] * 8,
        trade(1, 99, size_lots=1 << 61, aggressor="SELL"),
    )

    assert found[8]["signed_volume_1s"] == pytest.approx(9 * ((1 << 61) + 1) / E8, rel=1e-15)
    assert found[8]["vwap_1s"] == 101
    assert found[-1]["signed_volume_1s"] == 1 / E8
    assert found[8]["trade_imbalance_1s"] == 1
    assert found[-1]["trade_imbalance_1s"] == pytest.approx(1 / (2**61 * 18), rel=1e-9)


def test_full_windows_let_go_of_the_oldest_and_count_it() -> None:
    (batch,) = recording_of([trade(1, 100)]).batches([])
    rows = np.zeros(1_000, np.int64)
    part = part_of("market.trade.v1", batch.parts[0].records.take(rows))
    batch = type(batch)((part, batch.parts[1]), np.zeros(1_000, np.uint8), np.arange(1_000))
    state = WINDOWS_BY_STREAM.open()

    overflows = 0
    for _ in range(132):
        output = build_features(batch, state)
        overflows += output.counts.get("window_overflow", 0)

    last = output.records["feature.vector.v1"].slice(999).to_pylist()[0]
    assert overflows == 132_000 - TRADES_HELD_MAX
    assert last["trade_count_60s"] == TRADES_HELD_MAX
    assert last["vwap_1s"] == 100
    assert last["realized_vol_60s"] == 0


def test_full_quote_windows_let_go_of_the_oldest_and_count_it() -> None:
    records = recording_of([quote(1, 100, 1 + index % 2, 101, 1) for index in range(1_000)])
    (batch,) = records.batches([])
    state = WINDOWS_BY_STREAM.open()

    outputs = [build_features(batch, state) for _ in range(132)]

    total = sum(output.counts.get("window_overflow", 0) for output in outputs)
    assert total == 131_999 - QUOTES_HELD_MAX


def test_a_commit_writes_only_the_pages_that_changed() -> None:
    state = WINDOWS_BY_STREAM.open()
    records = recording_of([trade(index / 100, 100) for index in range(7_000)])
    first, second = records.batches([6_990])

    build_features(first, state)
    whole = state.changes()
    build_features(second, state)
    delta = state.changes()

    written = {page for (_, page), value in delta.items() if value is not None}
    deleted = {page for (_, page), value in delta.items() if value is None}
    held = range(990 // 256, 1 + 6_989 // 256)  # the last minute, at a hundred a second
    assert {page for _, page in whole} == {0, *(1 + page for page in held)}
    assert written == {0, 1 + 6_990 // 256}
    assert deleted == set()
    assert state.changes() == {}


def test_a_store_with_a_page_missing_is_refused() -> None:
    state = WINDOWS_BY_STREAM.open()
    (batch,) = recording_of([trade(index / 100, 100) for index in range(600)]).batches([])
    build_features(batch, state)
    pages = {key: value for key, value in state.changes().items() if value is not None}
    del pages[stream_of("test", "binance-spot:BTCUSDT"), 2]

    with pytest.raises(InvariantError, match=r"page 2: expected entries 256 to 512"):
        WINDOWS_BY_STREAM.open().restore(pages)


def test_sources_of_an_instrument_have_windows_of_their_own() -> None:
    first, other = vectors(
        quote(100, 99, 1, 101, 1, source="first"),
        trade(100, 100, 5, source="first"),
        quote(1, 9, 1, 11, 1, source="other"),
        trade(1, 10, source="other"),
    )

    assert (first["source"], first["mid"], first["trade_count_60s"]) == ("first", 100, 1)
    assert (other["source"], other["mid"], other["trade_count_60s"]) == ("other", 10, 1)


def test_a_state_of_another_layout_is_refused() -> None:
    with pytest.raises(InvariantError, match="raise the table's version"):
        WINDOWS_BY_STREAM.open().restore({("binance-spot:BTCUSDT", 0): b"short"})


def test_the_kernel_is_compiled_once() -> None:
    """Read-only columns and writable ones must not ask for two compilations of seconds each."""
    run(trade(1, 100), quote(1, 100, 1, 101, 1))
    run(trade(1, 100), trade(2, 100, 0))

    assert len(run_instrument.signatures) == 1


def test_compiled_code_is_found_where_the_sources_are() -> None:
    assert Path(run_instrument.py_func.__code__.co_filename).parent.name == "market"

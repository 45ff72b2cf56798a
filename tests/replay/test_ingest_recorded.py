"""Recorded sessions through ingest: counts, checksums, books against quotes, injected faults."""

import json
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from agents.ingest_frames import MARKET_BY_SOURCE, ingest_frames
from schemas.instruments import instrument_of
from tests.replay.frame_batches import (
    Frame,
    batch_of,
    binance_lines,
    frame_counts,
    frames_of,
    ingest,
    session_lines,
)

BATCH = 8_192

BINANCE_COUNTS = {
    "usdm_btcusdt_20240808": (66_089, 21_313, 6_551),
    "usdm_ethusdt_20240808": (53_992, 14_076, 6_586),
    "cm_btcusd_perp_20240808": (19_136, 2_286, 26_847),
    "spot_btcusdt_20240808": (28_040, 9_757, 3_451),
    "spot_ethusdt_20240808": (24_077, 6_106, 3_434),
}
"""bookTicker, trade, depth of each file, as counted by `grep`."""


def replay(frames: list[Frame], batch: int = BATCH) -> tuple[Counter[str], dict[str, pa.Table]]:
    """Return counts and records of frames that come in batches."""
    state = MARKET_BY_SOURCE.open()
    counts: Counter[str] = Counter()
    records: dict[str, list[pa.RecordBatch]] = {}
    for start in range(0, len(frames), batch):
        output = ingest_frames(batch_of(frames[start : start + batch]), state)
        counts.update(output.counts)
        for topic, found in output.records.items():
            records.setdefault(topic, []).append(found)
    return counts, {topic: pa.Table.from_batches(found) for topic, found in records.items()}


@pytest.mark.parametrize("name", BINANCE_COUNTS)
def test_binance_frames_are_counted_and_the_book_agrees_with_the_best_quotes(
    shared_data: Path, name: str
) -> None:
    """A best quote and a book that end at the same update id have the same best levels."""
    frames = frames_of(binance_lines(shared_data / "binance" / f"{name}.gz"), venue="binance")
    quotes, trades, depths = BINANCE_COUNTS[name]

    counts, tables = replay(frames)

    assert {key: count for key, count in counts.items() if key.startswith("frame_")} == {
        "frame_quote": quotes, "frame_trade": trades, "frame_depth": depths, "frame_snapshot": 1,
    }  # fmt: skip
    assert _joint_sequences(tables) == list(range(1, quotes + trades + 1))
    compared, differing = _compare_tops(tables)
    assert compared > 100
    assert not differing
    integrity = tables["market.book.v1"].column("integrity").to_pylist()
    first_valid = integrity.index("VALID")
    assert set(integrity[:first_valid]) == {"AWAITING_SNAPSHOT"}
    assert set(integrity[first_valid:]) == {"VALID"}


@pytest.mark.parametrize("name", ["spot_ethusdt", "cm_btcusd_perp"])
def test_book_goes_on_over_midnight_and_gaps_in_a_second_pass(shared_data: Path, name: str) -> None:
    first = list(binance_lines(shared_data / "binance" / f"{name}_20240808.gz"))[:3_000]
    whole = list(binance_lines(shared_data / "binance" / f"{name}_20240808.gz"))
    whole += list(binance_lines(shared_data / "binance" / f"{name}_20240809.gz"))[:3_000]
    shift = 10**15
    frames = frames_of(whole, venue="binance") + [
        Frame(payload, sequence, time + shift, venue="binance", time_shift_ns=shift, pass_index=1)
        for sequence, (time, payload) in enumerate(first, start=len(whole) + 1)
    ]

    _, tables = replay(frames)

    books = tables["market.book.v1"].to_pylist()
    runs = [books[0]["integrity"]]
    for row in books:
        if row["integrity"] != runs[-1]:
            runs.append(row["integrity"])
    assert runs == ["AWAITING_SNAPSHOT", "VALID", "GAPPED", "VALID"]


@pytest.mark.parametrize(
    ("session", "venue", "expected"),
    [
        ("BINANCE.ws.1.0", "binance",
         {"frame_depth": 177, "frame_quote": 84, "frame_trade": 2, "frame_ignored_type": 2}),
        ("COINBASE.ws.28.0", "coinbase",
         {"frame_depth": 9_719, "frame_trade": 107, "frame_snapshot": 10, "frame_control": 3,
          "frame_ignored_type": 107}),
        ("KRAKEN.ws.50.0", "kraken",
         {"frame_depth": 4_269, "frame_snapshot": 10, "frame_control": 42}),
        ("OKX.ws.1.0", "okx",
         {"frame_depth": 287, "frame_snapshot": 3, "frame_trade": 74, "frame_control": 18,
          "frame_ignored_type": 28}),
        ("BITSTAMP.ws.1.0", "bitstamp",
         {"frame_depth": 717, "frame_trade": 10, "frame_control": 20}),
    ],
)  # fmt: skip
def test_sessions_are_read_without_a_dead_frame_and_checksums_hold(
    shared_data: Path, session: str, venue: str, expected: dict[str, int]
) -> None:
    frames = frames_of(session_lines(shared_data / "captures" / f"{session}.gz"), venue=venue)

    output = ingest(frames)

    assert frame_counts(output) == expected
    assert not output.dead
    integrity = set(output.records["market.book.v1"].column("integrity").to_pylist())
    # These two sessions have no snapshot: it came by REST, which was not recorded.
    awaits = venue in ("binance", "bitstamp")
    assert integrity == {"AWAITING_SNAPSHOT" if awaits else "VALID"}


@pytest.mark.parametrize(
    ("session", "venue", "marker"),
    [("KRAKEN.ws.50.0", "kraken", '"c":'), ("OKX.ws.1.0", "okx", '"update"')],
)
def test_a_wrong_level_fails_the_checksum_of_its_book_and_of_no_other(
    shared_data: Path, session: str, venue: str, marker: str
) -> None:
    """The first change of each book also sets its best bid to a size the venue did not sign."""
    lines = list(session_lines(shared_data / "captures" / f"{session}.gz"))
    clean = ingest(frames_of(lines, venue=venue)).records["market.book.v1"].to_pylist()
    best_bids = {row["source_sequence"]: _best_bid(row) for row in clean}
    spoiled: dict[str, int] = {}
    for index, (_, payload) in enumerate(lines):
        if marker in payload:
            spoiled.setdefault(_book_name(payload), index)
    for index in spoiled.values():
        time, payload = lines[index]
        lines[index] = (time, _with_level(payload, best_bids[index + 1]))

    output = ingest(frames_of(lines, venue=venue))

    for row in output.records["market.book.v1"].to_pylist():
        spoiled_at = spoiled.get(row["instrument"].partition(":")[2], len(lines))
        wrong = row["source_sequence"] > spoiled_at
        assert row["integrity"] == ("CHECKSUM_FAILED" if wrong else "VALID")


def test_a_lost_change_gaps_the_binance_book_until_its_next_snapshot(shared_data: Path) -> None:
    path = shared_data / "binance" / "usdm_btcusdt_20240808.gz"
    lines = list(binance_lines(path))[:4_000]
    depths = [index for index, (_, text) in enumerate(lines) if "depthUpdate" in text]
    lost = depths[len(depths) // 2]
    after = json.loads(lines[depths[-1]][1])["data"]
    sides = {"bids": [["1", "1"]], "asks": [["2", "1"]]}
    again = {"lastUpdateId": after["u"] + 1, "E": 1, "T": 1} | sides
    kept = [*lines[:lost], *lines[lost + 1 :], (lines[-1][0], json.dumps(again))]

    _, tables = replay(frames_of(kept, venue="binance"))

    integrity = tables["market.book.v1"].column("integrity").to_pylist()
    gapped = integrity.index("GAPPED")
    assert set(integrity[gapped:-1]) == {"GAPPED"}
    assert integrity[-1] == "VALID"


def _joint_sequences(tables: dict[str, pa.Table]) -> list[int]:
    sequences: list[int] = []
    for topic in ("market.trade.v1", "market.quote.v1"):
        sequences += tables[topic].column("sequence").to_pylist()
    return sorted(sequences)


def _compare_tops(tables: dict[str, pa.Table]) -> tuple[int, list[dict[str, Any]]]:
    """Return how many books end where a best quote does, and those whose top differs from it."""
    quotes = {row["update_id"]: row for row in tables["market.quote.v1"].to_pylist()}
    compared = 0
    differing: list[dict[str, Any]] = []
    for book in tables["market.book.v1"].to_pylist():
        quote = quotes.get(book["update_id"])
        if quote is None or book["integrity"] != "VALID":
            continue
        compared += 1
        top = tuple(
            book[name][0]
            for name in ("bid_price_ticks", "bid_size_lots", "ask_price_ticks", "ask_size_lots")
        )
        best = (
            quote["bid_price_ticks"], quote["bid_size_lots"],
            quote["ask_price_ticks"], quote["ask_size_lots"],
        )  # fmt: skip
        if top != best:
            differing.append(book)
    return compared, differing


def _book_name(payload: str) -> str:
    frame = json.loads(payload)
    return str(frame[-1] if isinstance(frame, list) else frame["arg"]["instId"])


def _best_bid(book: dict[str, Any]) -> str:
    scale = instrument_of(book["instrument"]).price_scale
    return str(Decimal(book["bid_price_ticks"][0]).scaleb(-scale).normalize())


def _with_level(payload: str, price: str) -> str:
    frame = json.loads(payload)
    if isinstance(frame, list):
        frame[-3].setdefault("b", []).append([price, "0.12345678", "1618678133.0"])
    else:
        frame["data"][0]["bids"].append([price, "77.7", "0", "1"])
    return json.dumps(frame)

"""What fuzzing found in the feeds: names, lines, files and updates that broke or held up a feed."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest
import zstandard

from feeds import compressed, limits
from feeds.compressed import read_pieces
from feeds.dialects import UNKNOWN, venue_of_address, venue_of_frames
from feeds.live_frames import books_of, named, quotes_of, trades_of
from feeds.mapping import read_mapping
from feeds.opening import open_feed
from headrace.errors import FeedError
from headrace.feed import Feed, FeedOptions
from headrace.pace import parse_speed


def payloads_of(feed: Feed) -> list[str]:
    return [payload for found in feed.blocks({}) for payload in found.payloads]


@pytest.mark.parametrize("name", ["~nobody-of-that-name/x", "a\0b", "a" * 5_000, "\udc80"])
@pytest.mark.parametrize("form", ["capture:{}", "table:{}", "table:x.csv?map={}"])
def test_path_that_cannot_be_is_said_to_the_person(
    name: str, form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("x.csv").write_text("ts_us,symbol,bid,ask\n1,A,1,2\n")

    with pytest.raises(FeedError, match="expected"):
        open_feed(form.format(name), FeedOptions())


def test_mapping_nested_too_deep_is_said_to_the_person(tmp_path: Path) -> None:
    path = tmp_path / "map.toml"
    path.write_text("columns = " + "[" * 5_000 + "]" * 5_000)

    with pytest.raises(FeedError, match="expected TOML"):
        read_mapping(path)


@pytest.mark.parametrize("address", ["wss://[x", "wss://a\u2100b/ws", "wss://[::1]x/"])
def test_address_that_is_none_is_of_no_venue(address: str) -> None:
    assert venue_of_address(address) == UNKNOWN


def test_session_opened_at_an_address_that_is_none_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "session.raw"
    path.write_text('wss://[x <-> 1618678133.1\n1618678133.2: {"a":1}\n')

    assert payloads_of(open_feed(f"capture:{path}", FeedOptions())) == ['{"a":1}']


def test_venue_of_a_frame_of_a_million_slashes_is_told_at_once() -> None:
    """Two parts of the pattern could match each slash: time rose with the square, an hour here."""
    assert venue_of_frames(['[1,"trade","' + "/" * 1_000_000]) == UNKNOWN


@pytest.mark.parametrize("text", ["1e308", "1e10", "1e-320", "1e-7"])
def test_speed_beyond_what_times_can_carry_is_refused(text: str) -> None:
    with pytest.raises(FeedError, match="expected max or a number"):
        parse_speed(text)


def test_gzip_of_many_empty_members_is_read_by_little_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was read ahead grew with each member: in the end the whole file was copied each time."""
    path = tmp_path / "empty.gz"
    path.write_bytes(gzip.compress(b"") * 20_000 + gzip.compress(b"last"))
    most = 0

    class Watched:
        def __init__(self, bits: int) -> None:
            self._stream = zlib_decompressor(bits)

        def __getattr__(self, name: str) -> Any:
            return getattr(self._stream, name)

        def decompress(self, data: bytes, length: int) -> bytes:
            nonlocal most
            most = max(most, len(data))
            found: bytes = self._stream.decompress(data, length)
            return found

    zlib_decompressor = compressed.zlib.decompressobj
    monkeypatch.setattr(compressed.zlib, "decompressobj", Watched)

    assert b"".join(read_pieces(path, 2**16)) == b"last"
    assert most <= 2**16


def test_gzip_member_behind_a_megabyte_of_padding_is_read(tmp_path: Path) -> None:
    path = tmp_path / "padded.gz"
    path.write_bytes(gzip.compress(b"first") + bytes(2**20) + gzip.compress(b"last"))

    assert b"".join(read_pieces(path, 2**16)) == b"firstlast"


def test_zstd_bomb_comes_in_pieces_of_a_written_size(tmp_path: Path) -> None:
    """Four bytes can stand for 128 KiB: 8 KiB of them were a quarter of a gigabyte at once."""
    path = tmp_path / "bomb.zst"
    path.write_bytes(zstandard.ZstdCompressor(level=19).compress(bytes(2**29)))

    most = max(len(piece) for piece in read_pieces(path, 2**16))

    assert most <= 2 * limits.LINE_BYTES_MAX


def table(tmp_path: Path, columns: dict[str, Any], *, mapping: str = "") -> Feed:
    path = tmp_path / "ticks.parquet"
    pyarrow.parquet.write_table(pa.table(columns), path)
    (tmp_path / "map.toml").write_text(mapping)
    return open_feed(f"table:{path}" + ("?map=" + str(tmp_path / "map.toml") if mapping else ""),
                     FeedOptions())  # fmt: skip


def test_csv_row_whose_time_is_no_utf8_is_malformed(tmp_path: Path) -> None:
    path = tmp_path / "ticks.csv"
    path.write_bytes(b"ts_us,symbol,bid,ask\n\xff\xfe,A,1,2\n5,\xff,1,2\n6,A,1,2\n")
    feed = open_feed(f"table:{path}", FeedOptions())

    assert len(payloads_of(feed)) == 1
    assert feed.counts == {"row_malformed": 2}


def test_csv_with_a_column_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ticks.csv"
    path.write_bytes(b"ts_us,symbol,bid,ask,bid\n5,A,1,2,3\n")

    with pytest.raises(FeedError, match="the column bid of the mapping once"):
        open_feed(f"table:{path}", FeedOptions())


def test_parquet_timestamp_finer_than_the_mapping_says_keeps_its_nanoseconds(
    tmp_path: Path,
) -> None:
    times = pa.array([1_500_000_000_000_000_001], pa.timestamp("ns"))
    columns = {"t": times, "symbol": ["A"], "bid": ["1"], "ask": ["2"]}
    mapping = '[columns]\nts="t"\nsymbol="symbol"\nbid="bid"\nask="ask"\n'
    feed = table(tmp_path, columns, mapping='ts_unit="us"\n' + mapping)

    (found,) = feed.blocks({})

    assert found.receive_times_ns.tolist() == [1_500_000_000_000_000_001]


def test_parquet_timestamp_beyond_64_bits_of_nanoseconds_is_a_malformed_row(tmp_path: Path) -> None:
    times = pa.array([datetime(9999, 1, 1, tzinfo=UTC), datetime(2020, 1, 1, tzinfo=UTC)])
    columns = {"ts_us": times.cast(pa.timestamp("s")), "symbol": ["A", "A"]}
    feed = table(tmp_path, columns | {"bid": ["1", "1"], "ask": ["2", "2"]})

    assert len(payloads_of(feed)) == 1
    assert feed.counts == {"row_malformed": 1}


def test_parquet_column_of_lists_makes_malformed_rows(tmp_path: Path) -> None:
    columns = {"ts_us": [5], "symbol": [["A"]], "bid": ["1"], "ask": ["2"]}
    feed = table(tmp_path, columns)

    assert payloads_of(feed) == []
    assert feed.counts == {"row_malformed": 1}


def test_recording_whose_repetition_would_leave_64_bits_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "long.raw"
    path.write_text('1000000000000000000 {"a":1}\n8999999999999999999 {"a":2}\n')
    feed = open_feed(f"capture:{path}", FeedOptions(repeat=3))

    with pytest.raises(FeedError, match="a line with a damaged time"):
        payloads_of(feed)


async def _updates(updates: list[Any]) -> AsyncIterator[Any]:
    for update in updates:
        yield update


def live(kind: str, updates: list[Any]) -> list[Any]:
    """Return the frames that a venue's updates become."""
    made = {
        "trades": lambda: trades_of(_updates(updates)),
        "quotes": lambda: quotes_of(_updates(updates)),
        "books": lambda: books_of(_updates(updates), is_quoting=True),
    }[kind]()

    async def gathered() -> list[Any]:
        return [json.loads(payload) async for _, payload in named(made, "x")]

    return asyncio.run(gathered())


GOOD_TRADE = {"symbol": "A/B", "price": 1.5, "amount": 2, "side": "buy", "id": "7", "timestamp": 5}


@pytest.mark.parametrize(
    "odd",
    [
        {"price": None}, {"price": "x"}, {"price": float("nan")}, {"price": float("inf")},
        {"amount": None}, {"price": "1e1000000"}, {"price": "1" * 5_000}, {"symbol": None},
    ],
    ids=range(8),
)  # fmt: skip
def test_live_trade_without_its_figures_is_left_out_and_the_session_goes_on(
    odd: dict[str, Any],
) -> None:
    frames = live("trades", [[GOOD_TRADE | odd, GOOD_TRADE]])

    assert [frame["price"] for frame in frames] == ["1.5"]


@pytest.mark.parametrize(
    ("odd", "field"),
    [
        ({"id": "9" * 5_000}, "trade_id"),
        ({"id": "٣"}, "trade_id"),
        ({"side": 'x","price":"9'}, "side"),
        ({"timestamp": 10**30}, "event_time_ns"),
        ({"timestamp": -5}, "event_time_ns"),
        ({"timestamp": "soon"}, "event_time_ns"),
    ],
)
def test_live_trade_with_an_odd_side_field_goes_without_it(odd: dict[str, Any], field: str) -> None:
    (frame,) = live("trades", [[GOOD_TRADE | odd]])

    assert frame[field] is None
    assert frame["price"] == "1.5"


@pytest.mark.parametrize(
    "levels", [[[None, 1]], [[1]], [["x", 1]], [[]]], ids=["none", "no size", "no number", "empty"]
)
def test_live_book_with_a_level_that_is_none_is_left_out(levels: list[Any]) -> None:
    good = {"symbol": "A/B", "bids": [[1, 2]], "asks": [[3, 4]]}

    frames = live("books", [good | {"bids": levels}, good])

    assert [frame["type"] for frame in frames] == ["quote", "book"]


def test_live_quote_of_no_finite_number_is_left_out() -> None:
    good = {"bid": 1, "bidVolume": 2, "ask": 3, "askVolume": 4}

    frames = live("quotes", [{"A/B": good | {"bid": float("nan")}, "C/D": good}])

    assert [frame["instrument"] for frame in frames] == ["live-x:C/D"]


def test_live_symbol_of_half_a_character_is_left_out() -> None:
    assert live("trades", [[GOOD_TRADE | {"symbol": "\ud800"}]]) == []


@pytest.mark.parametrize("side", [5, [5], None, {"1": 2}], ids=range(4))
def test_live_book_whose_side_is_no_list_is_left_out(side: Any) -> None:
    assert live("books", [{"symbol": "A/B", "bids": side, "asks": [[3, 4]]}]) == []


def test_csv_row_with_a_field_too_many_that_is_no_utf8_is_counted(tmp_path: Path) -> None:
    """Arrow asked us about the row, failed to decode it, and went on without telling."""
    path = tmp_path / "ticks.csv"
    path.write_bytes(b"ts_us,symbol,bid,ask\n5,A,1,2,\xff\n6,A,1,2\n")
    feed = open_feed(f"table:{path}", FeedOptions())

    assert len(payloads_of(feed)) == 1
    assert feed.counts == {"row_fields_mismatch": 1}


@pytest.mark.parametrize("form", ["{}", "capture:{}", "live:{}", "sim:{}", "table:x?{}"])
def test_text_of_a_megabyte_is_not_repeated_in_its_error(form: str) -> None:
    with pytest.raises(FeedError) as caught:
        open_feed(form.format("x" * 2**20), FeedOptions())

    assert len(str(caught.value)) < 1_000

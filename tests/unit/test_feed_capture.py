"""Captures: what each line becomes, and what is said of input that is damaged."""

import gzip
from collections import Counter
from pathlib import Path
from random import Random

import pytest
import zstandard

from feeds import open_feed
from feeds.lines import parse_lines
from headrace.errors import FeedError
from headrace.feed import Feed, FeedOptions

NS = 1_723_161_256_172_216_566
BOOK_TICKER = '{"stream":"btcusdt@bookTicker","data":{"u":1,"s":"BTCUSDT"}}'


def lines(count: int, *, first_ns: int = NS, symbol: str = "btcusdt") -> str:
    return "".join(
        f'{first_ns + index * 1_000} {{"stream":"{symbol}@trade","data":{{"t":{index}}}}}\n'
        for index in range(count)
    )


def read(
    feed: Feed, resume_after: dict[str, int] | None = None
) -> list[tuple[str, str, int, int, str]]:
    rows = [
        row
        for block in feed.blocks(resume_after or {})
        for row in zip(
            block.sources,
            block.venues,
            block.sequences.tolist(),
            block.receive_times_ns.tolist(),
            block.payloads,
            strict=True,
        )
    ]
    tally = feed.tally
    assert tally.frames == len(rows)
    assert tally.lines_read == tally.frames + sum(tally.dropped.values())
    assert feed.counts is tally.dropped
    return rows


def capture(path: Path, text: str | bytes, **options: object) -> Feed:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return open_feed(f"capture:{path}", FeedOptions(**options))  # type: ignore[arg-type]


def test_form_1_is_read_to_the_nanosecond(tmp_path: Path) -> None:
    rows = read(capture(tmp_path / "spot_btcusdt_20240808.gz", f"{NS} {BOOK_TICKER}\n"))

    assert rows == [("spot_btcusdt", "binance", 1, NS, BOOK_TICKER)]


@pytest.mark.parametrize(
    ("text", "expected_ns"),
    [
        ("1618677817.061845", 1618677817061845000),
        ("1618677817.0618958", 1618677817061895800),
        ("1618677817.123456789", 1618677817123456789),
        ("1618677817.1234567899", 1618677817123456789),
        ("1618677817", 1618677817000000000),
    ],
)
def test_seconds_become_nanoseconds_exactly(text: str, expected_ns: int) -> None:
    parsed = parse_lines(f"{text}: {{}}\n".encode(), cut=False)

    assert parsed.receive_times_ns.tolist() == [expected_ns]
    assert parsed.times_scaled == 0


def test_form_2_tells_frames_from_what_the_client_sent(tmp_path: Path) -> None:
    text = (
        "wss://ws.kraken.com <-> 1618678132.3858151\n"
        'wss://ws.kraken.com <- 1618678132.8: {"event":"subscribe"}\n'
        'https://api.kraken.com/0/x?y=1 -> 1618678132.81: {"result":{}}\n'
        'configuration: {"a":1}\n'
        '1618678132.9: {"event":"systemStatus"}\n\n'
    )

    feed = capture(tmp_path / "KRAKEN.ws.50.0", text)

    assert read(feed) == [
        ("KRAKEN.ws.50.0", "kraken", 1, 1618678132900000000, '{"event":"systemStatus"}')
    ]
    assert feed.counts == {
        "line_session_opened": 1,
        "line_client_sent": 1,
        "line_http_answer": 1,
        "line_configuration": 1,
        "line_empty": 1,
    }


@pytest.mark.parametrize(
    ("address", "venue"),
    [
        ("wss://stream.binance.com:9443/stream?streams=a@trade", "binance"),
        ("wss://fstream.binance.com/market", "binance"),
        ("wss://ws-feed.pro.coinbase.com", "coinbase"),
        ("wss://advanced-trade-ws.coinbase.com", "coinbase"),
        ("wss://ws.kraken.com/v2", "kraken"),
        ("wss://futures.kraken.com/ws/v1", "unknown"),
        ("wss://ws.okx.com:8443/ws/v5/public", "okx"),
        ("wss://ws.bitstamp.net/", "bitstamp"),
        ("wss://stream.bybit.com/v5/public/spot", "bybit"),
        ("wss://notkraken.com", "unknown"),
    ],
)
def test_the_address_tells_the_venue(tmp_path: Path, address: str, venue: str) -> None:
    text = f'{address} <-> 1618678132.3\n1618678132.9: {{"a":1}}\n'

    assert [row[1] for row in read(capture(tmp_path / "x", text))] == [venue]


@pytest.mark.parametrize(
    ("payload", "venue"),
    [
        ('{"lastUpdateId":1,"bids":[],"asks":[]}', "binance"),
        ('{"topic":"orderbook.50.BTCUSDT","type":"snapshot"}', "bybit"),
        ('{"arg":{"channel":"books","instId":"BTC-USDT"},"data":[]}', "okx"),
        ('{"channel":"book","type":"update","data":[]}', "kraken"),
        ('[336,{"b":[]},"book-1000","XBT/USD"]', "kraken"),
        ('{"type":"l2update","product_id":"BTC-USD"}', "coinbase"),
        ('{"channel":"l2_data","timestamp":"","sequence_num":0}', "coinbase"),
        ('{"data":{},"channel":"live_trades_btcusd","event":"trade"}', "bitstamp"),
        ('{"type":"trade","instrument":"sim:SIM01"}', "plain"),
        ('{"what":"ever"}', "unknown"),
    ],
)
def test_without_an_address_the_shape_tells_the_venue(
    tmp_path: Path, payload: str, venue: str
) -> None:
    assert [row[1] for row in read(capture(tmp_path / "x", f"{NS} {payload}\n"))] == [venue]


def test_times_in_other_units_are_scaled_and_counted(tmp_path: Path) -> None:
    text = "".join(
        f"{time} {BOOK_TICKER}\n" for time in (NS, NS // 10**3, NS // 10**6, NS // 10**9)
    )

    feed = capture(tmp_path / "x", text)

    assert [row[3] for row in read(feed)] == [
        NS, NS // 10**3 * 10**3, NS // 10**6 * 10**6, NS // 10**9 * 10**9,
    ]  # fmt: skip
    assert feed.tally.notes == {"receive_time_unit_scaled": 3, "receive_time_backwards": 3}


def test_times_that_run_backwards_are_kept_in_their_place(tmp_path: Path) -> None:
    (tmp_path / "a").write_text(f"{NS + 10} {BOOK_TICKER}\n{NS} {BOOK_TICKER}\n")
    (tmp_path / "b").write_text(f"{NS + 5} {BOOK_TICKER}\n{NS + 20} {BOOK_TICKER}\n")

    feed = open_feed(f"capture:{tmp_path}", FeedOptions())

    assert [(row[0], row[3] - NS) for row in read(feed)] == [
        ("b", 5), ("a", 10), ("a", 0), ("b", 20),
    ]  # fmt: skip
    assert feed.tally.notes == {"receive_time_backwards": 1}


@pytest.mark.parametrize(
    "line",
    [
        "hello",
        "{}",
        f"{NS}",
        f"{NS} ",
        f"{NS}{{}}",
        f"9{NS} {{}}",
        f"{NS // 10} {{}}",
        f"-{NS} {{}}",
        "9999999999999999999 {}",
        "\x00\x01",
        f"{NS}:{{}}",
        "a://b <? c",
    ],
)
def test_a_line_of_neither_form_is_dropped_and_counted(tmp_path: Path, line: str) -> None:
    feed = capture(tmp_path / "x", f"{lines(1)}{line}\n{lines(1)}")

    assert len(read(feed)) == 2
    assert feed.counts == {"line_malformed": 1}


def test_line_endings_and_exotic_separators_do_not_split_frames(tmp_path: Path) -> None:
    payload = '{"stream":"x@y","data":"a\u2028b\x0bc\x1cé"}'

    rows = read(capture(tmp_path / "x", f"{NS} {payload}\r\n\r\n{NS} {payload}".encode()))

    assert [row[4] for row in rows] == [payload, payload]


def test_bytes_that_are_not_utf8_are_escaped(tmp_path: Path) -> None:
    rows = read(capture(tmp_path / "x", f"{NS} ".encode() + b'{"a":"\xff\xfe"}\n'))

    assert rows[0][4] == '{"a":"\\xff\\xfe"}'


def test_a_last_line_cut_short_is_truncated_a_whole_one_is_not(tmp_path: Path) -> None:
    whole = capture(tmp_path / "x", lines(3).rstrip("\n"))
    cut = capture(tmp_path / "y", lines(3).rstrip("}\n"))

    assert (len(read(whole)), whole.counts) == (3, {})
    assert (len(read(cut)), cut.counts) == (2, {"line_truncated": 1})


@pytest.mark.parametrize(
    "compress", [gzip.compress, zstandard.ZstdCompressor().compress], ids=["gzip", "zstd"]
)
def test_a_truncated_file_gives_what_came_before_and_says_where(tmp_path: Path, compress) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    noise = Random(7)  # noqa: S311 text that does not compress well
    text = "".join(f'{NS + i} {{"stream":"a@b","data":{noise.random()}}}\n' for i in range(20_000))
    (tmp_path / "b.gz").write_text(lines(5))
    packed = compress(text.encode())
    (tmp_path / "a.gz").write_bytes(packed[: len(packed) * 2 // 3])

    feed = open_feed(f"capture:{tmp_path}", FeedOptions())
    by_source = Counter(row[0] for row in read(feed))

    assert 1_000 < by_source["a"] < 20_000
    assert by_source["b"] == 5
    assert feed.counts["line_truncated"] <= 1
    assert feed.tally.notes["file_cut"] == 1
    assert "a.gz" in feed.tally.faults[0]
    assert "decompressed bytes" in feed.tally.faults[0]


def test_members_put_end_to_end_are_one_file(tmp_path: Path) -> None:
    gz = capture(
        tmp_path / "x", gzip.compress(lines(2).encode()) + gzip.compress(lines(3).encode())
    )
    zst = capture(tmp_path / "y", b"".join(zstandard.compress(lines(n).encode()) for n in (2, 3)))

    assert (len(read(gz)), len(read(zst))) == (5, 5)


def test_the_first_bytes_tell_the_compression_not_the_name(tmp_path: Path) -> None:
    assert len(read(capture(tmp_path / "plain.gz", lines(3)))) == 3
    assert len(read(capture(tmp_path / "packed.txt", gzip.compress(lines(3).encode())))) == 3


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "file_empty"),
        (b"\x1f\x8b\x08\x00garbage garbage garbage", "file_not_decompressible"),
        (bytes(range(256)) * 40, "file_not_a_capture"),
        (b"a,b,c\n1,2,3\n", "file_not_a_capture"),
    ],
)
def test_a_file_that_is_bad_from_its_first_byte(
    tmp_path: Path, content: bytes, reason: str
) -> None:
    with pytest.raises(FeedError, match=r"expected recorded frames.*found.*bad\.gz"):
        capture(tmp_path / "bad.gz", content)

    (tmp_path / "good.gz").write_text(lines(2))
    feed = open_feed(f"capture:{tmp_path}", FeedOptions())
    assert len(read(feed)) == 2
    assert feed.tally.notes == {reason: 1}


def test_a_line_without_end_is_dropped_within_bounded_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("feeds.limits.LINE_BYTES_MAX", 100_000)
    endless = f"{NS} " + "x" * 5_000_000

    feed = capture(tmp_path / "x", f"{lines(2)}{endless}\n{lines(3)}")

    assert len(read(feed)) == 5
    assert feed.counts == {"line_too_long": 1}


def test_days_of_one_source_follow_one_another(tmp_path: Path) -> None:
    (tmp_path / "btc_20240809.gz").write_text(lines(2, first_ns=NS + 10**9))
    (tmp_path / "btc_20240808.gz").write_text(lines(3))

    rows = read(open_feed(f"capture:{tmp_path}", FeedOptions()))

    assert [(row[0], row[2]) for row in rows] == [("btc", n) for n in range(1, 6)]
    assert [row[3] for row in rows] == sorted(row[3] for row in rows)


def test_sources_of_the_same_name_are_told_apart(tmp_path: Path) -> None:
    for name in ("a/btc.gz", "b/btc.gz", "a/eth.gz", "a/eth.zst"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(lines(1))

    feed = open_feed(f"capture:{tmp_path}/a,{tmp_path}/b", FeedOptions())

    assert {row[0] for row in read(feed)} == {"a/btc", "b/btc", "eth.gz", "eth.zst"}


def test_symbols_keep_the_frames_of_these_only(tmp_path: Path) -> None:
    snapshot = f'{NS} {{"lastUpdateId":1}}\n'
    text = lines(2) + snapshot + lines(3, symbol="ethusdt") + snapshot

    feed = capture(tmp_path / "x", text, symbols=frozenset(["BtcUsdt"]))

    assert [row[2] for row in read(feed)] == [1, 2, 3]
    assert feed.counts == {"not_selected": 4}


def test_symbols_of_other_venues_are_whole_names(tmp_path: Path) -> None:
    text = "".join(
        f'{NS} {{"type":"match","product_id":"{name}"}}\n' for name in ("BTC-USD", "WBTC-USD")
    )

    feed = capture(tmp_path / "x", text, symbols=frozenset(["btc-usd"]))

    assert [row[4] for row in read(feed)] == ['{"type":"match","product_id":"BTC-USD"}']


def test_identity_names_the_input_and_the_choice_but_not_the_repeats(tmp_path: Path) -> None:
    plain = capture(tmp_path / "x", lines(2)).identity

    assert capture(tmp_path / "x", lines(2), repeat=20).identity == plain
    assert capture(tmp_path / "x", lines(2), symbols=frozenset(["A"])).identity != plain
    assert capture(tmp_path / "x", lines(3)).identity != plain


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "capture:/nowhere/at/all",
            "expected a file or a directory at /nowhere/at/all, found nothing",
        ),
        ("capture:", "found no path"),
        ("captures:x", "expected one of capture:PATH"),
        ("", "expected one of capture:PATH"),
    ],
)
def test_a_feed_that_cannot_be_opened_says_why(text: str, message: str) -> None:
    with pytest.raises(FeedError, match=message):
        open_feed(text, FeedOptions())


def test_an_empty_directory_says_so(tmp_path: Path) -> None:
    with pytest.raises(FeedError, match="found none"):
        open_feed(f"capture:{tmp_path}", FeedOptions())

"""The recorded market data, whole files: nothing is lost, everything is in order."""

import gzip
from collections import Counter
from pathlib import Path

import pytest

from feeds import open_feed
from headrace.feed import FeedOptions

BINANCE_FRAMES = {
    "usdm_btcusdt_20240808": 93_954,
    "usdm_ethusdt_20240808": 74_655,
    "cm_btcusd_perp_20240808": 48_270,
    "cm_btcusd_perp_20240809": 50_116,
    "spot_btcusdt_20240808": 41_249,
    "spot_btcusdt_20240809": 58_325,
    "spot_ethusdt_20240808": 33_618,
    "spot_ethusdt_20240809": 46_126,
}
OPENED = {"line_session_opened": 1}


def test_all_binance_files_are_merged_in_the_order_of_a_plain_sort(shared_data: Path) -> None:
    feed = open_feed(f"capture:{shared_data / 'binance'}", FeedOptions())
    rows = []
    for block in feed.blocks({}):
        assert set(block.venues) == {"binance"}
        rows += list(
            zip(
                block.receive_times_ns.tolist(),
                block.sources,
                block.sequences.tolist(),
                strict=True,
            )
        )

    plain = []
    for source in sorted({name.rpartition("_")[0] for name in BINANCE_FRAMES}):
        files = sorted((shared_data / "binance").glob(f"{source}_2*.gz"))
        lines = [line for file in files for line in gzip.decompress(file.read_bytes()).splitlines()]
        plain += [(int(line[:19]), source, place) for place, line in enumerate(lines, 1)]
    assert len(rows) == 446_313
    assert rows == sorted(plain)
    assert feed.tally.lines_read == feed.tally.frames == 446_313
    assert not feed.counts


@pytest.mark.parametrize("name", BINANCE_FRAMES)
def test_each_binance_file_holds_the_frames_its_readme_counts(shared_data: Path, name: str) -> None:
    feed = open_feed(f"capture:{shared_data / 'binance' / name}.gz", FeedOptions())

    kinds: Counter[str] = Counter()
    for block in feed.blocks({}):
        kinds.update(payload[11:].partition('"')[0].partition("@")[2] for payload in block.payloads)

    assert kinds.total() == BINANCE_FRAMES[name]
    if name == "usdm_btcusdt_20240808":
        # the one frame without a stream is the REST snapshot
        assert kinds == {"bookTicker": 66_089, "trade": 21_313, "depth@0ms": 6_551, "": 1}


@pytest.mark.parametrize(
    ("name", "venue", "frames", "dropped"),
    [
        ("COINBASE.ws.28.0", "coinbase", 9_946, {**OPENED, "line_client_sent": 3, "line_empty": 2}),
        ("KRAKEN.ws.50.0", "kraken", 4_321, {**OPENED, "line_client_sent": 1, "line_empty": 2}),
        ("OKX.ws.1.0", "okx", 410, {**OPENED, "line_client_sent": 3}),
        ("BITSTAMP.ws.1.0", "bitstamp", 747, {**OPENED, "line_client_sent": 20}),
        ("BINANCE.ws.1.0", "binance", 265, {**OPENED, "line_empty": 1}),
    ],
)
def test_sessions_hold_the_frames_received_and_count_the_rest(
    shared_data: Path, name: str, venue: str, frames: int, dropped: dict[str, int]
) -> None:
    feed = open_feed(f"capture:{shared_data / 'captures' / name}.gz", FeedOptions())

    blocks = list(feed.blocks({}))

    assert {item for block in blocks for item in block.venues} == {venue}
    assert sum(len(block.payloads) for block in blocks) == frames
    assert feed.counts == dropped
    assert feed.tally.lines_read == frames + sum(dropped.values())


def test_a_second_pass_is_the_first_one_later(shared_data: Path) -> None:
    text = f"capture:{shared_data / 'captures'}"
    once = [row for block in open_feed(text, FeedOptions()).blocks({}) for row in block.payloads]
    feed = open_feed(text, FeedOptions(repeat=2))

    payloads, shifts = [], set()
    last: dict[str, int] = {}
    for block in feed.blocks({}):
        payloads += block.payloads
        shifts |= set(zip(block.pass_indexes.tolist(), block.time_shifts_ns.tolist(), strict=True))
        for source, sequence in zip(block.sources, block.sequences.tolist(), strict=True):
            assert sequence == last.get(source, 0) + 1
            last[source] = sequence

    assert payloads == once + once
    assert len(shifts) == 2
    assert min(shifts) == (0, 0)


def test_fx_ticks_keep_every_row_and_decimal(shared_data: Path) -> None:
    feed = open_feed(f"table:{shared_data / 'fx'}", FeedOptions(symbols=frozenset(["xauusd"])))

    first = None
    for block in feed.blocks({}):
        first = first or (block.payloads[0], int(block.receive_times_ns[0]))

    assert first == (
        (
            '{"type":"quote","instrument":"table:XAUUSD","bid":"1300.335","bid_size":"1",'
            '"ask":"1300.799","ask_size":"1","update_id":null,"event_time_ns":1399248000040187000}'
        ),
        1399248000040187000,
    )
    assert feed.tally.frames == 347_756
    assert feed.counts == {"not_selected": 573_279 + 273_925 + 551_678}

"""Recordings and tables as they lie on a disk: lines, packed streams, whole files, columns."""

import gzip
import zlib
from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import structlog
import zstandard

from agents.venues import READERS
from feeds import limits
from feeds.compressed import CutFileError, read_pieces
from feeds.dialects import UNKNOWN, venue_of_address, venue_of_frames
from feeds.lines import looks_like_capture, parse_lines
from feeds.opening import open_feed
from feeds.selection import SymbolSelection
from headrace.errors import FeedError
from headrace.feed import FeedOptions
from tests.fuzz.mutation import (
    BYTE_TOKEN,
    ODD_BYTES,
    ODD_NUMBERS,
    ODD_STRINGS,
    TEXT_TOKEN,
    Mutator,
)
from tests.fuzz.recordings import lines_of
from tests.fuzz.scratch import new_folder
from tests.fuzz.target import Check, Target, require
from tests.fuzz.targets.frame_samples import frames

PIECE_BYTES = 2**16
DECOMPRESSED_BYTES_MAX = 256 * 2**20
"""Read of one file, then no more: a bomb is to come in pieces, not to be run through."""

_SELECTION = SymbolSelection(frozenset({"BTCUSDT", "XBT/USD", "btc-usd"}))


def _lines(records: Sequence[bytes]) -> None:
    """Every line is a frame or dropped by name; the cut into chunks changes nothing."""
    chunk = b"\n".join(record.replace(b"\n", b"") for record in records) + b"\n"
    parsed = parse_lines(chunk, cut=False)
    require(parsed.lines == len(records), f"{parsed.lines} lines of {len(records)}")
    count = len(parsed.payloads)
    require(count == len(parsed.receive_times_ns), "times and frames differ")
    require(count + parsed.dropped.total() == parsed.lines, "a line in no account")
    require((parsed.receive_times_ns >= 10**18).all(), "a time before 2001")
    require(all(0 <= at <= count for at, _ in parsed.openings), "an opening beyond the frames")
    border = chunk.find(b"\n", len(chunk) // 2) + 1
    parts = [parse_lines(part, cut=False) for part in (chunk[:border], chunk[border:]) if part]
    require([p for part in parts for p in part.payloads] == parsed.payloads, "cut: other frames")
    require(
        np.concatenate([part.receive_times_ns for part in parts]).tolist()
        == parsed.receive_times_ns.tolist(),
        "cut: other times",
    )
    looks_like_capture(chunk[:PIECE_BYTES])
    for _, address in parsed.openings:
        require(venue_of_address(address) in {*READERS, UNKNOWN}, address)
    venue = venue_of_frames(parsed.payloads)
    require(venue in {*READERS, UNKNOWN}, venue)
    require(len(_SELECTION.keep(venue, parsed.payloads)) == count, "selection")
    parse_lines(chunk[: len(chunk) * 2 // 3], cut=True)


def _line_seeds() -> list[bytes]:
    session = [
        b"wss://stream.binance.com:9443/stream <-> 1618678133.36",
        b'wss://ws.kraken.com <- 1618678133.4: {"event":"subscribe"}',
        b"https://api.binance.com/depth -> 1618678133.5: {}",
        b'1618678133.365913: {"e":"trade"}',
        b"configuration: {}",
        b'1618678133365 {"a":1}',
        b'1618678133365913 [1,"trade","A/B"]',
        b"",
    ]
    written = [
        b"16186781333659130%02d " % (index % 100) + frame
        for venue in READERS
        for index, frame in enumerate(frames(venue)[:40])
    ]
    recorded = lines_of("captures/KRAKEN.ws.50.0.gz", 60) + lines_of("captures/OKX.ws.1.0.gz", 60)
    return session * 4 + written + [line for line in recorded if len(line) < 2_000]


def _in_file(suffix: str, read: Callable[[Path], None]) -> Callable[[], Check]:
    """Return what opens a check that writes each input to a file and has it read."""

    def open_check() -> Check:
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
        path = new_folder() / f"source_20240808{suffix}"

        def check(records: Sequence[bytes]) -> None:
            for record in records:
                path.write_bytes(record)
                read(path)

        return check

    return open_check


def _packed(path: Path) -> None:
    """A stream is read to its end, or to a fault that is told; in pieces of a written size."""
    total = 0
    try:
        for piece in read_pieces(path, PIECE_BYTES):
            require(piece, "an empty piece")
            require(len(piece) <= limits.LINE_BYTES_MAX + PIECE_BYTES, f"{len(piece):,} bytes")
            total += len(piece)
            if total > DECOMPRESSED_BYTES_MAX:
                return
    except CutFileError as error:
        require(error.position_bytes == total, f"{error} at {total}")


def _packed_seeds() -> list[bytes]:
    text = b"\n".join(_line_seeds()[:60]) + b"\n"
    members = gzip.compress(text[:900]) + gzip.compress(b"") + gzip.compress(text[900:1_500])
    small = zstandard.ZstdCompressor(level=1)
    stream = small.compress(text[:900]) + b"\x50\x2a\x4d\x18\x04\0\0\0skip" + small.compress(text)
    bomb = zlib.compressobj(9, zlib.DEFLATED, 31)
    zeros = bomb.compress(bytes(2**22)) + bomb.flush()
    return [
        members, gzip.compress(text), stream, small.compress(text), zeros, text,
        zstandard.ZstdCompressor(level=19).compress(bytes(2**22)), gzip.compress(b"") * 50,
        zstandard.ZstdCompressor(write_checksum=True).compress(text), members + b"\0" * 100,
    ]  # fmt: skip


def _capture(path: Path) -> None:
    _read("capture", path)


def _table(path: Path) -> None:
    _read("table", path)


def _read(kind: str, path: Path) -> None:
    """A file is refused in words, or every line of it is a frame or dropped by name."""
    try:
        feed = open_feed(f"{kind}:{path}", FeedOptions(repeat=2))
    except FeedError as error:
        require(len(str(error)) < 100_000, "an error without a limit")
        return
    last: dict[str, int] = {}
    try:
        for block in feed.blocks({}):
            lengths = {
                len(column)
                for column in (
                    block.sources, block.venues, block.sequences, block.receive_times_ns,
                    block.time_shifts_ns, block.pass_indexes, block.payloads,
                )
            }  # fmt: skip
            require(len(lengths) == 1, "columns of several lengths")
            require((block.receive_times_ns >= 0).all(), "a time below 0")
            for source, sequence in zip(block.sources, block.sequences.tolist(), strict=True):
                require(sequence == last.get(source, 0) + 1, "a gap in the sequence")
                last[source] = sequence
    except FeedError as error:
        require("damaged time" in str(error), str(error))
        return
    tally = feed.tally
    require(tally.lines_read == tally.frames + tally.dropped.total(), f"{tally}")


def _capture_seeds() -> list[bytes]:
    lines = _line_seeds()
    texts = [b"\n".join(lines[at : at + 25]) + b"\n" for at in range(0, min(len(lines), 250), 25)]
    return [
        *texts, *(gzip.compress(text) for text in texts[:3]),
        *(zstandard.ZstdCompressor().compress(text) for text in texts[:3]),
    ]  # fmt: skip


def _csv_seeds() -> list[bytes]:
    rows = b"".join(b"13989888000%05d,EURUSD,1.38%d,1.39\n" % (n * 7, n) for n in range(12))
    trades = b"".join(b"13989888000%05d,EURUSD,1.38%d,10,buy\n" % (n * 7, n) for n in range(12))
    text = b"ts_utc_us,symbol,bid,ask\n" + rows
    recorded = b"\n".join(lines_of("fx/oanda_eurusd_ticks_20140501_20140508.csv.zst", 30))
    return [
        text, b"ts_ms,symbol,price,size,side\n" + trades, gzip.compress(text),
        zstandard.ZstdCompressor().compress(text), b"\xef\xbb\xbf" + text,
        text.replace(b",", b"\t"), text.replace(b"EURUSD", b'"EUR,USD"'), recorded or text,
    ]  # fmt: skip


def _parquet_seeds() -> list[bytes]:
    columns = {"symbol": ["A", "B", "A"], "bid": ["1.5", "2", "3"], "ask": [1.6, 2.1, 3.5]}
    made = []
    for times in (
        {"ts_us": [1_398_988_800_000_000 + n for n in range(3)]},
        {"ts_us": pa.array([1_398_988_800 + n for n in range(3)], pa.timestamp("s"))},
        {"ts_ns": ["1398988800000000000", None, "x"]},
    ):
        for options in ({}, {"compression": "zstd"}, {"use_dictionary": False, "version": "1.0"}):
            file = BytesIO()
            pyarrow.parquet.write_table(pa.table(times | columns), file, **options)
            made.append(file.getvalue())
    return made


_BYTES = Mutator(BYTE_TOKEN, ODD_BYTES, ODD_BYTES)
_TEXT = Mutator(
    TEXT_TOKEN,
    (*ODD_NUMBERS, *ODD_STRINGS, b"\n", b",", b'"', b"\r", b"\0", b"\xff", b"\xef\xbb\xbf"),
    (b"ts_utc_us", b"ts_ns", b"symbol", b"price", b"size", b"side", b"bid", b"ask", b"\n", b" "),
)
TARGETS = [
    Target(
        "capture_lines", "a line", lambda: _lines, _line_seeds, _TEXT, share=19_470, batch=1_024
    ),
    Target("packed_streams", "a file", _in_file("", _packed), _packed_seeds, _BYTES, 50, 32),
    Target("capture_files", "a file", _in_file("", _capture), _capture_seeds, _TEXT, 50, 16),
    Target("csv_tables", "a file", _in_file(".csv", _table), _csv_seeds, _TEXT, 30, 16),
    Target(
        "parquet_tables", "a file", _in_file(".parquet", _table), _parquet_seeds, _BYTES, 60, 16
    ),
]

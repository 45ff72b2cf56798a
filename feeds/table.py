"""Ticks in CSV or Parquet files as a feed of `plain` frames."""

import codecs
from collections.abc import Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from io import RawIOBase
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pa_parquet

from feeds import limits
from feeds.compressed import CutFileError, chunk_bytes_for, read_pieces
from feeds.faults import note_fault
from feeds.mapping import TableMapping, guess_mapping, read_mapping
from feeds.recording import RecordedFeed, SourceFrames
from feeds.selection import check_symbols
from feeds.sources import Source, find_files, group_sources, identity_of, path_of
from feeds.ticks import frames_of_rows
from headrace.errors import FeedError
from headrace.feed import FeedOptions, FeedTally

SUFFIXES = (".csv", ".csv.gz", ".csv.zst", ".parquet")

_DAMAGE = (pa.ArrowException, OSError)
"""What Arrow raises for a file that is no table, or damaged, or of a kind it does not know."""


def open_table(paths: str, map_file: str | None, options: FeedOptions) -> RecordedFeed:
    """Return the feed of these tables; `map_file` names the mapping, else the columns' names do.

    Raises:  FeedError if a path is missing, a file is no table, or its columns do not fit.
    """
    check_symbols(options.symbols, kind="table")
    files = find_files(paths, kind="table", suffixes=SUFFIXES)
    chosen = read_mapping(path_of(map_file, kind="table")) if map_file else None
    mappings = {}
    for file in files:
        names = _column_names(file)
        mapping = mappings[file] = chosen or guess_mapping(file, names)
        unclear = sorted(name for name in set(mapping.columns.values()) if names.count(name) != 1)
        if unclear:
            raise FeedError(
                f"feed table: {file}: expected the column {', '.join(unclear)} of the mapping "
                f"once; found {', '.join(names)}; correct the mapping (docs/feeds.md)"
            )
    sources = group_sources(files, kind="table")
    symbols = frozenset(map(str.upper, options.symbols))
    choices = f"{sorted(symbols)};{sorted(map(str, mappings.values()))}"
    # a row of a table becomes a frame some six times as long
    block_bytes = chunk_bytes_for(len(sources)) // 2
    readers = [TableReader(source, mappings, symbols, block_bytes) for source in sources]
    tally = FeedTally()
    return RecordedFeed(
        identity_of("table", sources, choices), readers, repeat=options.repeat, tally=tally
    )


def _column_names(file: Path) -> list[str]:
    try:
        if file.suffix == ".parquet":
            return list(pa_parquet.read_schema(file).names)
        with _DecompressedFile(file, limits.HEAD_BYTES, FeedTally()) as stream:
            return list(_open_csv(stream, None, limits.HEAD_BYTES, FeedTally()).schema.names)
    except (*_DAMAGE, UnicodeDecodeError) as error:
        raise FeedError(
            f"feed table: {file}: expected a CSV or Parquet table, found {error}; name another file"
        ) from error


@dataclass(frozen=True, slots=True)
class TableReader:
    """Reads the tables of one source one after the other."""

    source: Source
    mappings: dict[Path, TableMapping]
    symbols: frozenset[str]
    block_bytes: int

    @property
    def name(self) -> str:
        """Return the name of the source."""
        return self.source.name

    def read(self, tally: FeedTally, threads: Executor) -> Iterator[SourceFrames]:
        """Yield the rows as `plain` frames; `threads` is not used: Arrow brings its own."""
        del threads
        for file in self.source.files:
            mapping = self.mappings[file]
            for rows in _read_rows(file, mapping, self.block_bytes, tally):
                frames = frames_of_rows(rows, mapping, self.symbols, tally)
                if frames.payloads:
                    yield frames


def _read_rows(
    file: Path, mapping: TableMapping, block_bytes: int, tally: FeedTally
) -> Iterator[Any]:
    """Yield RecordBatches with the mapped columns; what Arrow cannot go on with ends the file."""
    names = sorted(set(mapping.columns.values()))
    try:
        if file.suffix == ".parquet":
            with pa_parquet.ParquetFile(file) as table:
                yield from table.iter_batches(limits.TABLE_ROWS_MAX, columns=names)
            return
        with _DecompressedFile(file, block_bytes, tally) as stream:
            yield from _open_csv(stream, names, block_bytes, tally)
    except _DAMAGE as error:
        note_fault(tally, "file_cut", file, f"{error}; the rest is dropped")


def _open_csv(
    stream: RawIOBase, names: list[str] | None, block_bytes: int, tally: FeedTally
) -> Any:
    def skip(_row: Any) -> str:
        tally.lines_read += 1
        tally.dropped["row_fields_mismatch"] += 1
        return "skip"

    # texts as they stand in the file: a price keeps its decimals, and is judged later
    convert = pa_csv.ConvertOptions(
        check_utf8=False,
        column_types={name: pa.string() for name in names or ()},
        include_columns=names,
        strings_can_be_null=False,
    )
    return pa_csv.open_csv(
        stream,
        read_options=pa_csv.ReadOptions(block_size=block_bytes, use_threads=False),
        parse_options=pa_csv.ParseOptions(invalid_row_handler=skip),
        convert_options=convert,
    )


def _valid_text(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the same text, bytes that are no UTF-8 replaced; damage is raised behind it."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    for piece in pieces:
        waits = bool(decoder.getstate()[0])
        text = piece if piece.isascii() and not waits else decoder.decode(piece).encode()
        if text:
            yield text
    if rest := decoder.decode(b"", final=True):
        yield rest.encode()


class _DecompressedFile(RawIOBase):
    """A file's decompressed text; damage ends it early and is noted.

    Bytes that are no UTF-8 become a mark that no field may hold: Arrow's reader would lose count of
    the rows they stand in.
    """

    def __init__(self, file: Path, piece_bytes: int, tally: FeedTally) -> None:
        self._file = file
        self._tally = tally
        self._pieces = _valid_text(read_pieces(file, piece_bytes))
        self._rest = b""

    def readable(self) -> bool:
        """Return True: it is read only."""
        return True

    def readinto(self, target: Any) -> int:
        """Fill `target` with the next bytes; 0 at the end."""
        if not self._rest:
            try:
                self._rest = next(self._pieces, b"")
            except CutFileError as error:
                note_fault(self._tally, "file_cut", self._file, f"{error}; the rest is dropped")
        count = min(len(target), len(self._rest))
        target[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count

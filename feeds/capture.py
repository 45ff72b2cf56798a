"""Recorded WebSocket frames as a feed: gzip, zstd or plain files, in the forms of docs/feeds.md."""

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from feeds import limits
from feeds.compressed import Ahead, Chunk, CutFileError, chunk_bytes_for, read_chunks, read_pieces
from feeds.dialects import UNKNOWN, venue_of_address, venue_of_frames
from feeds.faults import note_fault
from feeds.lines import ParsedLines, looks_like_capture, parse_lines
from feeds.recording import RecordedFeed, SourceFrames
from feeds.selection import SymbolSelection, check_symbols
from feeds.sources import Source, find_files, group_sources, identity_of
from headrace.errors import FeedError
from headrace.feed import FeedOptions, FeedTally


def open_capture(paths: str, options: FeedOptions) -> RecordedFeed:
    """Return the feed of these files and directories (separated by commas or `os.pathsep`).

    A file that cannot be used from its first byte on is left out, said loudly and counted.
    Raises:  FeedError if a path is missing, or no file among them can be used.
    """
    check_symbols(options.symbols, kind="capture")
    tally = FeedTally()
    files = find_files(paths, kind="capture")
    usable = [file for file in files if _is_usable(file, tally)]
    if not usable:
        raise FeedError(
            f"feed capture:{paths}: expected recorded frames (`RECV_NS JSON`, or session lines "
            f"`T: FRAME`), gzip, zstd or plain, found {'; '.join(tally.faults)}; "
            "name a capture, docs/feeds.md shows both forms"
        )
    sources = group_sources(usable, kind="capture")
    chunk_bytes = chunk_bytes_for(len(sources))
    identity = identity_of("capture", sources, ",".join(sorted(map(str.upper, options.symbols))))
    readers = [CaptureReader(source, options.symbols, chunk_bytes) for source in sources]
    return RecordedFeed(identity, readers, repeat=options.repeat, tally=tally)


def _is_usable(file: Path, tally: FeedTally) -> bool:
    """Tell whether a file begins as a capture does; if not, note the fault and its reason."""
    try:
        head = next(read_pieces(file, limits.HEAD_BYTES), b"")[: limits.HEAD_BYTES]
    except CutFileError as error:
        reason, found = "file_not_decompressible", str(error)
    except OSError as error:
        reason, found = "file_not_readable", str(error)
    else:
        if looks_like_capture(head):
            return True
        reason, found = "file_not_a_capture", f"no line of either form, first bytes {head[:24]!r}"
        if not head:
            reason, found = "file_empty", "an empty file"
    note_fault(tally, reason, file, found)
    return False


@dataclass(frozen=True, slots=True)
class CaptureReader:
    """Reads the files of one source one after the other."""

    source: Source
    symbols: frozenset[str]
    chunk_bytes: int

    @property
    def name(self) -> str:
        """Return the name of the source."""
        return self.source.name

    def read(self, tally: FeedTally, threads: Executor) -> Iterator[SourceFrames]:
        """Yield the frames of all files; the dialect is the connection's, or that of its frames."""
        selection = SymbolSelection(self.symbols) if self.symbols else None
        venue, is_addressed = UNKNOWN, False
        for file in self.source.files:
            for chunk in Ahead(read_chunks(file, self.chunk_bytes), threads):
                parsed = parse_lines(chunk.text, cut=chunk.fault is not None)
                _count(tally, file, chunk, parsed)
                for address, begin, end in _by_connection(parsed):
                    payloads = parsed.payloads[begin:end]
                    if address:
                        venue, is_addressed = venue_of_address(address), True
                    elif venue == UNKNOWN and not is_addressed:
                        venue = venue_of_frames(payloads)
                    frames = SourceFrames(venue, parsed.receive_times_ns[begin:end], payloads)
                    selected = _select(frames, selection, tally) if selection else frames
                    if selected.payloads:
                        yield selected


def _count(tally: FeedTally, file: Path, chunk: Chunk, parsed: ParsedLines) -> None:
    tally.lines_read += parsed.lines + chunk.lines_too_long
    tally.dropped.update(parsed.dropped)
    if chunk.lines_too_long:
        tally.dropped["line_too_long"] += chunk.lines_too_long
    if parsed.times_scaled:
        tally.notes["receive_time_unit_scaled"] += parsed.times_scaled
    if chunk.fault:
        note_fault(tally, "file_cut", file, f"{chunk.fault}; the rest is dropped")


def _by_connection(parsed: ParsedLines) -> Sequence[tuple[str, int, int]]:
    """Return runs of frames as (address if one was opened just before, begin, end)."""
    count = len(parsed.payloads)
    if not parsed.openings:
        return [("", 0, count)]
    begins = [0, *(index for index, _ in parsed.openings)]
    addresses = ["", *(address for _, address in parsed.openings)]
    return list(zip(addresses, begins, [*begins[1:], count], strict=True))


def _select(frames: SourceFrames, selection: SymbolSelection, tally: FeedTally) -> SourceFrames:
    kept = selection.keep(frames.venue, frames.payloads)
    if kept.all():
        return frames
    tally.dropped["not_selected"] += int(np.count_nonzero(~kept))
    rows = np.flatnonzero(kept)
    payloads = [frames.payloads[row] for row in rows.tolist()]
    return SourceFrames(frames.venue, frames.receive_times_ns[rows], payloads)

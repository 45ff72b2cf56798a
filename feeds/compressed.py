"""Files as whole lines of bounded chunks, whatever compressed them: told by magic bytes."""

import zlib
from collections.abc import Iterator
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeVar

import zstandard

from feeds import limits

Item = TypeVar("Item")

GZIP_MAGIC = b"\x1f\x8b"
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_GZIP_WINDOW_BITS = 31
_INPUT_BYTES = 2**14
"""Compressed bytes in hand: what is left of them is copied at the end of each gzip member, and a
file may be made of nothing but empty ones, 20 bytes each."""


class CutFileError(Exception):
    """A compressed file breaks off or is damaged; what came before it is good.

    `position_bytes` counts decompressed bytes.
    """

    def __init__(self, cause: str, position_bytes: int) -> None:
        super().__init__(f"{cause} after {position_bytes} decompressed bytes")
        self.cause = cause
        self.position_bytes = position_bytes


@dataclass(frozen=True, slots=True)
class Chunk:
    """Whole lines of a file, the damage that ended it, and the overlong lines left out."""

    text: bytes
    fault: CutFileError | None
    lines_too_long: int


def chunk_bytes_for(sources: int) -> int:
    """Return by how many bytes each source is read when so many are read at once."""
    share = limits.READ_AHEAD_BYTES // (2 * sources)
    return max(limits.CHUNK_BYTES_MIN, min(limits.CHUNK_BYTES_MAX, share))


def compression_of(head: bytes) -> str:
    """Return `gzip`, `zstd` or `plain` by the first bytes of a file."""
    if head.startswith(GZIP_MAGIC):
        return "gzip"
    return "zstd" if head.startswith(ZSTD_MAGIC) else "plain"


def read_pieces(path: Path, piece_bytes: int) -> Iterator[bytes]:
    """Yield the decompressed bytes of a file, not empty, at most about `piece_bytes` at once.

    Raises:  CutFileError where a compressed file is damaged or ends too early; OSError.
    """
    with path.open("rb") as file:
        kind = compression_of(file.read(4))
        file.seek(0)
        if kind == "gzip":
            yield from _gunzip(file, piece_bytes)
        elif kind == "zstd":
            yield from _gathered(_unzstd(file), piece_bytes)
        else:
            while piece := file.read(piece_bytes):
                yield piece


def _gunzip(file: BinaryIO, piece_bytes: int) -> Iterator[bytes]:
    position = 0
    stream = zlib.decompressobj(_GZIP_WINDOW_BITS)
    waiting = file.read(_INPUT_BYTES)
    while waiting:
        try:
            piece = stream.decompress(waiting, piece_bytes)
        except zlib.error as error:
            raise CutFileError(f"gzip: {error}", position) from error
        position += len(piece)
        if piece:
            yield piece
        waiting = stream.unconsumed_tail
        if stream.eof:
            # a member may follow (files put end to end), or padding of zeros
            waiting = stream.unused_data.lstrip(b"\0")
            while not waiting and (read := file.read(_INPUT_BYTES)):
                waiting = read.lstrip(b"\0")
            if not waiting:
                return
            stream = zlib.decompressobj(_GZIP_WINDOW_BITS)
        elif not waiting:
            waiting = file.read(_INPUT_BYTES)
    raise CutFileError("gzip: the file ends before its stream does", position)


def _unzstd(file: BinaryIO) -> Iterator[bytes]:
    position = 0
    context = zstandard.ZstdDecompressor()
    stream = context.decompressobj()
    waiting = file.read(limits.ZSTD_INPUT_BYTES)
    while waiting:
        try:
            piece = stream.decompress(waiting)
        except zstandard.ZstdError as error:
            raise CutFileError(f"zstd: {error}", position) from error
        position += len(piece)
        if piece:
            yield piece
        waiting = b""
        if stream.eof:
            waiting = stream.unused_data
            stream = context.decompressobj()
            waiting = waiting or file.read(limits.ZSTD_INPUT_BYTES)
            if not waiting:
                return
        else:
            waiting = file.read(limits.ZSTD_INPUT_BYTES)
    raise CutFileError("zstd: the file ends before its stream does", position)


def _gathered(pieces: Iterator[bytes], piece_bytes: int) -> Iterator[bytes]:
    """Yield small pieces put together; damage is raised after what came before it."""
    waiting: list[bytes] = []
    waiting_bytes = 0
    try:
        for piece in pieces:
            waiting.append(piece)
            waiting_bytes += len(piece)
            if waiting_bytes >= piece_bytes:
                yield b"".join(waiting)
                waiting, waiting_bytes = [], 0
    except CutFileError:
        if waiting:
            yield b"".join(waiting)
        raise
    if waiting:
        yield b"".join(waiting)


def read_chunks(path: Path, chunk_bytes: int) -> Iterator[Chunk]:
    """Yield the whole lines of a file by about `chunk_bytes`; the last may lack its newline.

    Damage ends the file early and is told in the last chunk. Raises:  OSError.
    """
    rest, skipping, too_long, fault = b"", False, 0, None
    pieces = read_pieces(path, chunk_bytes)
    while True:
        try:
            piece = next(pieces, b"")
        except CutFileError as error:
            fault, piece = error, b""
        if not piece:
            break
        cut = piece.rfind(b"\n") + 1
        if skipping and cut:
            first = piece.find(b"\n") + 1
            piece, cut, skipping = piece[first:], cut - first, False
        if cut:
            yield Chunk(rest + piece[:cut], None, too_long)
            rest, too_long = piece[cut:], 0
        elif not skipping:
            rest += piece
        if len(rest) > limits.LINE_BYTES_MAX:
            rest, skipping, too_long = b"", True, too_long + 1
    if rest or fault or too_long:
        yield Chunk(rest, fault, too_long)


class Ahead(Iterator[Item]):
    """An iterator whose next item is made by another thread while this one is used."""

    def __init__(self, items: Iterator[Item], threads: Executor) -> None:
        self._items = items
        self._threads = threads
        self._next: Future[Item | None] = threads.submit(next, items, None)

    def __next__(self) -> Item:
        item = self._next.result()
        if item is None:
            raise StopIteration
        self._next = self._threads.submit(next, self._items, None)
        return item

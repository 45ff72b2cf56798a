"""State on disk: one RocksDB a task, written a whole checkpoint at a time."""

import shutil
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from time import monotonic
from typing import Annotated, TypeVar

import msgspec
import structlog
from rocksdict import BlockBasedOptions, Options, Rdict, ReadOptions, WriteBatch

from headrace.errors import InvariantError
from headrace.state.pages import (
    SEPARATOR,
    Changes,
    PageKey,
    RowPages,
    columns_of,
    newest,
    page_name,
)

log = structlog.get_logger(__name__)

Result = TypeVar("Result")

WRITE_BUFFER_BYTES = 4 * 2**20
WRITE_BUFFERS = 2
"""What of a task's state waits in memory until it is written to disk, the second while the first
is: eight tasks fill 32 MiB within minutes, and hold 64 at most."""

GATHER_BYTES = 4 * 2**20
GATHER_S = 5.0
"""How much of what counts waits to be written, and how long until the next checkpoint takes it to
disk, so that a page that changes with every checkpoint is written once. It is in the changelog: who
was killed reads it from there, as what 50 checkpoints have written there is read in any case."""

READAHEAD_BYTES = 4 * 2**20
"""Read at a time when all of a task's pages are: half the time of block by block."""

BLOCK_BYTES = 16 * 2**10
"""What is read for one key: with 4 KiB all of a state takes twice the time, with 64 a key does."""

KEY_BYTES = 200
"""What a page's key takes of memory, about: a tuple, a string and its place in a dict."""

CHECKPOINT_KEY = b"\x00checkpoint"
AFTER_CHECKPOINT = b"\x01"
AFTER_SEPARATOR = "\x01"
"""What follows the name of a table is less than this in all names of its pages."""

Count = Annotated[int, msgspec.Meta(ge=0)]
"""A negative offset would mean a log's begin or end to Kafka's client."""

Pages = dict[PageKey, bytes]
"""All pages of a table."""


class Checkpoint(msgspec.Struct, frozen=True):
    """Where the input stood when the state was as it is.

    `number` counts checkpoints; `offsets` are the next offsets wanted, by topic; `counts` are the
    steps' counters; the changelog up to `changelog_end` is in the state for certain. `owner` is the
    worker's lane that wrote it, `is_released` says that it let go of the task thereafter; `layouts`
    tells by table how it is written.
    """

    number: Count = 0
    offsets: dict[str, Count] = {}
    counts: dict[str, Count] = {}
    changelog_end: Count = 0
    owner: str = ""
    is_released: bool = False
    layouts: dict[str, str] = {}


class Store:
    """The pages of a task's tables and the checkpoint they belong to, always changed together."""

    def __init__(self, path: Path) -> None:
        path.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._db = _healed(path, lambda: _open(path))
        self._gathered: defaultdict[str, list[Mapping[PageKey, bytes | None]]] = defaultdict(list)
        self._gathered_bytes = 0
        self._gathered_to: Checkpoint | None = None
        self._flushed_at_s = monotonic()

    def write(self, changes: Changes, checkpoint: Checkpoint) -> None:
        """Take changed pages, nobody else's from now on, and the checkpoint that they make.

        The disk has them whole, with those that follow, within `GATHER_S` if others follow.
        """
        for table, pages in changes.items():
            self._gathered[table].append(pages)
            self._gathered_bytes += size_of(pages)
        self._gathered_to = checkpoint
        if monotonic() - self._flushed_at_s >= GATHER_S or self._is_full():
            self.flush()

    def flush(self) -> None:
        """Write what was gathered to disk: each page as it is now, and the last checkpoint."""
        if self._gathered_to is None:
            return
        batch = WriteBatch(raw_mode=True)
        for names, contents in columns_of(self._merged()):
            for name, content in zip(names, contents, strict=True):
                if content is None:
                    batch.delete(name)
                else:
                    batch.put(name, content)
        batch.put(CHECKPOINT_KEY, msgspec.json.encode(self._gathered_to))
        self._db.write(batch)
        self._forget_gathered()

    def _is_full(self) -> bool:
        """Say whether too much was gathered, though each page is kept once."""
        if self._gathered_bytes < GATHER_BYTES:
            return False
        merged = self._merged()
        self._gathered_bytes = sum(map(size_of, merged.values()))
        self._gathered.update((table, [pages]) for table, pages in merged.items())
        return self._gathered_bytes >= GATHER_BYTES // 2

    def _merged(self) -> Changes:
        return {table: newest(changes) for table, changes in self._gathered.items()}

    def _forget_gathered(self) -> None:
        self._gathered.clear()
        self._gathered_bytes = 0
        self._gathered_to = None
        self._flushed_at_s = monotonic()

    def checkpoint(self) -> Checkpoint | None:
        """Return the checkpoint the state belongs to; None if there is no state yet.

        Raises:  InvariantError if what is there is none.
        """
        self.flush()
        value = self._db.get(CHECKPOINT_KEY)
        try:
            return None if value is None else checkpoint_of(value)
        except ValueError as error:
            raise self._foreign(error) from error

    def tables(self) -> list[str]:
        """Return the tables that have pages here, by name; looks at one page of each.

        Raises:  InvariantError if something else is here.
        """
        self.flush()
        found: list[str] = []
        start = AFTER_CHECKPOINT
        while (name := next(iter(self._db.keys(from_key=start)), None)) is not None:
            found.append(self._parts(name)[0])
            start = (found[-1] + AFTER_SEPARATOR).encode()
        return found

    def pages(self, table: str) -> Pages:
        """Return all pages of a table, in the order of their names.

        Raises:  InvariantError if something else is among them.
        """
        return {(key, number): page for key, number, page in self._scan((table,), _ahead())}

    def keys_of(self, table: str) -> Iterator[str]:
        """Yield the keys of a table in order, each as often as it has pages.

        Raises:  InvariantError if something else is among them.
        """
        return (key for key, _, _ in self._scan((table,), _ahead()))

    def pages_of(self, table: str, key: str) -> dict[int, bytes]:
        """Return the pages of a key by number; none for a key that is not there.

        Raises:  InvariantError if something else is among them.
        """
        pages = self._scan((table, key), ReadOptions())
        # Another key may begin as this one, and go on with what separates.
        return {number: page for other, number, page in pages if other == key}

    def _scan(
        self, names: tuple[str, ...], options: ReadOptions
    ) -> Iterator[tuple[str, int, bytes]]:
        """Yield key, number and content of the pages whose names begin with these parts."""
        self.flush()
        start = SEPARATOR.join((*names, "")).encode()
        for name, page in self._db.items(from_key=start, read_opt=options):
            if not name.startswith(start):
                break
            _, key, number = self._parts(name)
            yield key, number, page

    def _parts(self, name: bytes) -> tuple[str, str, int]:
        try:
            return page_name(name)
        except ValueError as error:
            raise self._foreign(error) from error

    def _foreign(self, error: ValueError) -> InvariantError:
        return InvariantError(
            f"state {self._path}: {error}; remove the folder: it is filled from the changelog"
        )

    def clear(self) -> None:
        """Forget everything: what is here belongs to another log, or cannot be read."""
        self._forget_gathered()
        self._db.close()
        shutil.rmtree(self._path)
        self._path.mkdir(parents=True)
        self._db = _open(self._path)

    def close(self) -> None:
        """Write what was gathered and release the files."""
        self.flush()
        self._db.close()


def _ahead() -> ReadOptions:
    options = ReadOptions()
    options.set_readahead_size(READAHEAD_BYTES)
    return options


def size_of(pages: Mapping[PageKey, bytes | None]) -> int:
    """Return what pages that wait take of memory, about."""
    if isinstance(pages, RowPages):
        return pages.nbytes
    return sum(len(content or b"") for content in pages.values()) + KEY_BYTES * len(pages)


def checkpoint_of(value: bytes) -> Checkpoint:
    """Return the checkpoint in these bytes.

    Raises:  ValueError if it is none: no offset is guessed.
    """
    try:
        return msgspec.json.decode(value, type=Checkpoint)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"expected a checkpoint, found {value[:100]!r}: {error}") from error


def is_corrupt(error: Exception) -> bool:
    """Say whether RocksDB means that its files are damaged."""
    return "corrupt" in str(error).lower()


def _healed(path: Path, act: Callable[[], Result]) -> Result:
    """Act on a store; a damaged one is put aside, to be filled from the changelog, and acted on."""
    try:
        return act()
    except Exception as error:  # rocksdict raises nothing narrower (tidy: an allowed place)
        if not is_corrupt(error):
            raise
        aside = path.with_name(f"{path.name}.corrupt")
        log.error(  # noqa: TRY400  (healed: the cause says enough)
            "state_corrupt", path=str(path), moved_to=str(aside), error=str(error)
        )
        shutil.rmtree(aside, ignore_errors=True)
        path.rename(aside)
        path.mkdir()
        return act()


def _open(path: Path) -> Rdict:
    options = Options(raw_mode=True)
    options.create_if_missing(True)
    # A worker has many tasks: bound what each takes of buffers, files and log.
    options.set_write_buffer_size(WRITE_BUFFER_BYTES)
    options.set_max_write_buffer_number(WRITE_BUFFERS)
    # A page is read once, when its key is first asked for: what a cache kept (32 MiB a task)
    # nobody would ask for again.
    blocks = BlockBasedOptions()
    blocks.disable_cache()
    blocks.set_block_size(BLOCK_BYTES)
    options.set_block_based_table_factory(blocks)
    options.set_max_open_files(64)
    options.set_max_total_wal_size(32 * 2**20)
    options.set_keep_log_file_num(1)
    options.increase_parallelism(1)
    options.set_paranoid_checks(True)
    return Rdict(str(path), options)

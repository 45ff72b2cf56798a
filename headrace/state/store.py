"""State on disk: one RocksDB a task, written a whole checkpoint at a time."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import msgspec
import structlog
from rocksdict import Options, Rdict, WriteBatch

from headrace.errors import InvariantError
from headrace.state.tables import PageKey

log = structlog.get_logger(__name__)

CHECKPOINT_KEY = b"\x00checkpoint"
SEPARATOR = "\x00"

Changes = Mapping[str, Mapping[PageKey, bytes | None]]
"""Changed pages by table; None deletes a page."""


Count = Annotated[int, msgspec.Meta(ge=0)]


class Checkpoint(msgspec.Struct, frozen=True):
    """Where the input stood when the state was as it is.

    `number` counts checkpoints; `offsets` are the next offsets wanted, by topic; `counts` are the
    steps' counters; the changelog up to `changelog_end` is in the state for certain.
    """

    number: Count = 0
    offsets: dict[str, Count] = {}
    counts: dict[str, Count] = {}
    changelog_end: Count = 0


class Store:
    """The pages of a task's tables and the checkpoint they belong to, always changed together."""

    def __init__(self, path: Path) -> None:
        path.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._db = _open(path)

    def write(self, changes: Changes, checkpoint: Checkpoint) -> None:
        """Write changed pages and their checkpoint, all or nothing."""
        batch = WriteBatch(raw_mode=True)
        for table, pages in changes.items():
            for (key, page), value in pages.items():
                name = page_bytes(table, key, page)
                if value is None:
                    batch.delete(name)
                else:
                    batch.put(name, value)
        batch.put(CHECKPOINT_KEY, msgspec.json.encode(checkpoint))
        self._db.write(batch)

    def read(self) -> tuple[dict[str, dict[PageKey, bytes]], Checkpoint | None]:
        """Return all pages by table, and the checkpoint; None if there is none yet."""
        pages: dict[str, dict[PageKey, bytes]] = {}
        checkpoint = None
        for name, value in self._db.items():
            if name == CHECKPOINT_KEY:
                checkpoint = checkpoint_of(value)
            else:
                table, key, page = page_name(name)
                pages.setdefault(table, {})[key, page] = value
        return pages, checkpoint

    def size_bytes(self) -> int:
        """Return how much disk the state takes."""
        return sum(file.stat().st_size for file in self._path.iterdir() if file.is_file())

    def close(self) -> None:
        """Release the files."""
        self._db.close()


def page_bytes(table: str, key: str, page: int) -> bytes:
    """Return the name of a page, in the store and in the changelog."""
    return SEPARATOR.join((table, key, str(page))).encode()


def page_name(name: bytes) -> tuple[str, str, int]:
    """Return table, key and page number of a page's name.

    Raises:  InvariantError if it is none: what is read was not written by us, or is damaged.
    """
    try:
        table, rest = name.decode().split(SEPARATOR, 1)
        key, page = rest.rsplit(SEPARATOR, 1)
        return table, key, int(page)
    except ValueError as error:
        raise InvariantError(
            f"state: expected a page's name TABLE, KEY, NUMBER, found {name[:100]!r}; "
            "remove the state's folder, or make the changelog's topic anew"
        ) from error


def checkpoint_of(value: bytes) -> Checkpoint:
    """Return the checkpoint in these bytes.

    Raises:  InvariantError if it is none: no offset is guessed.
    """
    try:
        return msgspec.json.decode(value, type=Checkpoint)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvariantError(
            f"state: expected a checkpoint, found {value[:100]!r}: {error}; "
            "remove the state's folder, or make the changelog's topic anew"
        ) from error


def _open(path: Path) -> Rdict:
    options = Options(raw_mode=True)
    options.create_if_missing(True)
    # One task's state is small next to the machine: bound its buffers, files and log.
    options.set_write_buffer_size(8 * 2**20)
    options.set_max_write_buffer_number(2)
    options.set_max_open_files(64)
    options.set_max_total_wal_size(32 * 2**20)
    options.set_keep_log_file_num(1)
    options.increase_parallelism(1)
    try:
        return Rdict(str(path), options)
    except Exception as error:  # rocksdict raises nothing narrower (tidy: an allowed place)
        if "Corruption" not in str(error) and "corrupt" not in str(error):
            raise
        aside = path.with_name(f"{path.name}.corrupt")
        log.error(  # noqa: TRY400  (healed: the cause says enough)
            "state_corrupt", path=str(path), moved_to=str(aside), error=str(error)
        )
        shutil.rmtree(aside, ignore_errors=True)
        path.rename(aside)
        return Rdict(str(path), options)

"""What a task's store may take of its worker's memory: the state is in the tables already."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from headrace.state.store import WRITE_BUFFER_BYTES, WRITE_BUFFERS, Checkpoint, Store

PAGE_BYTES = 2**16
PAGES = 16
WRITES = 64
"""So many checkpoints of 1 MiB each: many times what may wait in memory."""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "0")
    yield store
    store.close()


def property_bytes(store: Store, name: str) -> int:
    return int(store._db.property_int_value(f"rocksdb.{name}") or 0)


def write(store: Store, number: int) -> None:
    pages = {(f"key-{number}-{page}", 0): os.urandom(PAGE_BYTES) for page in range(PAGES)}
    store.write({"a.b_by_c.v1": pages}, Checkpoint(number=number))


def test_what_waits_to_be_written_to_disk_is_bounded(store: Store) -> None:
    waiting = []
    for number in range(WRITES):
        write(store, number)
        waiting.append(property_bytes(store, "cur-size-all-mem-tables"))

    one_write_more = PAGES * PAGE_BYTES
    assert max(waiting) <= WRITE_BUFFERS * (WRITE_BUFFER_BYTES + 2 * one_write_more)


def test_a_restore_leaves_nothing_in_memory_but_the_tables(store: Store) -> None:
    for number in range(WRITES):
        write(store, number)
    pages = store.pages("a.b_by_c.v1")

    assert len(pages) == WRITES * PAGES
    assert property_bytes(store, "block-cache-usage") == 0

"""What a store gathers before it writes: bounded, each page once, whole or not at all."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from headrace.state import store as store_module
from headrace.state.store import GATHER_BYTES, GATHER_S, Checkpoint, Store
from headrace.state.tables import RowTable

TABLE = "a.b_by_c.v1"
CHECKPOINTS = 20


class Clock:
    """Stands still unless it is told."""

    def __init__(self) -> None:
        self.now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(store_module, "monotonic", clock)
    return clock


@pytest.fixture
def store(clock: Clock, tmp_path: Path) -> Iterator[Store]:  # noqa: ARG001  (before the store)
    store = Store(tmp_path / "store")
    yield store
    store.close()


def write(store: Store, number: int, **pages: bytes | None) -> None:
    changed = {(key, 0): page for key, page in pages.items()}
    store.write({TABLE: changed}, Checkpoint(number=number))


def entries(store: Store) -> int:
    """Return how many were written to RocksDB so far; all are in its buffer."""
    return int(store._db.property_int_value("rocksdb.num-entries-active-mem-table") or 0)


def as_killed_now(store: Store, tmp_path: Path) -> Store:
    """Return the store that a process would find whose owner was killed just now."""
    shutil.copytree(store._path, tmp_path / "found")
    return Store(tmp_path / "found")


def test_who_was_killed_finds_an_earlier_checkpoint_whole(store: Store, tmp_path: Path) -> None:
    write(store, 1, a=b"1", b=b"1")
    store.flush()
    write(store, 2, a=b"2", b=None, c=b"2")

    found = as_killed_now(store, tmp_path)

    checkpoint = found.checkpoint()
    assert checkpoint is not None
    assert checkpoint.number == 1
    assert found.pages(TABLE) == {("a", 0): b"1", ("b", 0): b"1"}
    found.close()


def test_who_was_closed_has_the_last_checkpoint(tmp_path: Path) -> None:
    store = Store(tmp_path)
    write(store, 1, a=b"1", b=b"1")
    write(store, 2, a=b"2", b=None)
    store.close()

    found = Store(tmp_path)

    assert found.checkpoint() == Checkpoint(number=2)
    assert found.pages(TABLE) == {("a", 0): b"2"}
    found.close()


def test_a_page_that_changes_with_every_checkpoint_is_written_once(store: Store) -> None:
    for number in range(CHECKPOINTS):
        write(store, number, a=b"%d" % number)
    assert entries(store) == 0

    store.flush()

    assert entries(store) == 2  # the page and the checkpoint


def test_of_rows_the_last_is_written(store: Store) -> None:
    state = RowTable(TABLE, np.dtype(np.int64)).open()
    for number in range(CHECKPOINTS):
        rows = state.rows_of(pa.array([f"key-{number % 3}", f"key-{number}"]))
        state.rows[rows] = number
        store.write({TABLE: state.changes()}, Checkpoint(number=number))
        state.settle()

    found = RowTable(TABLE, np.dtype(np.int64)).open()
    found.attach(store)

    assert {key: int(found.read(key) or 0) for key in found} == {
        key: int(state.read(key) or 0) for key in state
    }
    assert entries(store) == CHECKPOINTS + 1


def test_what_was_gathered_is_written_in_time(store: Store, clock: Clock) -> None:
    write(store, 1, a=b"1")
    clock.now_s += GATHER_S
    write(store, 2, b=b"2")
    assert entries(store) == 3

    write(store, 3, a=b"3")
    assert entries(store) == 3


def test_much_is_not_gathered(store: Store) -> None:
    write(store, 1, a=bytes(GATHER_BYTES - 1_000))
    assert entries(store) == 0

    write(store, 2, b=bytes(1_000))
    assert entries(store) == 3


def test_what_is_much_because_it_changed_often_waits_on(store: Store) -> None:
    for number in range(CHECKPOINTS):
        write(store, number, a=bytes(GATHER_BYTES // 3), b=b"%d" % number)
        assert entries(store) == 0
        assert store._gathered_bytes < GATHER_BYTES

    assert store.pages_of(TABLE, "b") == {0: b"%d" % (CHECKPOINTS - 1)}


@pytest.mark.parametrize(
    "read",
    [
        Store.checkpoint,
        Store.tables,
        lambda store: store.pages(TABLE),
        lambda store: store.pages_of(TABLE, "a"),
        lambda store: list(store.keys_of(TABLE)),
    ],
    ids=["checkpoint", "tables", "pages", "pages_of", "keys_of"],
)
def test_who_reads_sees_what_was_gathered(store: Store, read: Callable[[Store], object]) -> None:
    before = read(store)
    write(store, 1, a=b"1")

    assert read(store) != before


def test_who_clears_forgets_what_was_gathered(store: Store) -> None:
    write(store, 1, a=b"1")

    store.clear()

    assert store.checkpoint() is None
    assert store.tables() == []

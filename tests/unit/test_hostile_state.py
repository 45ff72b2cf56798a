"""What fuzzing found in state that comes back: pages and checkpoints that nobody of ours wrote."""

import json
from collections.abc import Callable

import msgspec
import pytest

from agents.ingest_frames import MARKET_BY_SOURCE
from agents.venues.source_state import SourceState
from headrace.errors import InvariantError
from headrace.state.pages import PageKey, page_name
from headrace.state.store import checkpoint_of
from headrace.state.tables import ObjectState
from tests.replay.frame_batches import Frame, ingest, numbered

SNAPSHOT = {"lastUpdateId": 1, "symbol": "A", "bids": [["1", "2"], ["2", "2"]], "asks": []}
CHANGE = {"e": "depthUpdate", "E": 1, "s": "B", "U": 1, "u": 2, "pu": 0, "b": [["1", "2"]], "a": []}


def pages() -> dict[PageKey, bytes]:
    """Return the pages of two books: slot 0 has levels, slot 1 holds a change for its snapshot."""
    state = MARKET_BY_SOURCE.open()
    ingest(numbered([json.dumps(SNAPSHOT), json.dumps(CHANGE)], venue="binance"), state)
    return {page: value for page, value in state.changes().items() if value is not None}


def edited(page: int, edit: Callable[[list], None]) -> dict[PageKey, bytes]:  # type: ignore[type-arg]
    found = pages()
    content = msgspec.msgpack.decode(found["test", page])
    edit(content)
    return found | {("test", page): msgspec.msgpack.encode(content)}


BOOK, HELD = 1, 1 + 64 + 43
"""The header page of slot 0's book, and the first page of the changes that slot 1's holds."""


def _set(*path: int, value: object) -> Callable[[list], None]:  # type: ignore[type-arg]
    def edit(content: list) -> None:  # type: ignore[type-arg]
        for place in path[:-1]:
            content = content[place]
        content[path[-1]] = value

    return edit


@pytest.mark.parametrize(
    ("page", "edit"),
    [
        (HELD, _set(0, 3, value=10**6)),
        (HELD, _set(0, 3, value=-5)),
        (HELD, _set(0, 4, value=b"123")),
        (BOOK, _set(4, value=2**40)),
        (BOOK, _set(4, value=-1)),
        (BOOK, _set(0, value=99)),
        (BOOK, _set(6, value=-(2**40))),
        (0, _set(0, value=["nobody:X", "binance-usdm:B"])),
        (0, _set(0, value=["binance-usdm:B", "binance-usdm:B"])),
        (0, _set(1, value=b"short")),
        (0, _set(7, value=[500])),
        (0, _set(10, value=[0, 1, 7])),
    ],
    ids=[
        "more bids than levels: a loop would read past its array", "bids below 0", "half a level",
        "a trillion levels", "levels below 0", "no such integrity", "held from below 0",
        "an unknown market", "a name twice", "too few sequences", "a slot of no name",
        "a book of no name",
    ],
)  # fmt: skip
def test_damaged_page_is_refused_by_table_and_key(
    page: int,
    edit: Callable[[list], None],  # type: ignore[type-arg]
) -> None:
    state = MARKET_BY_SOURCE.open()

    with pytest.raises(InvariantError, match=r"market_by_source\.v1, key 'test'"):
        state.restore(edited(page, edit))


@pytest.mark.parametrize("value", [b"", b"\xc1", b"\x91" * 100_000], ids=range(3))
def test_page_that_is_no_messagepack_is_refused(value: bytes) -> None:
    state = MARKET_BY_SOURCE.open()

    with pytest.raises(InvariantError, match="expected the pages that the table wrote"):
        state.restore(pages() | {("test", 0): value})


def test_levels_that_are_in_no_order_are_refused() -> None:
    found = pages()
    levels = found["test", BOOK + 1]
    found["test", BOOK + 1] = b"".join(levels[at + 8 : at + 16] + levels[at : at + 8]
                                       for at in range(0, len(levels), 16))  # fmt: skip

    with pytest.raises(InvariantError, match="in order"):
        MARKET_BY_SOURCE.open().restore(found)


@pytest.mark.parametrize("page", [BOOK, BOOK + 1, 0])
def test_page_that_is_missing_is_refused(page: int) -> None:
    found = pages()
    del found["test", page]

    with pytest.raises(InvariantError, match="expected the pages that the table wrote"):
        MARKET_BY_SOURCE.open().restore(found)


@pytest.mark.parametrize(
    "value",
    [
        b"", b"null", b"[", b"\xff", b"[" * 100_000, b'{"number":-1}', b'{"offsets":{"t":-2}}',
        b'{"changelog_end":-1}', b'{"counts":{"\xff":1}}',
    ],
    ids=range(9),
)  # fmt: skip
def test_checkpoint_that_is_none_is_refused(value: bytes) -> None:
    """An offset of -2 would be taken for the beginning of the log, -1 for its end."""
    with pytest.raises(ValueError, match="expected a checkpoint"):
        checkpoint_of(value)


@pytest.mark.parametrize("name", [b"", b"table", b"t\0k", b"t\0k\0x", b"\xff\0k\0" + b"1"])
def test_name_that_is_no_page_is_refused(name: bytes) -> None:
    with pytest.raises(ValueError, match="expected TABLE, KEY, NUMBER"):
        page_name(name)


def test_changes_that_a_snapshot_used_up_after_a_restart_do_not_come_back_after_the_next() -> None:
    """A book restored did not know which pages it had, so it never deleted those it let go of."""
    changes = [
        json.dumps(CHANGE | {"U": number, "u": number, "pu": number - 1})
        for number in range(1, 101)
    ]
    state = MARKET_BY_SOURCE.open()
    ingest(numbered(changes, venue="binance"), state)
    kept: dict[PageKey, bytes] = {}
    _keep(kept, state.changes())

    state = _restarted(kept)
    snapshot = json.dumps(SNAPSHOT | {"symbol": "B", "lastUpdateId": 500})
    ingest([Frame(snapshot, 101)], state)
    _keep(kept, state.changes())
    state = _restarted(kept)

    source = state.read("test")
    assert source is not None
    assert source.books[0].integrity.name == "VALID"
    assert not source.books[0]._held


def _keep(kept: dict[PageKey, bytes], changes: dict[PageKey, bytes | None]) -> None:
    """Take changed pages as a store does."""
    for page, value in changes.items():
        if value is None:
            del kept[page]
        else:
            kept[page] = value


def _restarted(kept: dict[PageKey, bytes]) -> ObjectState[SourceState]:
    state = MARKET_BY_SOURCE.open()
    state.restore(kept)
    return state

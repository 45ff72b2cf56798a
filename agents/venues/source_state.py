"""What ingest remembers of one source between batches, and how it is written down in pages."""

from collections.abc import Mapping

import msgspec
import numpy as np

from agents.venues.outcome import UNKNOWN_INSTRUMENT, FrameError
from agents.venues.timestamps import ABSENT
from agents.venues.tracked_book import BOOK_PAGES, TrackedBook
from headrace.batch import IntArray
from schemas.instruments import Instrument, UnknownInstrumentError, instrument_of

INSTRUMENTS_MAX = 10_000
"""Instruments of one source: all of the largest venue's; garbage must not fill the memory."""

NAME_LENGTH_MAX = 80

HEADER_BYTES_MAX = 512 * 2**10
"""Bytes of the header in one page: with thousands of instruments it is longer than a Kafka record
may be (1 MB), and goes on in pages -1, -2, …"""


class _Header(msgspec.Struct, array_like=True):
    """Everything but the books: page 0, and those below it where it is long."""

    names: list[str]
    sequences: bytes
    receive_times: bytes
    last_sequence: int
    pass_index: int
    connection_sequence: int
    channels: dict[str, str]
    depth_slots: list[int]
    subscribed_depths: dict[str, int]
    trade_ids: dict[int, int]
    book_slots: list[int]


class SourceState:
    """One connection: its instruments by slot, their joint sequences, their books.

    Shapes:  sequences, receive_times (at least `len(names)`,): last sequence given to a trade or
             quote of the slot, and the latest receive time given to any of its rows.
    """

    def __init__(self) -> None:
        self.names: list[str] = []
        self.slots: dict[str, int] = {}
        self.instruments: list[Instrument] = []
        self.price_scales: IntArray = np.zeros(8, np.int64)
        self.size_scales: IntArray = np.zeros(8, np.int64)
        self.sequences: IntArray = np.zeros(8, np.int64)
        self.receive_times: IntArray = np.zeros(8, np.int64)
        self.last_sequence = 0
        self.pass_index = 0
        self.connection_sequence = ABSENT
        self.channels: dict[str, str] = {}
        self.depth_slots: dict[int, None] = {}
        self.subscribed_depths: dict[str, int] = {}
        self.trade_ids: dict[int, int] = {}
        self.books: dict[int, TrackedBook] = {}
        self.header_parts = 0

    def add_instrument(self, name: str) -> int:
        """Return the slot of an instrument seen for the first time.

        Raises:  FrameError if its market is unknown, its name is no name, or there are too many.
        """
        if len(name) > NAME_LENGTH_MAX or not name.isprintable() or " " in name:
            raise FrameError(UNKNOWN_INSTRUMENT, f"instrument {name[:40]!r}… is no name of one")
        if len(self.names) >= INSTRUMENTS_MAX:
            raise FrameError(
                UNKNOWN_INSTRUMENT,
                f"instrument {name}: its source has {INSTRUMENTS_MAX} already; spread them out",
            )
        try:
            instrument = instrument_of(name)
        except UnknownInstrumentError as error:
            raise FrameError(UNKNOWN_INSTRUMENT, str(error)) from error
        slot = len(self.names)
        if slot == len(self.sequences):
            self._grow(2 * slot)
        self.names.append(name)
        self.slots[name] = slot
        self.instruments.append(instrument)
        self.price_scales[slot] = instrument.price_scale
        self.size_scales[slot] = instrument.size_scale
        return slot

    def subscribe(self, symbol: str, depth: int) -> None:
        """Remember how deep a book was subscribed to, if its name can be one and there is room.

        What is not remembered is taken for the deepest book there is.
        """
        is_new = symbol not in self.subscribed_depths
        full = len(self.subscribed_depths) >= INSTRUMENTS_MAX
        if len(symbol) <= NAME_LENGTH_MAX and not (is_new and full):
            self.subscribed_depths[symbol] = depth

    def book(self, slot: int) -> TrackedBook:
        """Return the book of a slot, a new one that awaits its snapshot if there is none."""
        found = self.books.get(slot)
        if found is None:
            found = self.books[slot] = TrackedBook()
        return found

    def begin_pass(self, pass_index: int) -> None:
        """Take up a new reading of the capture: a new connection, whose ids start elsewhere."""
        self.pass_index = pass_index
        self.connection_sequence = ABSENT
        self.channels.clear()
        self.trade_ids.clear()

    def header_pages(self) -> dict[int, bytes | None]:
        """Return the header in pages 0, -1, -2, …; None for those it no longer needs."""
        header = self.header()
        starts = range(0, len(header), HEADER_BYTES_MAX)
        pages: dict[int, bytes | None] = dict.fromkeys(range(1 - self.header_parts, 0))
        pages |= {
            -part: header[start : start + HEADER_BYTES_MAX] for part, start in enumerate(starts)
        }
        self.header_parts = len(starts)
        return pages

    def header(self) -> bytes:
        """Return everything but the books as MessagePack."""
        count = len(self.names)
        return msgspec.msgpack.encode(
            _Header(
                self.names,
                self.sequences[:count].tobytes(),
                self.receive_times[:count].tobytes(),
                self.last_sequence,
                self.pass_index,
                self.connection_sequence,
                self.channels,
                list(self.depth_slots),
                self.subscribed_depths,
                self.trade_ids,
                list(self.books),
            )
        )

    @classmethod
    def of_header(cls, text: bytes) -> "SourceState":
        """Return the state whose header this is, its books still empty."""
        header = msgspec.msgpack.decode(text, type=_Header)
        state = cls()
        for name in header.names:
            state.add_instrument(name)
        count = len(header.names)
        slots = {*header.depth_slots, *header.book_slots, *header.trade_ids}
        if len(state.slots) < count or not slots <= set(range(count)):
            raise ValueError(f"expected {count} names, each once, and slots below {count}")
        state.sequences[:count] = np.frombuffer(header.sequences, np.int64)
        state.receive_times[:count] = np.frombuffer(header.receive_times, np.int64)
        state.last_sequence = header.last_sequence
        state.pass_index = header.pass_index
        state.connection_sequence = header.connection_sequence
        state.channels = header.channels
        state.depth_slots = dict.fromkeys(header.depth_slots)
        state.subscribed_depths = header.subscribed_depths
        state.trade_ids = header.trade_ids
        state.books = {slot: TrackedBook() for slot in header.book_slots}
        return state

    def _grow(self, count: int) -> None:
        for column in ("price_scales", "size_scales", "sequences", "receive_times"):
            grown = np.zeros(count, np.int64)
            grown[: len(self.names)] = getattr(self, column)
            setattr(self, column, grown)


class SourceCodec:
    """Writes a source: its header in pages 0, -1, …, each slot's book in `BOOK_PAGES` from 1 on."""

    def new(self, key: str) -> SourceState:  # noqa: ARG002 (the protocol's)
        """Return the state of a source that was never seen."""
        return SourceState()

    def dump(self, state: SourceState) -> Mapping[int, bytes | None]:
        """Return the header and the pages of books that changed since the last dump."""
        pages = state.header_pages()
        for slot, book in state.books.items():
            first = 1 + slot * BOOK_PAGES
            pages |= {first + page: value for page, value in book.dump().items()}
        return pages

    def load(self, key: str, pages: Mapping[int, bytes]) -> SourceState:  # noqa: ARG002 (as `new`)
        """Return the source that these pages were dumped from."""
        parts = [
            pages[page] for page in sorted((page for page in pages if page <= 0), reverse=True)
        ]
        state = SourceState.of_header(b"".join(parts))
        state.header_parts = len(parts)
        by_slot: dict[int, dict[int, bytes]] = {}
        for page, value in pages.items():
            if page > 0:
                by_slot.setdefault((page - 1) // BOOK_PAGES, {})[(page - 1) % BOOK_PAGES] = value
        for slot, found in by_slot.items():
            state.books[slot].load(found)
        return state

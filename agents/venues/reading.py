"""What the frames of one source say, as columns: the venue modules write, ingest reads."""

from dataclasses import dataclass, field

from msgspec import Raw

from agents.venues.depth import EVERY_BOOK, Depth
from agents.venues.outcome import MALFORMED, SNAPSHOT_WITHOUT_INSTRUMENT, FrameError
from agents.venues.source_state import SourceState
from agents.venues.timestamps import ABSENT

UNKNOWN, BUY, SELL = 0, 1, 2
"""Who took liquidity; index into `AGGRESSORS`."""

AGGRESSORS = ("UNKNOWN", "BUY", "SELL")

ID_MAX = 1 << 62

CHANNEL_LENGTH_MAX = 120
"""A channel's name is remembered with its instrument: longer ones are of no venue."""

Text = Raw | bytes
"""A JSON number, or a JSON string that holds one, as it stood in the frame."""


@dataclass(slots=True)
class Trades:
    """Columns of trades; `texts` holds price and size of each in turn."""

    positions: list[int] = field(default_factory=list)
    slots: list[int] = field(default_factory=list)
    ids: list[int] = field(default_factory=list)
    aggressors: list[int] = field(default_factory=list)
    event_times_ns: list[int] = field(default_factory=list)
    texts: list[Text] = field(default_factory=list)


@dataclass(slots=True)
class Quotes:
    """Columns of best quotes; `texts` holds bid, its size, ask, its size of each in turn."""

    positions: list[int] = field(default_factory=list)
    slots: list[int] = field(default_factory=list)
    ids: list[int] = field(default_factory=list)
    event_times_ns: list[int] = field(default_factory=list)
    texts: list[Text] = field(default_factory=list)


class Reading:
    """The frames of one source in one batch, as their venue understands them.

    `position` is the place of the frame being read among the source's frames of this batch.
    Times and ids are the venue's own: ingest shifts them by the pass.
    """

    __slots__ = (
        "arrays", "depths", "new_slots", "position", "quotes", "slots", "source", "state", "trades",
    )  # fmt: skip

    def __init__(self, state: SourceState, source: str) -> None:
        self.state = state
        self.source = source
        self.slots = state.slots
        self.position = 0
        self.trades = Trades()
        self.quotes = Quotes()
        self.depths: list[Depth] = []
        self.arrays: list[Text] = []
        """Bids, then asks of each depth, as JSON arrays of `[price, size, …]`."""
        self.new_slots: list[tuple[int, int]] = []
        """Position of the frame that named an instrument first, and the instrument's slot."""

    def slot(self, instrument: str) -> int:
        """Return the slot of an instrument.

        Raises:  FrameError if it is unknown and cannot be added.
        """
        found = self.slots.get(instrument)
        if found is None:
            found = self.state.add_instrument(instrument)
            self.new_slots.append((self.position, found))
        return found

    def claim(self, slot: int, kind: str, channel: str) -> bool:
        """Return whether this channel is the one an instrument's trades or book are taken from.

        The first one seen is: two channels of the same kind would count everything twice.
        Raises:  FrameError if the channel's name is longer than any.
        """
        if len(channel) > CHANNEL_LENGTH_MAX:
            raise FrameError(MALFORMED, f"channel {channel[:40]!r}…: expected a name of one")
        return self.state.channels.setdefault(f"{kind}/{slot}", channel) == channel

    def trade(
        self,
        slot: int,
        price: Text,
        size: Text,
        aggressor: int,
        *,
        trade_id: int = ABSENT,
        event_time_ns: int = ABSENT,
    ) -> None:
        """Add a trade."""
        if trade_id > ID_MAX:
            raise FrameError(MALFORMED, f"trade id {trade_id}: expected at most {ID_MAX}")
        trades = self.trades
        trades.positions.append(self.position)
        trades.slots.append(slot)
        trades.ids.append(trade_id)
        trades.aggressors.append(aggressor)
        trades.event_times_ns.append(event_time_ns)
        trades.texts += (price, size)

    def quote(
        self,
        slot: int,
        texts: tuple[Text, Text, Text, Text],
        update_id: int = ABSENT,
        event_time_ns: int = ABSENT,
    ) -> None:
        """Add a best quote: bid, its size, ask, its size."""
        quotes = self.quotes
        quotes.positions.append(self.position)
        quotes.slots.append(slot)
        quotes.ids.append(update_id)
        quotes.event_times_ns.append(event_time_ns)
        quotes.texts += texts

    def depth(self, depth: Depth, bids: Text, asks: Text) -> None:
        """Add a change of a book or a whole one; sides are JSON arrays of `[price, size, …]`."""
        if depth.slot not in self.state.depth_slots:
            self.state.depth_slots[depth.slot] = None
        self.depths.append(depth)
        self.arrays += (bids, asks)

    def lose_book(self, slot: int) -> None:
        """Say that a book lost the thread, or all of them (`EVERY_BOOK`)."""
        self.depths.append(Depth(position=self.position, slot=slot))
        self.arrays += (b"[]", b"[]")

    def begin_pass(self) -> None:
        """Say that a new pass starts here: no book goes on from the pass before."""
        self.depths.append(Depth(position=self.position, slot=EVERY_BOOK, snapshot=True))
        self.arrays += (b"[]", b"[]")

    def follow_connection(self, sequence: int) -> None:
        """Check a sequence that counts all frames of a connection: a step other than 1 is a gap."""
        last = self.state.connection_sequence
        if last not in (ABSENT, sequence - 1):
            self.lose_book(EVERY_BOOK)
        if sequence == 0 or sequence > last:
            self.state.connection_sequence = sequence

    def is_repeated(self, slot: int, trade_id: int) -> bool:
        """Remember the last trade id of an instrument; return whether this one is not above it."""
        last = self.state.trade_ids.get(slot, ABSENT)
        if trade_id > last:
            self.state.trade_ids[slot] = trade_id
        return trade_id <= last

    def only_slot(self, market: str) -> int:
        """Return the one instrument of a market (`binance-spot:`) whose book the source carries.

        Before any change of a book, the one instrument it carries at all.
        Raises:  FrameError if there is none, or more than one.
        """
        names = self.state.names
        books = [slot for slot in self.state.depth_slots if names[slot].startswith(market)]
        if not books:
            books = [slot for name, slot in self.slots.items() if name.startswith(market)]
        if len(books) != 1:
            raise FrameError(
                SNAPSHOT_WITHOUT_INSTRUMENT,
                f"a snapshot that names no instrument: expected one of {market[:-1]} in its "
                f"source, found {len(books)}",
            )
        return books[0]

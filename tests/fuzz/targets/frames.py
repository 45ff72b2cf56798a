"""Every dialect's frames through the ingest agent, as the worker calls it: batches and state."""

import itertools
from collections.abc import Mapping, Sequence
from functools import partial
from struct import Struct

import numpy as np
import pyarrow as pa

from agents.ingest_frames import MARKET_BY_SOURCE, ingest_frames
from agents.venues import READERS
from agents.venues.source_state import INSTRUMENTS_MAX, SourceState
from headrace.avro.schema import AvroSchema, load_schema
from headrace.avro.wire import Decoder, encode
from headrace.batch import Batch, Output, Part
from headrace.state.tables import ObjectState
from schemas.topics import BOOK, INSTRUMENT, QUOTE, TRADE
from tests.fuzz.mutation import BYTE_TOKEN, JSON_TOKEN, ODD_BYTES, ODD_JSON, Mutator
from tests.fuzz.target import ROOT, Target, require
from tests.fuzz.targets.frame_samples import frames, words

SESSION_BATCHES = 200
"""Batches after which a source begins anew: its instruments would fill up with odd names."""

CHECKPOINT_BATCHES = 20
"""How often the state is written down and read again, as at a restart."""

WIRE_BATCHES = 4
"""How often what a batch became is written as Avro and read again."""

PAGE_BYTES_MAX = 2**20
"""A page of state is one Kafka record: it stays far below what a topic takes."""

VALUE_LIMIT = 2**62
_SCHEMAS = {
    topic.name: load_schema(ROOT / "schemas" / "avro", topic.schema)
    for topic in (TRADE, QUOTE, BOOK, INSTRUMENT)
}
_ENVELOPE = Struct("<qqqibb")


class Session:
    """One source's frames, batch after batch, the state kept and now and then restarted."""

    def __init__(self, venue: str) -> None:
        self._venue = venue
        self._state = MARKET_BY_SOURCE.open()
        self._pages: dict[tuple[str, int], bytes] = {}
        self._batches = 0
        self._sequence = 0
        self._last: dict[str, int] = {}

    def __call__(self, records: Sequence[bytes]) -> None:
        """Ingest the frames and hold what they became against what must be."""
        count = len(records)
        self._batches += 1
        if self._batches % SESSION_BATCHES == 0:
            self.__init__(self._venue)  # type: ignore[misc]
        elif self._batches % CHECKPOINT_BATCHES == 0:
            self._restart()
        sequences = np.arange(self._sequence + 1, self._sequence + count + 1, dtype=np.int64)
        self._sequence += count
        payloads = [record.decode("utf-8", "backslashreplace") for record in records]
        output = ingest(
            self._state,
            sources=["fuzz-linear"] * count,
            venues=[self._venue] * count,
            sequences=sequences,
            receive_times=sequences * 1_000,
            payloads=payloads,
        )
        check_output(output, count, on_wire=self._batches % WIRE_BATCHES == 0)
        self._check_sequences(output)

    def _restart(self) -> None:
        for page, value in self._state.changes().items():
            if value is None:
                self._pages.pop(page)
            else:
                require(len(value) <= PAGE_BYTES_MAX, f"page {page} has {len(value):,} bytes")
                self._pages[page] = value
        before = self._state.read("fuzz-linear")
        self._state = MARKET_BY_SOURCE.open()
        self._state.restore(self._pages)
        after = self._state.read("fuzz-linear")
        if before is not None and after is not None:
            require(before.header() == after.header(), "the state restored is another one")
            check_state(after)

    def _check_sequences(self, output: Output) -> None:
        """Trades and quotes of an instrument are numbered jointly, without a gap."""
        numbers: dict[str, list[int]] = {}
        for topic in (TRADE.name, QUOTE.name):
            found = output.records.get(topic)
            if found is not None:
                for name, sequence in zip(
                    found.column("instrument").to_pylist(),
                    found.column("sequence").to_pylist(),
                    strict=True,
                ):
                    numbers.setdefault(name, []).append(sequence)
        for name, given in numbers.items():
            first = self._last.get(name, 0) + 1
            require(
                sorted(given) == list(range(first, first + len(given))),
                f"{name}: sequences {sorted(given)[:5]} after {first - 1}",
            )
            self._last[name] = first + len(given) - 1


def ingest(
    state: ObjectState[SourceState],
    *,
    sources: Sequence[str],
    venues: Sequence[str],
    sequences: np.ndarray,
    receive_times: np.ndarray,
    payloads: Sequence[str],
    shifts: np.ndarray | None = None,
    passes: np.ndarray | None = None,
) -> Output:
    """Give the agent one batch of `market.frame.v1` made of these columns."""
    count = len(payloads)
    zeros = np.zeros(count, np.int64)
    records = pa.RecordBatch.from_pydict(
        {
            "source": pa.array(sources, pa.string()),
            "venue": pa.array(venues, pa.string()),
            "sequence": pa.array(sequences),
            "receive_time_ns": pa.array(receive_times),
            "time_shift_ns": pa.array(zeros if shifts is None else shifts),
            "pass_index": pa.array((zeros if passes is None else passes).astype(np.int32)),
            "payload": pa.array(payloads, pa.string()),
        }
    )
    none = [b""] * count
    part = Part("market.frame.v1", 0, records, none, none, zeros, zeros)
    return ingest_frames(Batch.of(part), state)


def check_output(output: Output, count: int, *, on_wire: bool) -> None:
    """Every frame has one outcome, every dead one its letter, every record is possible."""
    outcomes = {n: c for n, c in output.counts.items() if n.startswith("frame_")}
    dead = sum(c for n, c in outcomes.items() if n.startswith("frame_dead_"))
    require(sum(outcomes.values()) == count, f"{count} frames, outcomes {outcomes}")
    require(dead == len(output.dead), f"{dead} dead counted, {len(output.dead)} named")
    require(len({row.row for row in output.dead}) == dead, "a frame died twice")
    for topic, records in output.records.items():
        if on_wire:
            _check_wire(records, _SCHEMAS[topic])
        require(len(output.causes[topic]) == records.num_rows, f"{topic}: causes")
    _check_amounts(output.records)
    book = output.records.get(BOOK.name)
    if book is not None:
        _check_books(book)


def _check_wire(records: pa.RecordBatch, schema: AvroSchema) -> None:
    """What the agent made can be written, and is read as the same."""
    values = encode(records, schema, 7)
    decoded = Decoder(schema, {7: schema}.__getitem__).decode(values)
    require(not decoded.bad, f"{schema.name}: not readable: {decoded.bad[:1]}")
    same = records.cast(schema.arrow).equals(decoded.records)
    require(same, f"{schema.name}: another record comes back")


def _check_amounts(records: Mapping[str, pa.RecordBatch]) -> None:
    for found in records.values():
        for name in found.schema.names:
            column = found.column(name)
            if name.endswith(("_ticks", "_lots")):
                values = (column.flatten() if pa.types.is_list(column.type) else column).to_numpy()
                least = 0 if name.endswith("_lots") else 1
                good = (values >= least) & (values < VALUE_LIMIT)
                require(good.all(), f"{name}: {values[~good][:3]}")
            if name == "event_time_ns":
                times = column.drop_null().to_numpy()
                require((times >= -(10**18)).all(), f"event times {times.min(initial=0)}")


def _check_books(books: pa.RecordBatch) -> None:
    """A valid book is not crossed, and its levels stand in order, each with a size."""
    integrity = books.column("integrity").to_pylist()
    names = ("bid_price_ticks", "bid_size_lots", "ask_price_ticks", "ask_size_lots")
    sides = [books.column(name).to_pylist() for name in names]
    for row, state in enumerate(integrity):
        bids, bid_sizes, asks, ask_sizes = (side[row] for side in sides)
        if state != "VALID":
            require(not bids and not asks, f"a book that is {state} shows levels")
            continue
        require(not (bids and asks and bids[0] > asks[0]), f"crossed: {bids[:1]} {asks[:1]}")
        require(all(a > b for a, b in itertools.pairwise(bids)), f"bids {bids}")
        require(all(a < b for a, b in itertools.pairwise(asks)), f"asks {asks}")
        require(all(size > 0 for size in (*bid_sizes, *ask_sizes)), "a level without size")


def check_state(state: SourceState) -> None:
    """What a source remembers is bounded, and hangs together."""
    require(len(state.names) <= INSTRUMENTS_MAX, "too many instruments")
    require(len(state.subscribed_depths) <= INSTRUMENTS_MAX, "too many depths")
    require(max(map(len, state.channels.values()), default=0) <= 200, "a channel's name is long")
    for book in state.books.values():
        bids, asks = book.book.sides()
        require((np.diff(bids[0]) > 0).all() and (np.diff(asks[0]) > 0).all(), "levels unordered")


def _envelopes(records: Sequence[bytes], state: ObjectState[SourceState]) -> None:
    """Frames whose envelope is odd: any sequence, time, shift, pass, source and venue."""
    packed = [record[: _ENVELOPE.size].ljust(_ENVELOPE.size, b"\0") for record in records]
    columns = list(zip(*map(_ENVELOPE.unpack, packed), strict=True))
    sequences, times, shifts, passes, sources, venues = (np.array(c, np.int64) for c in columns)
    known = [*sorted(READERS), "unknown", ""]
    output = ingest(
        state,
        sources=[f"source-{number % 3}" for number in sources.tolist()],
        venues=[known[number % len(known)] for number in venues.tolist()],
        sequences=sequences,
        receive_times=times,
        payloads=[r[_ENVELOPE.size :].decode("utf-8", "backslashreplace") for r in records],
        shifts=shifts,
        passes=passes,
    )
    check_output(output, len(records), on_wire=len(state) > 0)


def _open_envelopes() -> partial[None]:
    return partial(_envelopes, state=MARKET_BY_SOURCE.open())


def _envelope_seeds() -> list[bytes]:
    known = sorted(READERS)
    return [
        _ENVELOPE.pack(index, index * 1_000, shift, passes, index % 3, known.index(venue)) + frame
        for venue in known
        for index, frame in enumerate(frames(venue)[:60], start=1)
        for shift, passes in ((0, 0), (10**12, 1))
    ]


TARGETS = [
    Target(
        name=f"{venue}_frames",
        an_input="a frame",
        open=partial(Session, venue),
        seeds=partial(frames, venue),
        mutator=Mutator(JSON_TOKEN, ODD_JSON, words(venue)),
        share=4_000,
        batch=1_024,
    )
    for venue in sorted(READERS)
] + [
    Target(
        name="frame_envelopes",
        an_input="a frame",
        open=_open_envelopes,
        seeds=_envelope_seeds,
        mutator=Mutator(BYTE_TOKEN, ODD_BYTES, ODD_BYTES),
        share=2_000,
        batch=1_024,
    ),
]

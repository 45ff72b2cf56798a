"""A public feed of a venue, through ccxt.pro, its symbols shared out over processes."""

import multiprocessing
import time
import weakref
from collections.abc import Iterator, Sequence
from multiprocessing.process import BaseProcess
from multiprocessing.queues import Queue
from queue import Empty
from threading import Event

import numpy as np
import structlog

from feeds import limits
from feeds.live_session import Failure, Message, Remark, Row, SessionSettings, run_session
from feeds.plain import VENUE
from headrace.errors import FeedError, TransientError
from headrace.feed import FeedOptions, FeedTally, FrameBlock

_log = structlog.get_logger(__name__)

_POLL_S = 0.2
_END_S = 2.0


def open_live(text: str, options: FeedOptions) -> "LiveFeed":
    """Return the feed `VENUE:SYM[,SYM…]`, connected; symbols as ccxt writes them.

    Connected at once, so that a venue out of reach is said before anything else is started.
    Raises:  FeedError if venue or symbols are missing or unknown, or no frame comes in time.
    """
    venue, _, names = text.partition(":")
    symbols = tuple(dict.fromkeys(filter(None, (name.strip() for name in names.split(",")))))
    if options.symbols:
        wanted = {symbol.upper() for symbol in options.symbols}
        symbols = tuple(symbol for symbol in symbols if symbol.upper() in wanted)
    most = limits.LIVE_SYMBOLS_A_PROCESS * limits.LIVE_PROCESSES_MAX
    if not venue or not 1 <= len(symbols) <= most:
        raise FeedError(
            f"feed live:{text}: expected live:VENUE:SYM[,SYM…] with 1 to {most} symbols as ccxt "
            f"writes them, found {len(symbols)}; try live:kraken:BTC/USD"
        )
    feed = LiveFeed(SessionSettings(venue, symbols))
    feed.connect()
    return feed


def try_live(venue: str, symbols: Sequence[str], seconds: float) -> "LiveFeed | None":
    """Return a connected feed if its first frame comes within `seconds`, else None."""
    feed = LiveFeed(SessionSettings(venue, tuple(symbols)))
    try:
        feed.connect(seconds)
    except FeedError as error:
        _log.warning("live_feed_not_reached", venue=venue, cause=str(error))
        return None
    return feed


class LiveFeed:
    """Frames of a venue as they come; see `headrace.feed.Feed`. Endless; `close` ends it.

    Receive times are this machine's clock. Sequences go on from `resume_after`: what was sent
    while nobody listened is not to be had again.
    """

    def __init__(self, settings: SessionSettings) -> None:
        self.identity = f"live:{settings.venue}:{','.join(settings.symbols)}"
        self.tally = FeedTally()
        self.counts: dict[str, int] = self.tally.dropped
        self._settings = settings
        self._closing = Event()
        self._processes: list[BaseProcess] = []
        # a feed that was opened only to see whether it can be must not stay connected
        weakref.finalize(self, _end, self._processes)
        self._queue: Queue[Message] | None = None
        self._first_rows: list[Row] = []

    def connect(self, timeout_s: float = limits.LIVE_CONNECT_TIMEOUT_S) -> None:
        """Start the processes and wait for the first frame of any.

        Raises:  FeedError if none comes in time, or the venue or a symbol is unknown.
        """
        context = multiprocessing.get_context("spawn")
        self._queue = context.Queue(limits.LIVE_QUEUE_BATCHES)
        settings, step = self._settings, limits.LIVE_SYMBOLS_A_PROCESS
        for begin in range(0, len(settings.symbols), step):
            part = SessionSettings(
                settings.venue,
                settings.symbols[begin : begin + step],
                settings.silence_s,
                settings.backoff_s_min,
                settings.reconnects_max,
                settings.overrides,
            )
            process = context.Process(target=run_session, args=(part, self._queue), daemon=True)
            process.start()
            self._processes.append(process)
        is_started = False
        deadline_s = time.monotonic() + limits.LIVE_START_TIMEOUT_S
        while not self._first_rows:
            message = self._next_message()
            if message is not None and not is_started:
                # the first message says that ccxt is imported: only now is it the venue's turn
                is_started, deadline_s = True, time.monotonic() + timeout_s
            if isinstance(message, Failure):
                self.close()
                raise FeedError(self._explain(message.text))
            if isinstance(message, list):
                self._first_rows = message
            elif time.monotonic() > deadline_s:
                self.close()
                cause = f" ({self.tally.faults[-1]})" if self.tally.faults else ""
                raise FeedError(self._explain(f"no frame within {timeout_s:g} s{cause}"))

    def _explain(self, found: str) -> str:
        venue, symbols = self._settings.venue, ", ".join(self._settings.symbols)
        return (
            f"feed live:{venue}: expected frames of {symbols} from {venue}'s public WebSocket "
            f"(ccxt.pro), found {found}; check the network, the venue's and the symbols' names; "
            "--feed sim works without a network"
        )

    def blocks(self, resume_after: dict[str, int]) -> Iterator[FrameBlock]:
        """Yield frames as they come, until `close`.

        Raises:  FeedError if no connection can be made; TransientError if all is lost later.
        """
        if not self._processes:
            self.connect()
        sequences = dict(resume_after)
        message: Message | None = self._first_rows
        try:
            while not self._closing.is_set():
                if isinstance(message, Failure):
                    raise TransientError(self._explain(message.text))
                if isinstance(message, list):
                    yield self._block(message, sequences)
                message = self._next_message()
        finally:
            self.close()

    def close(self) -> None:
        """End the processes; `blocks` ends with its next look."""
        self._closing.set()
        _end(self._processes)
        if self._queue is not None:
            self._queue.close()
            self._queue.cancel_join_thread()

    def _next_message(self) -> Message | None:
        """Return what a session sent; None if there is nothing yet."""
        if self._queue is None:
            return None
        try:
            message = self._queue.get(timeout=_POLL_S)
        except Empty:
            dead = [process for process in self._processes if not process.is_alive()]
            if dead:
                return Failure(f"a session that ended with code {dead[0].exitcode}", is_usage=False)
            return None
        if isinstance(message, Remark):
            self._note(message.text)
            return None
        return message

    def _note(self, text: str) -> None:
        self.tally.notes["connection_failed"] += 1
        if text not in self.tally.faults and len(self.tally.faults) < limits.FAULTS_MAX:
            self.tally.faults.append(text)
            _log.warning("live_connection_failed", venue=self._settings.venue, cause=text)

    def _block(self, rows: list[Row], sequences: dict[str, int]) -> FrameBlock:
        numbers = []
        for source, _, _ in rows:
            sequences[source] = sequences.get(source, 0) + 1
            numbers.append(sequences[source])
        self.tally.lines_read += len(rows)
        self.tally.frames += len(rows)
        zeros = np.zeros(len(rows), np.int64)
        return FrameBlock(
            [source for source, _, _ in rows],
            [VENUE] * len(rows),
            np.array(numbers, np.int64),
            np.array([time_ns for _, time_ns, _ in rows], np.int64),
            zeros,
            zeros,
            [payload for _, _, payload in rows],
        )


def _end(processes: list[BaseProcess]) -> None:
    for process in processes:
        process.terminate()
    for process in processes:
        process.join(_END_S)
        if process.is_alive():
            process.kill()
            process.join()
    processes.clear()

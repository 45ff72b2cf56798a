"""One process of a live feed: connections of ccxt.pro for some symbols, their updates as frames."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.queues import Queue
from queue import Full
from typing import Any, TypeAlias

import tenacity

from feeds import limits
from feeds.live_frames import Frames, Stream, books_of, named, quotes_of, trades_of

_ABNORMAL_CLOSURE = 1006

Row: TypeAlias = tuple[str, int, str]
"""Source, receive time (UTC ns) and payload of one frame."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a session ended: `is_usage` where asking again cannot help."""

    text: str
    is_usage: bool


@dataclass(frozen=True, slots=True)
class Remark:
    """What went wrong and is tried again."""

    text: str


Message: TypeAlias = list[Row] | Failure | Remark


@dataclass(frozen=True, slots=True)
class SessionSettings:
    """What one process connects to.

    `overrides` go to the ccxt exchange as they are: urls of a test server or a proxy, markets.
    """

    venue: str
    symbols: tuple[str, ...]
    silence_s: float = limits.LIVE_SILENCE_S
    backoff_s_min: float = limits.LIVE_BACKOFF_S_MIN
    reconnects_max: int = limits.LIVE_RECONNECTS_MAX
    overrides: dict[str, Any] = field(default_factory=dict)


def run_session(settings: SessionSettings, queue: "Queue[Message]") -> None:
    """Put frames into the queue until the process is ended; a failure is the last message.

    A full queue holds the connection back: nothing is dropped here.
    """
    # the parent hears Ctrl-C and ends its processes itself
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        asyncio.run(_Session(settings, queue).run())
    except _SessionError as error:
        queue.put(Failure(str(error), error.is_usage))


class _SessionError(Exception):
    def __init__(self, text: str, *, is_usage: bool) -> None:
        super().__init__(text)
        self.is_usage = is_usage


class _Session:
    def __init__(self, settings: SessionSettings, queue: "Queue[Message]") -> None:
        # imported here: it takes a second, and only this process needs it
        import ccxt.pro as ccxt_pro  # noqa: PLC0415

        self._errors = (ccxt_pro.NetworkError, ccxt_pro.ExchangeClosedByUser, TimeoutError)
        self._refusals = ccxt_pro.BaseError
        self._settings = settings
        self._queue = queue
        self._parent = os.getppid()
        self._rows: asyncio.Queue[Row] = asyncio.Queue(limits.LIVE_BATCH_FRAMES_MAX)
        self._heard_s = time.monotonic()
        if settings.venue not in ccxt_pro.exchanges:
            raise _SessionError(
                f"venue {settings.venue!r}: expected one of ccxt.pro's "
                f"({', '.join(ccxt_pro.exchanges[:8])}, …), found an unknown name",
                is_usage=True,
            )
        options = {"newUpdates": True, "enableRateLimit": True} | settings.overrides
        self._exchange: Any = getattr(ccxt_pro, settings.venue)(options)

    async def run(self) -> None:
        self._queue.put([])
        try:
            await self._retrying(self._exchange.load_markets)
            unknown = [
                name for name in self._settings.symbols if name not in self._exchange.markets
            ]
            if unknown:
                raise _SessionError(
                    f"symbols {', '.join(unknown)}: expected {self._settings.venue}'s in ccxt, "
                    f"such as {', '.join(list(self._exchange.markets)[:4])}",
                    is_usage=True,
                )
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._send())
                tasks.create_task(self._watch_silence())
                for stream in self._streams():
                    tasks.create_task(self._pump(stream))
        except ExceptionGroup as group:
            raise _first_session_error(group) from group
        finally:
            await self._exchange.close()

    def _streams(self) -> list[Stream]:
        """Return what the venue offers: trades, best quotes (else from the book), the book.

        One subscription for all symbols where it can: ccxt sends some venues one a second.
        """
        has, exchange, symbols = self._exchange.has, self._exchange, list(self._settings.symbols)
        streams: list[Frames] = []
        if has.get("watchTradesForSymbols"):
            streams.append(trades_of(self._watching(exchange.watch_trades_for_symbols, symbols)))
        elif has.get("watchTrades"):
            streams += [trades_of(self._watching(exchange.watch_trades, name)) for name in symbols]
        is_quoting = not has.get("watchBidsAsks")
        if not is_quoting:
            streams.append(quotes_of(self._watching(exchange.watch_bids_asks, symbols)))
        if has.get("watchOrderBookForSymbols"):
            watch = self._watching(exchange.watch_order_book_for_symbols, symbols)
            streams.append(books_of(watch, is_quoting=is_quoting))
        elif has.get("watchOrderBook"):
            streams += [
                books_of(self._watching(exchange.watch_order_book, name), is_quoting=is_quoting)
                for name in symbols
            ]
        return [named(stream, self._settings.venue) for stream in streams]

    async def _watching(
        self, watch: Callable[..., Awaitable[Any]], target: Any
    ) -> AsyncIterator[Any]:
        while True:
            update = await self._retrying(lambda: watch(target))
            self._heard_s = time.monotonic()
            yield update

    async def _retrying(self, call: Callable[[], Awaitable[Any]]) -> Any:
        """Call until it answers; each answer starts the count of failures afresh."""
        retrying = tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception_type(self._errors),
            wait=tenacity.wait_random_exponential(
                self._settings.backoff_s_min, limits.LIVE_BACKOFF_S_MAX
            ),
            stop=tenacity.stop_after_attempt(self._settings.reconnects_max),
            before_sleep=self._remark,
            reraise=True,
        )

        async def attempt() -> Any:
            # some of ccxt's methods are coroutine functions, some hand out coroutines
            try:
                return await call()
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if task is None or task.cancelling():
                    raise
                # ccxt cancels what waits on a connection it closes: no one asked us to stop
                raise TimeoutError("the connection was closed") from None

        try:
            return await retrying(attempt)
        except self._errors as error:
            raise _SessionError(
                f"{type(error).__name__}: {error} ({self._settings.reconnects_max} attempts)",
                is_usage=False,
            ) from error
        except self._refusals as error:
            raise _SessionError(f"{type(error).__name__}: {error}", is_usage=True) from error

    def _remark(self, state: tenacity.RetryCallState) -> None:
        cause = state.outcome.exception() if state.outcome else None
        # only words: where the queue is full the feed has other things to read
        with suppress(Full):
            self._queue.put_nowait(Remark(f"{type(cause).__name__}: {cause}"))

    async def _pump(self, stream: Stream) -> None:
        async for source, payload in stream:
            await self._rows.put((source, time.time_ns(), payload))

    async def _send(self) -> None:
        while True:
            rows = [await self._rows.get()]
            await asyncio.sleep(limits.LIVE_BATCH_WAIT_S)
            while not self._rows.empty():
                rows.append(self._rows.get_nowait())
            await asyncio.to_thread(self._queue.put, rows)

    async def _watch_silence(self) -> None:
        """Close connections that have gone silent: their streams open them again.

        One symbol may be quiet for long; it is the silence of all of them that counts.
        """
        while True:
            await asyncio.sleep(self._settings.silence_s / 4)
            if os.getppid() != self._parent:
                raise _SessionError("the feed that started this session is gone", is_usage=False)
            if time.monotonic() - self._heard_s > self._settings.silence_s:
                self._heard_s = time.monotonic()
                for client in list(self._exchange.clients.values()):
                    client.on_close(_ABNORMAL_CLOSURE)


def _first_session_error(group: ExceptionGroup[Exception]) -> Exception:
    inner = group.exceptions[0]
    return _first_session_error(inner) if isinstance(inner, ExceptionGroup) else inner

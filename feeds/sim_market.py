"""One simulated instrument: self-exciting orders around a drifting fundamental, in a real book.

Arrivals are a Hawkes process with an exponential kernel, drawn by Ogata's thinning (Ogata 1981,
IEEE Trans. Inf. Theory 27(1)). Orders lean towards the fundamental and follow the latest trades,
so that a thin queue tends to be the next to go: queue imbalance tells of the next move of the mid.
"""

from collections.abc import Iterator
from math import exp, sqrt, tanh
from random import Random

from feeds import limits
from feeds.order_book import ASK, BID, BookSide
from feeds.plain import book_frame, json_text, quote_frame, trade_frame

_SECOND_NS = 1_000_000_000
PRICE_DECIMALS = 2
SIZE_DECIMALS = 3

_EXCITATION_DECAY_PER_S = 8.0
_BRANCHING = 0.6
"""Events that one event brings about in the mean: below 1, or the market runs away."""
_MARKET_SHARE = 0.04
_MARKET_SHARE_EXCITED = 0.10
"""Share of market orders in a calm market, and what full excitation adds to it."""
_CANCEL_SHARE = 0.42
_INSIDE_SHARE = 0.4
_DEPTH_DECAY = 0.6
_ORDER_LOTS_MEAN = 400.0
_VOLATILITY_TICKS = 2.0
"""Standard deviation of the fundamental over one second."""
_PULL_TICKS = 6.0
_FLOW_DECAY = 0.9
_ORDERS_LEFT_MIN = 8
_ORDERS_USUAL = 40
_FUNDAMENTAL_TICKS_MIN = 1_000.0


class SimulatedMarket:
    """An instrument's market; the same seed gives the same frames, byte for byte.

    `next_ns` is when its next event happens, counted from the market's opening.
    """

    def __init__(self, name: str, seed: str, events_per_s: float) -> None:
        self.name = name
        self._instrument = json_text(name)
        self._random = Random(seed)  # noqa: S311 a market, not a secret
        # stationary mean rate is base / (1 - branching)
        self._base_rate = events_per_s * (1 - _BRANCHING)
        self._excitation = 0.0
        self._fundamental = 5_000.0 + self._random.random() * 20_000.0
        self._flow = 0.0
        self._sides = (BookSide(BID), BookSide(ASK))
        self._trade_id = self._update_id = 0
        self._quoted = (0, 0, 0, 0)
        self._book_due_ns = 0
        self.next_ns = 0
        self._open_book()
        self._schedule()

    def _open_book(self) -> None:
        middle = int(self._fundamental)
        for place in range(_ORDERS_USUAL):
            away = 1 + place // 3
            self._sides[BID].add(middle - away, self._order_lots())
            self._sides[ASK].add(middle + away, self._order_lots())

    def _order_lots(self) -> int:
        return 1 + int(self._random.expovariate(1.0) * _ORDER_LOTS_MEAN)

    def _schedule(self) -> None:
        """Draw when the next event happens; move the fundamental on to it."""
        waited_s = 0.0
        while True:
            rate = self._base_rate + self._excitation
            step_s = self._random.expovariate(rate)
            waited_s += step_s
            self._excitation *= exp(-_EXCITATION_DECAY_PER_S * step_s)
            if self._random.random() * rate <= self._base_rate + self._excitation:
                break
        self.next_ns += max(1, int(waited_s * _SECOND_NS))
        moved = self._random.gauss(0.0, _VOLATILITY_TICKS) * sqrt(waited_s)
        self._fundamental = max(self._fundamental + moved, _FUNDAMENTAL_TICKS_MIN)

    def advance(self, start_ns: int) -> Iterator[str]:
        """Let the next event happen and yield its frames: trades, quote, book."""
        time_ns = start_ns + self.next_ns
        bids, asks = self._sides
        excited = self._excitation / (self._base_rate + self._excitation)
        middle = (bids.best_ticks + asks.best_ticks) / 2
        pull = tanh((self._fundamental - middle) / _PULL_TICKS)
        chance_of_buy = min(max(0.5 + 0.3 * pull + 0.15 * self._flow, 0.05), 0.95)
        is_buy = self._random.random() < chance_of_buy
        draw = self._random.random()
        # the more orders rest, the more are taken away: the book keeps its size
        orders = len(bids.orders) + len(asks.orders)
        cancel_share = min(_CANCEL_SHARE * orders / (2 * _ORDERS_USUAL), 0.6)
        market_share = _MARKET_SHARE + _MARKET_SHARE_EXCITED * excited
        if draw < market_share:
            yield from self._trade(time_ns, is_buy=is_buy)
        elif draw < market_share + cancel_share:
            self._cancel(is_buy=is_buy)
        else:
            self._rest(is_buy=is_buy)
        self._update_id += 1
        self._excitation += _BRANCHING * _EXCITATION_DECAY_PER_S
        yield from self._book_frames(time_ns)
        self._schedule()

    def _trade(self, time_ns: int, *, is_buy: bool) -> Iterator[str]:
        self._flow = _FLOW_DECAY * self._flow + (1 - _FLOW_DECAY) * (1.0 if is_buy else -1.0)
        against = self._sides[ASK if is_buy else BID]
        for price, lots in against.fill(self._order_lots(), orders_left_min=1):
            self._trade_id += 1
            yield trade_frame(
                self._instrument,
                decimal_text(price, PRICE_DECIMALS),
                decimal_text(lots, SIZE_DECIMALS),
                side="buy" if is_buy else "sell",
                trade_id=self._trade_id,
                event_time_ns=time_ns,
            )
        while len(against.orders) < _ORDERS_LEFT_MIN:
            # who makes the market steps back rather than away
            behind = 1 + int(self._random.random() * _ORDERS_LEFT_MIN)
            against.add(self._behind(against, behind), self._order_lots())

    def _behind(self, side: BookSide, ticks: int) -> int:
        direction = 1 if side is self._sides[ASK] else -1
        return max(side.best_ticks + direction * ticks, 1)

    def _cancel(self, *, is_buy: bool) -> None:
        """Who expects a rise takes sell orders away."""
        side = self._sides[ASK if is_buy else BID]
        if len(side.orders) > _ORDERS_LEFT_MIN:
            side.cancel_any(self._random)

    def _rest(self, *, is_buy: bool) -> None:
        """Add an order at, behind, or (where there is room) ahead of the best of its side."""
        side, other = self._sides if is_buy else self._sides[::-1]
        room = abs(other.best_ticks - side.best_ticks) - 1
        if room and self._random.random() < _INSIDE_SHARE:
            away = -1 - int(self._random.random() * room)
        else:
            away = 0
            while self._random.random() < _DEPTH_DECAY:
                away += 1
        side.add(self._behind(side, away), self._order_lots())
        if len(side.orders) > limits.SIM_SIDE_ORDERS_MAX:
            side.cancel_any(self._random)

    def _book_frames(self, time_ns: int) -> Iterator[str]:
        bids, asks = self._sides
        quoted = (bids.best_ticks, bids.best_lots, asks.best_ticks, asks.best_lots)
        if quoted != self._quoted:
            self._quoted = quoted
            yield quote_frame(
                self._instrument,
                level_texts(quoted[:2]),
                level_texts(quoted[2:]),
                self._update_id,
                time_ns,
            )
        if self.next_ns >= self._book_due_ns:
            self._book_due_ns = self.next_ns + limits.BOOK_INTERVAL_NS
            yield book_frame(
                self._instrument,
                map(level_texts, bids.top(limits.BOOK_LEVELS)),
                map(level_texts, asks.top(limits.BOOK_LEVELS)),
                self._update_id,
                time_ns,
            )


def decimal_text(value: int, decimals: int) -> str:
    """Return a scaled integer as a decimal text."""
    unit = 10**decimals
    return f"{value // unit}.{value % unit:0{decimals}d}"


def level_texts(level: tuple[int, ...]) -> tuple[str, str]:
    """Return (price ticks, size lots) as decimal texts."""
    return decimal_text(level[0], PRICE_DECIMALS), decimal_text(level[1], SIZE_DECIMALS)

"""An order book with price-time priority, small enough for a simulator to run thousands of."""

from collections import deque
from dataclasses import dataclass, field
from random import Random

BID, ASK = 0, 1


@dataclass(slots=True, eq=False)
class RestingOrder:
    """An order that waits; `size_lots` is what is left of it."""

    price_ticks: int
    size_lots: int
    place: int
    """Where it stands in its side's list of orders: taken out in constant time."""


@dataclass(slots=True)
class _Level:
    total_lots: int = 0
    queue: deque[RestingOrder] = field(default_factory=deque)


class BookSide:
    """One side of a book: levels by price, each a queue in order of arrival."""

    def __init__(self, side: int) -> None:
        self._best_of = max if side == BID else min
        self._levels: dict[int, _Level] = {}
        self.orders: list[RestingOrder] = []
        self.best_ticks = 0
        """Best price; meaningless while there is no order."""

    @property
    def best_lots(self) -> int:
        """Return the size at the best price."""
        return self._levels[self.best_ticks].total_lots

    def add(self, price_ticks: int, size_lots: int) -> None:
        """Put an order behind those of its price."""
        order = RestingOrder(price_ticks, size_lots, len(self.orders))
        self.best_ticks = (
            self._best_of(self.best_ticks, price_ticks) if self.orders else price_ticks
        )
        self.orders.append(order)
        level = self._levels.get(price_ticks)
        if level is None:
            level = self._levels[price_ticks] = _Level()
        level.total_lots += size_lots
        level.queue.append(order)

    def cancel_any(self, random: Random) -> None:
        """Take out one order, each as likely as another."""
        order = self.orders[int(random.random() * len(self.orders))]
        level = self._levels[order.price_ticks]
        level.total_lots -= order.size_lots
        level.queue.remove(order)
        self._forget(order, level)

    def fill(self, size_lots: int, orders_left_min: int) -> list[tuple[int, int]]:
        """Match against the best orders; return (price, size) of each fill, first come first.

        Stops short where only `orders_left_min` orders would be left.
        """
        fills = []
        while size_lots and len(self.orders) > orders_left_min:
            level = self._levels[self.best_ticks]
            order = level.queue[0]
            lots = min(size_lots, order.size_lots)
            fills.append((order.price_ticks, lots))
            size_lots -= lots
            order.size_lots -= lots
            level.total_lots -= lots
            if not order.size_lots:
                level.queue.popleft()
                self._forget(order, level)
        return fills

    def top(self, levels: int) -> list[tuple[int, int]]:
        """Return (price, size) of the best levels, best first."""
        prices = sorted(self._levels, reverse=self._best_of is max)[:levels]
        return [(price, self._levels[price].total_lots) for price in prices]

    def _forget(self, order: RestingOrder, level: _Level) -> None:
        last = self.orders.pop()
        if last is not order:
            self.orders[order.place] = last
            last.place = order.place
        if not level.queue:
            del self._levels[order.price_ticks]
            if order.price_ticks == self.best_ticks and self._levels:
                self.best_ticks = self._best_of(self._levels)

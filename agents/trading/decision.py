"""The decision rule: when a prediction becomes a request, for how much, at what price."""

from dataclasses import dataclass

from schemas.instruments import E8

BPS = 10_000
PROBABILITY_MAX = 1.0


@dataclass(frozen=True, slots=True)
class DecisionRule:
    """When and how one strategy asks for orders.

    `threshold`          the probability of a side from which it is acted on; in (0, 1]
    `margin`             how far it must be above the other side's; in (0, 1]
    `order_notional_e8`  what an order is worth at most, quote currency times 10^8
    `quantity_step_lots` sizes are multiples of this (of a whole contract for INVERSE instruments)
    `tolerance_bps`      how far beyond the touch the limit price may be
    `cooldown_ns`        least time between two requests of an instrument, on the records' clock
    """

    account: str = "paper"
    strategy: str = "direction"
    threshold: float = 0.55
    margin: float = 0.20
    order_notional_e8: int = 1_000 * E8
    quantity_step_lots: int = 1_000
    tolerance_bps: int = 2
    cooldown_ns: int = 250_000_000

    def __post_init__(self) -> None:
        """Refuse a rule that could not decide.

        Raises:  ValueError if a value is out of its range.
        """
        for name, value in (("threshold", self.threshold), ("margin", self.margin)):
            if not 0.0 < value <= PROBABILITY_MAX:
                raise ValueError(
                    f"DecisionRule.{name}: expected above 0 and at most 1, got {value}"
                )
        for name in ("order_notional_e8", "quantity_step_lots"):
            if getattr(self, name) < 1:
                raise ValueError(f"DecisionRule.{name}: expected 1 or more")
        if not 0 <= self.tolerance_bps < BPS:
            raise ValueError(f"DecisionRule.tolerance_bps: expected 0 to {BPS - 1}")
        if self.cooldown_ns < 0:
            raise ValueError("DecisionRule.cooldown_ns: expected 0 or more")
        if not self.account or not self.strategy:
            raise ValueError("DecisionRule: account and strategy must be named")

    def buy_limit_ticks(self, ask_price_ticks: int) -> int:
        """Return the most a purchase may pay: the ask and the tolerance, rounded down."""
        return ask_price_ticks * (BPS + self.tolerance_bps) // BPS

    def sell_limit_ticks(self, bid_price_ticks: int) -> int:
        """Return the least a sale may bring: the bid less the tolerance, rounded up."""
        return -(-bid_price_ticks * (BPS - self.tolerance_bps) // BPS)

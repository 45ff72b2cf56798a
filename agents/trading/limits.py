"""What an account may do: every figure the risk checks compare with, and its default."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields

from agents.trading.controls import EVERY_ACCOUNT
from schemas.instruments import E8, Instrument

UNIT_LOTS = 10**8
"""Lots in one unit of size, in every market of schemas/instruments.py."""

RATE_HISTORY_ACCOUNT_MAX = 512
"""Approval times an account keeps: 4.6 KB, and at 5 orders a second 100 s by which one of its
instruments may lag behind another in a replay before the account's rate can't be proven."""

RATE_HISTORY_INSTRUMENT_MAX = 128
"""Approval times an instrument keeps: at 3 orders a second 42 s of them."""

OPEN_ORDERS_MAX = 1_024
"""Open orders no account may exceed whatever its limits say: about 150 KB over 32 pages."""

LIMIT_MAX = 2**62
"""No limit is above this, so that every figure within its limit fits 64 bits."""


def _require(name: str, value: int, most: int) -> None:
    if not 0 <= value <= most:
        raise ValueError(f"{name}: expected 0 to {most}, got {value}")


@dataclass(frozen=True, slots=True)
class InstrumentLimits:
    """What may be traded of one instrument; lots.

    The defaults fit any instrument and bound nothing that the account's notional limits don't:
    they stop sizes with a few zeros too many.
    """

    tradable: bool = True
    max_quantity_lots: int = 1_000_000 * UNIT_LOTS
    max_position_lots: int = 5_000_000 * UNIT_LOTS

    def __post_init__(self) -> None:
        """Refuse limits that make no sense.

        Raises:  ValueError naming the limit.
        """
        _require("InstrumentLimits.max_quantity_lots", self.max_quantity_lots, LIMIT_MAX)
        _require("InstrumentLimits.max_position_lots", self.max_position_lots, LIMIT_MAX)


PAPER_INSTRUMENTS: Mapping[str, InstrumentLimits] = {
    "binance-spot:BTCUSDT": InstrumentLimits(True, UNIT_LOTS // 20, UNIT_LOTS // 10),
    "binance-usdm:BTCUSDT": InstrumentLimits(True, UNIT_LOTS // 20, UNIT_LOTS // 10),
    "binance-spot:ETHUSDT": InstrumentLimits(True, UNIT_LOTS, 2 * UNIT_LOTS),
    "binance-usdm:ETHUSDT": InstrumentLimits(True, UNIT_LOTS, 2 * UNIT_LOTS),
    "binance-coinm": InstrumentLimits(True, 50 * UNIT_LOTS, 60 * UNIT_LOTS),
    # Quotes of tables carry no sizes: nothing could be filled against them.
    "table": InstrumentLimits(tradable=False),
}
"""The demonstration's: positions of five or six orders of 1,000, so that the limit is met."""


@dataclass(frozen=True, slots=True)
class AccountLimits:
    """What one account may do.

    `instruments` is searched by the instrument's name, then by its market, then `any_instrument`.
    Notional is in quote currency times 10^8, all quote currencies counted one to one.

    `approval_ttl_ns`        how long an approval may be used, on the records' clock
    `quote_age_max_ns`       how old the quote of a decision may be
    `price_collar_bps`       how far from mid a limit price may be
    `order_notional_max_e8`  of one order; likewise of the position in one instrument, and of the
                             sum over all instruments, both with every open order filled
    `rate_instrument_max`    approvals in any second, in one instrument and in all
    `open_orders_max`        approved orders that have not ended
    """

    approval_ttl_ns: int = 1_000_000_000
    quote_age_max_ns: int = 500_000_000
    price_collar_bps: int = 20
    order_notional_max_e8: int = 5_000 * E8
    position_notional_max_e8: int = 10_000 * E8
    gross_notional_max_e8: int = 20_000 * E8
    rate_instrument_max: int = 3
    rate_account_max: int = 5
    open_orders_max: int = 256
    instruments: Mapping[str, InstrumentLimits] = field(
        default_factory=lambda: dict(PAPER_INSTRUMENTS)
    )
    any_instrument: InstrumentLimits = InstrumentLimits()

    def __post_init__(self) -> None:
        """Refuse limits that make no sense or that the bounded state could not hold.

        Raises:  ValueError naming the limit.
        """
        bounds = {
            "rate_instrument_max": RATE_HISTORY_INSTRUMENT_MAX,
            "rate_account_max": RATE_HISTORY_ACCOUNT_MAX,
            "open_orders_max": OPEN_ORDERS_MAX,
        }
        for each in fields(self):
            value = getattr(self, each.name)
            if isinstance(value, int):
                _require(f"AccountLimits.{each.name}", value, bounds.get(each.name, LIMIT_MAX))

    def of_instrument(self, instrument: Instrument) -> InstrumentLimits:
        """Return the limits of an instrument."""
        found = self.instruments.get(instrument.name) or self.instruments.get(instrument.market)
        return found or self.any_instrument


@dataclass(frozen=True, slots=True)
class RiskLimits:
    """The limits of every account; one that is not named here may do nothing."""

    accounts: Mapping[str, AccountLimits] = field(
        default_factory=lambda: {"paper": AccountLimits()}
    )

    def __post_init__(self) -> None:
        """Refuse an account whose name stands for all of them.

        Raises:  ValueError naming it.
        """
        if EVERY_ACCOUNT in self.accounts:
            raise ValueError(
                f"RiskLimits.accounts: {EVERY_ACCOUNT!r} stands for every account in controls; "
                "name the account otherwise"
            )

    def of_account(self, account: str) -> AccountLimits | None:
        """Return the limits of an account, or None if it may do nothing."""
        return self.accounts.get(account)

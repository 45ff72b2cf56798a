"""What an operator may say to the trading graph, and the record each word becomes."""

from collections.abc import Callable, Mapping
from typing import Any

from agents.trading.controls import ACTIVE, EVERY_ACCOUNT, HALTED, REDUCING
from agents.trading.limits import RiskLimits
from headrace import Control
from headrace.errors import UsageError
from schemas.topics import ACCOUNT_CONTROL

OPTIONS = {
    "account": "The account it is for; every account if absent.",
    "reason": "Why, for whoever reads it later.",
}


def trading_controls(limits: RiskLimits) -> tuple[Control, ...]:
    """Return the controls of accounts with these limits."""
    words = {
        "halt": (HALTED, "no order leaves any more; orders that are out are followed to their end"),
        "reduce": (REDUCING, "only orders that make a position smaller"),
        "resume": (ACTIVE, "take back what was said of the account, or of every account"),
    }
    return tuple(
        Control(
            name,
            says,
            ACCOUNT_CONTROL,
            _account_control(state, limits),
            address="account",
            options=OPTIONS,
        )
        for name, (state, says) in words.items()
    )


def _account_control(
    state: str, limits: RiskLimits
) -> Callable[[Mapping[str, str], int], Mapping[str, Any]]:
    def record(options: Mapping[str, str], time_ns: int) -> Mapping[str, Any]:
        account = options.get("account", EVERY_ACCOUNT)
        if "account" in options and limits.of_account(account) is None:
            known = ", ".join(sorted(limits.accounts))
            raise UsageError(f"no account {account!r} trades here; expected one of {known}")
        return {
            "account": account,
            "state": state,
            "reason": options.get("reason", ""),
            "event_time_ns": time_ns,
        }

    return record

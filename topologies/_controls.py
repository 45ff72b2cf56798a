"""What an operator may say to the trading graph, and the record each word becomes."""

from collections.abc import Callable, Mapping
from typing import Any

from agents.direction.choice import EVERY_INSTRUMENT
from agents.trading.controls import ACTIVE, EVERY_ACCOUNT, HALTED, REDUCING
from agents.trading.limits import RiskLimits
from headrace import Control
from headrace.backtest.window import parse_time
from headrace.errors import UsageError
from schemas.instruments import UnknownInstrumentError, instrument_of
from schemas.topics import ACCOUNT_CONTROL, MODEL_CONTROL

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


def model_control() -> Control:
    """Return the control that says which of a step's models decides."""
    return Control(
        "model",
        "which model decides; the others go on in shadow",
        MODEL_CONTROL,
        _model_control,
        address="instrument",
        options={
            "use": "Name and version of its bundle, as predictions carry them.",
            "instrument": "The instrument it is for; every instrument if absent.",
            "from": "For vectors received from then on (ISO 8601, UTC); at once if absent.",
            "reason": OPTIONS["reason"],
        },
    )


def _model_control(options: Mapping[str, str], time_ns: int) -> Mapping[str, Any]:
    if "use" not in options:
        raise UsageError("control model: expected --use NAME, found none; name a model of the step")
    instrument = options.get("instrument", EVERY_INSTRUMENT)
    if "instrument" in options:
        try:
            instrument_of(instrument)
        except UnknownInstrumentError as error:
            raise UsageError(str(error)) from error
    return {
        "instrument": instrument,
        "model": options["use"],
        "from_time_ns": parse_time(options["from"], "--from") if "from" in options else 0,
        "reason": options.get("reason", ""),
        "event_time_ns": time_ns,
    }

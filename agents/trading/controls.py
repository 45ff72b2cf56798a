"""What an operator said of an account, or of all of them, and which of two words is the tighter."""

import msgspec

from agents.trading.pages import Box
from agents.trading.records import AccountControl

EVERY_ACCOUNT = "*"
"""The account of a control that is for all of them: a record in every partition of the topic."""

ACTIVE = "ACTIVE"
REDUCING = "REDUCING"
HALTED = "HALTED"

TIGHTNESS = {ACTIVE: 0, REDUCING: 1, HALTED: 2}


class ControlState(msgspec.Struct, array_like=True):
    """The word in force, and the latest time of any that was."""

    state: str = ACTIVE
    time_ns: int = 0


def obey(held: Box[ControlState], control: AccountControl) -> bool:
    """Take an operator's word; return False if it loosens and is older than the one in force.

    So a repeated old ACTIVE can't reopen an account, and no HALT is ever refused for its clock.
    """
    before = held.read()
    loosens = TIGHTNESS[control.state] < TIGHTNESS[before.state]
    if loosens and control.event_time_ns < before.time_ns:
        return False
    held.put(ControlState(control.state, max(before.time_ns, control.event_time_ns)))
    return True


def tighter(one: ControlState, other: ControlState) -> str:
    """Return the tighter state of two."""
    return max(one.state, other.state, key=TIGHTNESS.__getitem__)

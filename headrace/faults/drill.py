"""A fault that is none: an operator says a word in the middle of the storm, and takes it back."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from headrace.errors import InvariantError
from headrace.faults import limits
from headrace.faults.schedule import Roster
from headrace.up.processes import Process

if TYPE_CHECKING:
    from headrace.faults.kinds import Stage


class ControlSaid:
    """The topology's drill, such as a halt of all accounts, said by `headrace control`."""

    name = "control said"
    length_s = (25.0, 40.0)
    weight = 1
    aftermath_s = 0.0
    counted_from: Literal["inject", "heal"] = "inject"

    def __init__(self) -> None:
        self._said: Process | None = None
        self._taken_back: Process | None = None

    @staticmethod
    def targets(roster: Roster) -> Sequence[str]:
        """Return the control, if the topology has a drill."""
        return [roster.drill] if roster.drill else []

    def inject(self, stage: "Stage", target: str) -> bool:
        """Say it."""
        self._said = stage.fleet.say(target)
        return True

    def heal(self, stage: "Stage", target: str) -> None:
        """Do nothing yet: one still being said would come after its own end."""

    def is_healed(self, stage: "Stage", target: str) -> bool:
        """Take it back once it was said; return whether that is done."""
        drill = stage.fleet.topology.proof.drill
        if drill is None or self._said is None:
            raise InvariantError(f"drill {target}: healed, and was never said")
        if not _is_said(self._said):
            return False
        if self._taken_back is None:
            self._taken_back = stage.fleet.say(drill.take_back)
        return _is_said(self._taken_back)


def _is_said(speech: Process) -> bool:
    """Return whether a word was said; say it again if that failed: the broker may be away."""
    code = speech.exit_code
    if code not in {None, 0} and not speech.revive(limits.REVIVALS_MAX):
        raise speech.fail()
    return code == 0

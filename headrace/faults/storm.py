"""Carries a schedule out: strikes, heals, waits for what is healing, and notes when."""

from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from headrace.faults import limits
from headrace.faults.kinds import Fault, Stage, fault_of
from headrace.faults.schedule import Planned

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Happened:
    """A planned fault and what became of it; seconds from the start of the input.

    One that found nothing to strike, as a worker that was just dead, `was_applied` is not.
    """

    planned: Planned
    fault: Fault
    injected_s: float | None = None
    healing_s: float | None = None
    healed_s: float | None = None
    was_applied: bool = False

    @property
    def counted_from_s(self) -> float:
        """Return from when recovery counts."""
        healed_s = self.healed_s or 0.0
        return healed_s if self.fault.counted_from == "heal" else self.injected_s or 0.0


class Storm:
    """The faults of one run; `step` does what is due.

    A worker that is still starting has nothing to lose: while the next fault's target is, the
    schedule's clock stands still, at most `limits.HOLD_S_MAX` a fault. So the same schedule strikes
    workers at work on slow machines, too.
    """

    def __init__(self, stage: Stage, schedule: Sequence[Planned]) -> None:
        self._stage = stage
        self._held_s = self._held_of_fault_s = 0.0
        self.happened = [Happened(planned, fault_of(planned.fault)) for planned in schedule]

    def step(self, now_s: float) -> None:
        """Strike and heal what is due at this time."""
        for each in self.happened:
            target = each.planned.target
            if each.injected_s is None:
                late_s = now_s - self._held_s - each.planned.at_s
                if late_s >= 0 and self._must_hold(target):
                    self._held_s += late_s
                    self._held_of_fault_s += late_s
                elif late_s >= 0:
                    self._strike(each, now_s)
            elif each.healing_s is None:
                if now_s >= each.injected_s + each.planned.length_s:
                    each.fault.heal(self._stage, target)
                    each.healing_s = now_s
            elif each.healed_s is None and each.fault.is_healed(self._stage, target):
                each.healed_s = now_s
                log.info("healed", fault=each.fault.name, target=target)

    def _must_hold(self, target: str) -> bool:
        is_late = self._held_of_fault_s >= limits.HOLD_S_MAX
        return not is_late and not self._stage.fleet.is_at_work(target)

    def _strike(self, each: Happened, now_s: float) -> None:
        target = each.planned.target
        self._held_of_fault_s = 0.0
        each.was_applied = each.fault.inject(self._stage, target)
        each.injected_s = now_s
        if not each.was_applied:
            each.healing_s = each.healed_s = now_s
        log.info("fault", fault=each.fault.name, target=target, applied=each.was_applied)

    def heal_all(self) -> None:
        """Undo whatever is in force, at once: the run is given up."""
        for each in self.happened:
            if each.injected_s is not None and each.healing_s is None:
                each.fault.heal(self._stage, each.planned.target)

    @property
    def is_over(self) -> bool:
        """Return whether every fault has been and is healed."""
        return all(each.healed_s is not None for each in self.happened)

"""Looks at the progress of a run of ours, and what they come to: rates, CPU, memory."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from headrace.errors import TransientError
from headrace.up.lag import LagWatch, LaneGroup
from headrace.up.processes import Process

LOOK_S = 0.25
WAIT_S_MAX = 600.0

WARM_SHARE = 0.2
WARM_S = 4.0
"""From the first records on, whichever is sooner: kernels are loaded, stores are opened."""

WINDOW_S = 1.0


@dataclass(frozen=True, slots=True)
class Look:
    """A run at a time (monotonic, s): `done` by the first lane, `behind` of all lanes."""

    at_s: float
    done: int
    behind: int
    cpu_s: float
    memory_mb: float


@dataclass(frozen=True, slots=True)
class Rates:
    """What a run came to, once warm; `windows` in records/s.

    `drained_s` is from the first lane's last record to that of the last lane; `memory_mb` the most
    that all workers held together.
    """

    records: int
    seconds: float
    windows: tuple[float, ...]
    cpu_us: float
    drained_s: float
    memory_mb: float
    window_s: float = WINDOW_S


def follow(workers: Sequence[Process], bootstrap: str, groups: Sequence[LaneGroup]) -> list[Look]:
    """Look at workers until every lane is through with all that its topics hold; the first leads.

    Raises:  TransientError if a worker ends, or it takes longer than `WAIT_S_MAX`.
    """
    watch = LagWatch(bootstrap, groups)
    first = groups[0].group
    total = watch.lags()[first]
    looks: list[Look] = []
    deadline_s = time.monotonic() + WAIT_S_MAX
    while not looks or looks[-1].behind:
        lags, now_s = watch.lags(), time.monotonic()
        for worker in workers:
            if worker.exit_code is not None:
                raise worker.fail()
            worker.sample(now_s)
        looks.append(
            Look(
                at_s=now_s,
                done=total - lags[first],
                behind=sum(lags.values()),
                cpu_s=sum(worker.cpu_s for worker in workers),
                memory_mb=sum(worker.memory.samples[-1][1] for worker in workers),
            )
        )
        if now_s > deadline_s:
            raise TransientError(f"{looks[-1].behind:,} records wait after {WAIT_S_MAX:.0f} s")
        time.sleep(LOOK_S)
    return looks


def rates_of(looks: Sequence[Look]) -> Rates:
    """Return the rates of a run from its looks, in order.

    Raises:  ValueError if it was over before it was warm.
    """
    began_s = next((look.at_s for look in looks if look.done), float("inf"))
    total = looks[-1].done
    end = next(place for place, look in enumerate(looks) if look.done == total)
    warm = [
        look
        for look in looks[: end + 1]
        if look.at_s >= began_s + WARM_S or look.done >= WARM_SHARE * total
    ]
    windows = _windows(warm)
    if not windows:
        raise ValueError(
            f"expected {WINDOW_S} s of work once warm, found less; give it more records"
        )
    records = warm[-1].done - warm[0].done
    return Rates(
        records=records,
        seconds=warm[-1].at_s - warm[0].at_s,
        windows=windows,
        cpu_us=1e6 * (warm[-1].cpu_s - warm[0].cpu_s) / records,
        drained_s=looks[-1].at_s - looks[end].at_s,
        memory_mb=max(look.memory_mb for look in looks),
    )


def _windows(looks: Sequence[Look]) -> tuple[float, ...]:
    """Return the rate of each whole window."""
    rates = []
    first = looks[0] if looks else None
    for look in looks:
        if first is not None and look.at_s - first.at_s >= WINDOW_S:
            rates.append((look.done - first.done) / (look.at_s - first.at_s))
            first = look
    return tuple(rates)

"""Fuzzing without coverage: seeds spoiled at random, several times as many inputs a second.

`python -m tests.fuzz.blind TARGET --inputs N --seed S --out FOLDER`: a seed gives the same inputs.
"""

import faulthandler
import time
from collections import deque
from random import Random

from tests.fuzz.catalog import TARGETS
from tests.fuzz.reporting import arguments, write_report
from tests.fuzz.target import HANG_SECONDS, Runner, Target

_KEPT_BATCHES = 8
_WATCH_SECONDS = 5.0
"""How often the watch over a hanging batch is wound up again: doing it each time would show."""


def explore(runner: Runner, seed: int, inputs: int) -> None:
    """Run the runner's target on so many inputs."""
    target = runner.target
    random = Random(f"{target.name}:{seed}")  # noqa: S311  (reproducible, not secret)
    seeds = target.seeds()
    kept: deque[list[bytes]] = deque([list(seeds)[: target.batch]], _KEPT_BATCHES)
    runner.run(kept[0])
    watched_s = 0.0
    while runner.inputs < inputs and not runner.is_finished:
        if time.monotonic() - watched_s > _WATCH_SECONDS:
            faulthandler.dump_traceback_later(HANG_SECONDS, exit=True)
            watched_s = time.monotonic()
        count = min(target.batch, inputs - runner.inputs)
        records = target.mutator.batch(random, random.choice(kept), seeds, count)
        runner.run(records)
        kept.append(records)
    faulthandler.cancel_dump_traceback_later()


def explored(target: Target, seed: int, inputs: int) -> Runner:
    """Return what came of so many inputs."""
    runner = Runner(target)
    explore(runner, seed, inputs)
    return runner


def main() -> None:
    """Fuzz one target; writes `TARGET.json` with what came of it."""
    chosen = arguments(__doc__)
    runner = Runner(TARGETS[chosen.target], folder=chosen.out / "finds")
    started_s = time.monotonic()
    explore(runner, chosen.seed, chosen.inputs)
    write_report(runner, "blind", chosen.seed, time.monotonic() - started_s, chosen.out)


if __name__ == "__main__":
    main()

"""Fuzzing without coverage: seeds spoiled at random. What the test suite runs, a few seconds."""

from collections import deque
from random import Random

from tests.fuzz.target import Runner, Target

_KEPT_BATCHES = 8


def explore(target: Target, seed: int, inputs: int) -> Runner:
    """Run the target on so many inputs; the same seed gives the same ones."""
    random = Random(f"{target.name}:{seed}")  # noqa: S311  (reproducible, not secret)
    runner = Runner(target)
    seeds = target.seeds()
    runner.run(list(seeds)[: target.batch])
    kept: deque[list[bytes]] = deque([list(seeds)[: target.batch]], _KEPT_BATCHES)
    while runner.inputs < inputs and not runner.is_finished:
        records = target.mutator.batch(random, random.choice(kept), seeds, target.batch)
        runner.run(records)
        kept.append(records)
    return runner

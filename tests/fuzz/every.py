"""Every target for a moment, in one process: `python -m tests.fuzz.every [INPUTS] [SEED]`."""

import sys

from tests.fuzz.blind import explored
from tests.fuzz.catalog import TARGETS


def main(inputs: int = 200, seed: int = 1) -> int:
    """Say what each target found; return how many finds there were."""
    finds = 0
    for target in TARGETS.values():
        runner = explored(target, seed, inputs)
        finds += len(runner.finds)
        sys.stdout.write(f"{target.name}: {runner.inputs} inputs, {len(runner.finds)} finds\n")
        for find in runner.finds.values():
            sys.stdout.write(f"  {find.kind} at {find.place}: {find.text}\n  {find.records}\n")
    return finds


if __name__ == "__main__":
    sys.exit(1 if main(*map(int, sys.argv[1:])) else 0)

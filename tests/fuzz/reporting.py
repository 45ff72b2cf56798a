"""What one process fuzzes, and what it says of it."""

import argparse
import json
import sys
import time
from dataclasses import asdict
from pathlib import Path

from tests.fuzz.target import Runner, peak_bytes


def arguments(text: str | None) -> argparse.Namespace:
    """Return target, inputs, seed and folder, said back so that a run can be repeated."""
    parser = argparse.ArgumentParser(description=text)
    parser.add_argument("target")
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path(".fuzz"))
    chosen = parser.parse_args()
    chosen.out = chosen.out.absolute()
    chosen.out.mkdir(parents=True, exist_ok=True)
    sys.stdout.write(f"{chosen.target}: seed {chosen.seed}, inputs {chosen.inputs:,}\n")
    sys.stdout.flush()
    return chosen


def write_report(runner: Runner, engine: str, seed: int, seconds: float, out: Path) -> None:
    """Write `TARGET-ENGINE-SEED.json`."""
    report = {
        "target": runner.target.name,
        "engine": engine,
        "an_input": runner.target.an_input,
        "inputs": runner.inputs,
        "seconds": round(seconds, 1),
        "cpu_seconds": round(time.process_time(), 1),
        "seed": seed,
        "peak_mib": peak_bytes() // 2**20,
        "finds": [asdict(find) for find in runner.finds.values()],
    }
    path = out / f"{runner.target.name}-{engine}-{seed}.json"
    path.write_text(json.dumps(report, indent=1))

"""Every target in a process of its own, one after the other: `make fuzz`.

Writes a JSON file a target as it goes, and at the end the table into docs/fuzzing.md. A campaign
that was broken off goes on with the targets that are not in its folder yet.
"""

import argparse
import json
import platform
import re
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.fuzz.catalog import TARGETS
from tests.fuzz.target import ROOT

PAGE = ROOT / "docs" / "fuzzing.md"
TABLE = re.compile(r"(<!-- table -->\n).*(<!-- end -->)", re.DOTALL)
SHARES = 100_000
"""What the targets' shares add up to."""

SECONDS_MAX = 7_200
"""One target; the largest takes a minute of CPU, and the machine may be full."""

ADDRESS_BYTES_MAX = 16 * 2**30
"""Address space of a target's process: what asks for more is ended, and is a find."""


def main() -> None:
    """Run the campaign and write its table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=24_000_000, help="of all targets together")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--engine", choices=["blind", "guided"], default="blind")
    parser.add_argument("--only", default="", help="names of targets, comma-separated")
    parser.add_argument("--out", type=Path, default=Path(".fuzz"))
    parser.add_argument("--table-only", action="store_true", help="of what is in --out already")
    chosen = parser.parse_args()
    chosen.out.mkdir(parents=True, exist_ok=True)
    names = [name for name in chosen.only.split(",") if name]
    names = names or sorted(TARGETS, key=lambda name: -TARGETS[name].share)
    if not chosen.table_only:
        for name in names:
            inputs = chosen.inputs * TARGETS[name].share // SHARES
            _run(name, inputs, chosen.seed, chosen.engine, chosen.out)
    reports = list(_reports(chosen.out))
    PAGE.write_text(TABLE.sub(lambda m: f"{m[1]}{_table(reports)}{m[2]}", PAGE.read_text()))
    finds = sum(len(report["finds"]) for report in reports)
    total = sum(report["inputs"] for report in reports)
    sys.stdout.write(f"{total:,} inputs in all, {finds} finds\n")
    sys.exit(1 if finds else 0)


def _run(name: str, inputs: int, seed: int, engine: str, out: Path) -> None:
    command = [
        sys.executable, "-m", f"tests.fuzz.{engine}", name,
        "--inputs", str(inputs), "--seed", str(seed), "--out", str(out),
    ]  # fmt: skip
    log, report = (out / f"{name}-{engine}-{seed}.{kind}" for kind in ("log", "json"))
    if report.exists():
        return  # of a campaign that was broken off
    started_s = time.monotonic()
    with log.open("wb") as file:
        try:
            code = subprocess.run(
                command, cwd=ROOT, stdout=file, stderr=file, timeout=SECONDS_MAX, check=False,
                preexec_fn=_limit,
            ).returncode  # fmt: skip
        except subprocess.TimeoutExpired:
            code = -1
    if code != 0 or not report.exists():
        death = {
            "target": name,
            "engine": engine,
            "an_input": TARGETS[name].an_input,
            "inputs": 0,  # nobody knows how many it got through
            "seconds": round(time.monotonic() - started_s, 1),
            "cpu_seconds": 0,
            "seed": seed,
            "peak_mib": 0,
            "finds": [{"kind": f"exit code {code}", "text": log.read_text()[-2_000:]}],
        }
        report.write_text(json.dumps(death, indent=1))
    said = json.loads(report.read_text())
    sys.stdout.write(
        f"{name:20} {said['inputs']:>10,} inputs {said['seconds']:>8} s "
        f"{len(said['finds'])} finds, seed {seed}\n"
    )
    sys.stdout.flush()


def _limit() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_BYTES_MAX, ADDRESS_BYTES_MAX))


def _reports(out: Path) -> Iterator[dict[str, Any]]:
    order = {name: place for place, name in enumerate(TARGETS)}
    found = [json.loads(path.read_text()) for path in out.glob("*.json")]
    yield from sorted(found, key=lambda r: (order[r["target"]], r["engine"], r["seed"]))


def _table(reports: list[dict[str, Any]]) -> str:
    total, cpu_s = (sum(r[name] for r in reports) for name in ("inputs", "cpu_seconds"))
    lines = [
        (
            f"{datetime.now(UTC):%d %B %Y}, {platform.system()} on {platform.machine()}, Python "
            f"{platform.python_version()}: **{total:,} inputs**, "
            f"{sum(len(r['finds']) for r in reports)} finds, {cpu_s:,.0f} s of CPU."
        ),
        "",
        "| target | an input | engine | seed | inputs | CPU s | inputs/CPU s | s | MiB | finds |",
        "|---|---|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for r in reports:
        rate = r["inputs"] / max(r["cpu_seconds"], 0.1)
        lines.append(
            f"| {r['target']} | {r['an_input']} | {r['engine']} | {r['seed']} | {r['inputs']:,} | "
            f"{r['cpu_seconds']:,.1f} | {rate:,.0f} | {r['seconds']:,.1f} | {r['peak_mib']:,} | "
            f"{len(r['finds'])} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()

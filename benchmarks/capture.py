"""The trading graph over recorded frames: speed, CPU, memory; a part of docs/benchmarks.md."""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.page import machine, with_section

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "benchmarks.md"
SECTION = "capture"


def main() -> None:
    """Run the graph once over the recordings and write what it came to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data" / "binance")
    parser.add_argument("--repeat", type=int, default=20)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="headrace-bench-") as home:
        report = Path(home) / "report.json"
        command = ["up", "trading", f"--feed=capture:{chosen.data}", f"--repeat={chosen.repeat}"]
        subprocess.run(
            [
                *(sys.executable, "-m", "headrace", *command),
                *("--speed=max", "--until-end", f"--report={report}"),
            ],
            check=True,
            cwd=ROOT,
            env={**os.environ, "HEADRACE_HOME": home},
        )
        found = json.loads(report.read_text())
    lines = section(found, chosen.repeat)
    PAGE.write_text(with_section(PAGE.read_text(), SECTION, lines))
    print(f"written to {PAGE}")


def section(report: dict[str, Any], repeat: int) -> list[str]:
    """Return the report as its section of the page."""
    frames = report["frames"]
    lines = [
        f"`make bench-capture` on {machine()}:",
        "",
        f"`headrace up trading --feed capture:… --repeat {repeat} --speed max --until-end`,",
        "with Kafka (acks=all, idempotent producers, changelogs on), PostgreSQL and Redis on the",
        "same cores:",
        "",
        "| | |",
        "|---|---|",
        f"| frames sent | {frames['sent']:,} |",
        f"| accounted for | {frames['accounted']:,} |",
        f"| adds up | {frames['adds_up']} |",
        f"| database rows equal topic records | {report['database_equals_topics']} |",
        f"| seconds | {report['elapsed_s']:,.0f} |",
        f"| frames/s through the whole graph | {report['frames_a_second']:,.0f} |",
        "",
        "Every outcome: "
        + ", ".join(f"{name} {count:,}" for name, count in frames["outcomes"].items())
        + ".",
        "",
        "| process | CPU s | CPU µs a frame | peak MiB | growth MiB/min after warm-up |",
        "|---|---|---|---|---|",
    ]
    for name, process in report["processes"].items():
        slope = process["memory_mb_slope_a_minute"]
        lines.append(
            f"| {name} | {process['cpu_s']:,.0f} | {1e6 * process['cpu_s'] / frames['sent']:.1f} | "
            f"{process['memory_mb_peak']:,.0f} | {'-' if slope is None else f'{slope:+.1f}'} |"
        )
    lines += [
        "",
        "| step | records | records/s | mean batch | p50 ms | p99 ms |",
        "|---|---|---|---|---|---|",
    ]
    for name, step in report["steps"].items():
        lines.append(
            f"| {name} | {step['records_in']:,} | {step['records_a_second']:,.0f} | "
            f"{step['batch_records_mean']:,.0f} | {step['latency_ms_p50'] or 0:,.0f} | "
            f"{step['latency_ms_p99'] or 0:,.0f} |"
        )
    lines += [
        "",
        "Latency is the age of a record in Kafka when the step was done with it; at full speed it",
        "is the queue the feed keeps (`FEED_BACKLOG_RECORDS_MAX`), not the work.",
    ]
    return lines


if __name__ == "__main__":
    main()

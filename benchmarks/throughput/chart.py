"""Draws a job's rates as bars; run by the peers' Python, which has matplotlib.

Arguments: the JSON file of the figures, the folder of the pictures.
"""

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt  # the backend is chosen first

OURS, THEIRS = "#1f6f8b", "#b0b7bd"


def main() -> None:
    """Draw every job of the file."""
    figures, folder = map(Path, sys.argv[1:])
    found = json.loads(figures.read_text())
    for job in found["jobs"]:
        draw(job, folder / f"throughput-{job['name']}.png")


def draw(job: dict[str, Any], path: Path) -> None:
    """Draw one job: a bar a peer, on a logarithmic axis, with the least and the most."""
    peers = job["peers"][::-1]
    rates = [peer["rate"] for peer in peers]
    spread = [
        [peer["rate"] - peer["rate_min"] for peer in peers],
        [peer["rate_max"] - peer["rate"] for peer in peers],
    ]
    colours = [OURS if peer["peer"].startswith("headrace") else THEIRS for peer in peers]
    chart, axes = plt.subplots(figsize=(8, 0.5 * len(peers) + 1.2), layout="constrained")
    titles = [peer["title"].replace("*", "") for peer in peers]
    bars = axes.barh(titles, rates, xerr=spread, color=colours, error_kw={"elinewidth": 1})
    axes.bar_label(bars, [f"{rate:,.0f}" for rate in rates], padding=4)
    axes.set_xscale("log")
    axes.set_xlim(min(rates) / 10, max(rates) * 4)
    axes.set_xlabel("events/s in one process (median; logarithmic)")
    axes.set_title(job["title"])
    axes.spines[["top", "right"]].set_visible(False)
    chart.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
